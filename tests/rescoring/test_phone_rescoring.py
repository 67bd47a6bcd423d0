import pytest

from pipeline.config import RescoringConfig
from pipeline.lexicon.pronunciation import ListPronouncer, Pronouncer
from pipeline.rescoring.phone_rescoring import PhoneRescoring, counterpart
from pipeline.rescoring.technique import Sounds
from pipeline.types.entity import EMPTY, Entity, EntityList
from tests.support.speech import hypothesis, said

PRONOUNCER = Pronouncer()
# "met zelensky today", with the user's own pronunciation of the name
MET = "M M EH - T T Z Z EH L EH N N S K - IY T T AH D EY EY - -"
NAMES = EntityList((Entity("zelensky", "Zelenskyy", pronunciations=("Z EH L EH N S K IY",)),))


def rescorer(**fields: float) -> PhoneRescoring:
    return PhoneRescoring(RescoringConfig(**fields), Sounds(PRONOUNCER, ListPronouncer(PRONOUNCER), PRONOUNCER.knows))  # type: ignore[arg-type]


def nbest() -> list:
    return [
        hypothesis("met the lens key today", -10.0),
        hypothesis("met zelensky today", -12.0, "zelensky"),
        hypothesis("met the lens key to day", -14.0),
    ]


def test_the_phones_choose_the_name() -> None:
    found = rescorer(weight=0.5).order(nbest(), said(MET), NAMES)
    assert found[0].text == "met zelensky today"
    assert [h.total for h in found] == sorted((h.total for h in found), reverse=True)
    (span,) = found[0].entities
    assert span.alternative == "the lens key"
    assert span.phone_cost == pytest.approx(12 * 0.1054, rel=0.1)
    assert span.techniques == ("boosting", "rescoring")
    assert found[0].phone_cost == pytest.approx(25 * 0.1054, rel=1e-3)  # 25 frames at 0.9


def test_without_weight_only_the_explanation_is_new() -> None:
    found = rescorer(weight=0.0).order(nbest(), said(MET), NAMES)
    assert [(h.text, h.total) for h in found] == [(h.text, h.total) for h in nbest()]


def test_plain_hypotheses_keep_their_order() -> None:
    mixed = [
        hypothesis("met the lens key to day", -9.0),  # the worse pronunciation, but better in total
        hypothesis("met the lens key today", -10.0),
        hypothesis("met zelensky", -40.0, "zelensky"),
    ]
    found = rescorer(weight=1.0).order(mixed, said(MET), NAMES)
    assert [h.text for h in found if not h.entities] == ["met the lens key to day", "met the lens key today"]
    assert found[0].text == "met the lens key to day"


def test_fewer_frames_than_phones_gives_the_same_list() -> None:
    assert rescorer().order(nbest(), said("M EH T Z EH L"), NAMES) == nbest()


def test_nothing_to_do_gives_the_same_list() -> None:
    plain = [hypothesis("met the lens key today", -10.0), hypothesis("met today", -11.0)]
    assert rescorer().order(plain, said(MET), NAMES) == plain
    assert rescorer().order(nbest(), said(MET), EMPTY) == nbest()
    silent = type(said(MET))(said(MET).tokens)
    assert rescorer().order(nbest(), silent, NAMES) == nbest()


@pytest.mark.parametrize(
    ("words", "other", "span", "region"),
    [
        ("we met zelensky today", "we met the lens key today", (2, 3), (2, 3, 2, 5)),
        ("a b c", "a c", (1, 2), (1, 2, 1, 1)),
        ("a b", "a x b", (1, 2), (1, 2, 1, 3)),
        ("zelensky spoke now", "the lens keys poke now", (0, 1), (0, 2, 0, 4)),
    ],
)
def test_counterpart(words: str, other: str, span: tuple[int, int], region: tuple[int, int, int, int]) -> None:
    assert counterpart(words.split(), other.split(), *span) == region
