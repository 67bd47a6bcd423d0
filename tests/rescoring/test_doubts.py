"""Names that the search wrote by itself are held against what else could stand there."""

import dataclasses

import pytest

from pipeline.census import counting
from pipeline.config import GuardConfig, LanguageModelConfig, PhoneFusionConfig
from pipeline.lexicon.pronunciation import ListPronouncer, Pronouncer
from pipeline.rescoring.doubts import Doubt, Doubts, undone
from pipeline.rescoring.evidence import Evidence
from pipeline.rescoring.guard import DOUBT, Guard
from pipeline.rescoring.proposals import Proposal
from pipeline.rescoring.stage import RescoringStage
from pipeline.rescoring.vocabulary import Vocabulary
from pipeline.types.entity import EMPTY, Entity, EntityList
from pipeline.types.hypothesis import Hypothesis, Word
from tests.support.inventory import CHARACTERS
from tests.support.small_talk import CAT, spelled_and_said, write_model
from tests.support.speech import hypothesis, said

PRONOUNCER = Pronouncer()
CUT = CAT.replace("AE", "AH")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> LanguageModelConfig:
    return write_model(tmp_path_factory.mktemp("language_model"))


def listed(*names: str) -> EntityList:
    return EntityList(tuple(Entity(name, name) for name in names))


def written(text: str, total: float = -20.0) -> Hypothesis:
    words = zip(text.split(), (0, 4, 8, 12, 16), (4, 8, 12, 16, 21), strict=True)
    return dataclasses.replace(hypothesis(text, total), words=tuple(Word(*word, 0.5) for word in words))


NBEST = [written("the cut met the king"), written("the cat met the king", -21.0)]


def doubts(model: LanguageModelConfig | None) -> Doubts:
    fusion = PhoneFusionConfig()
    return Doubts(lambda: Vocabulary(model, CHARACTERS, PRONOUNCER), PRONOUNCER, fusion.weight, fusion.floor)


def guard(**fields: bool | float) -> Guard:
    config = GuardConfig(doubts=True, **fields)  # type: ignore[arg-type]
    return Guard(config, Evidence(config, CHARACTERS, None, PRONOUNCER, ListPronouncer(PRONOUNCER)))


def test_what_is_heard_stands_against_the_name(model: LanguageModelConfig) -> None:
    (one,) = doubts(model).of(NBEST[:1], spelled_and_said(CAT, "the cat met the king"), listed("cut"))
    assert (one.first, one.last, one.instead) == (1, 2, ("cat",))
    assert one.without.text == "the cat met the king"
    assert (one.name.first, one.name.last, one.name.text) == (1, 2, "cut")
    assert [(span.entity, span.start_word, span.end_word) for span in one.name.spans] == [("cut", 0, 1)]


def test_the_nbest_is_looked_at_where_no_words_are_known() -> None:
    both = doubts(None).of(NBEST, spelled_and_said(CAT, "the cat met the king"), listed("cut"))
    assert [one.instead for one in both] == [("cat",)]
    assert doubts(None).of(NBEST[:1], spelled_and_said(CAT, "the cat met the king"), listed("cut")) == []


def test_words_beside_the_name_are_in_it_only_where_they_change() -> None:
    one, names = spelled_and_said(CAT, "the cat met the king"), listed("cut met")
    (found,) = doubts(None).of(NBEST, one, names)
    assert (found.first, found.last, found.instead) == (1, 3, ("cat", "met"))  # the whole name, and no word more
    assert [span.entity for span in found.name.spans] == ["cut met"]


def test_no_name_takes_the_place_of_another(model: LanguageModelConfig) -> None:
    found = doubts(model).of(NBEST, spelled_and_said(CAT, "the cat met the king"), listed("cut", "cat"))
    assert all("cat" not in one.instead for one in found)


def test_nothing_is_doubted_without_names_or_phones(model: LanguageModelConfig) -> None:
    one = spelled_and_said(CAT, "the cat met the king")
    assert doubts(model).of(NBEST, one, listed("zelensky")) == []
    assert doubts(model).of(NBEST, dataclasses.replace(one, phone_log_probs=None), listed("cut")) == []


MET = "M M EH - T T Z Z EH L EH N N S K - IY T T AH D EY EY - -"
LENS = "M M EH - T T DH AH L EH N N Z K - IY T T AH D EY EY - -"


def odds(labels: str) -> float:
    """Of "zelensky", where the n-best has "the lens key" too."""
    named = EntityList((Entity("zelensky", "Zelenskyy", pronunciations=("Z EH L EH N S K IY",)),))
    nbest = [hypothesis("met zelensky today", -5.0), hypothesis("met the lens key today", -6.0)]
    found = doubts(None).of(nbest, said(labels), named)
    assert [one.instead for one in found] == [("the", "lens", "key")]
    ((_, value),) = guard().weigh_doubts(found, said(labels), named)
    return value


def test_a_name_that_was_said_is_likelier_than_one_that_was_not() -> None:
    assert odds(MET) > odds(LENS) + 1.0


def test_the_least_likely_are_taken_out_and_none_beside_another() -> None:
    one = guard()
    first, second, far = (doubt(at) for at in (0, 1, 3))
    assert one.doubted == DOUBT
    assert one.undo([(first, DOUBT - 1.0), (second, DOUBT - 2.0), (far, DOUBT - 0.5)]) == [second, far]
    assert one.undo([(first, DOUBT)]) == []


def doubt(at: int) -> Doubt:
    name = Proposal(at, at + 1, NBEST[0].words[at : at + 1], ())
    return Doubt(at, at + 1, ("cat",), (4 * at, 4 * at + 4), NBEST[1], name)


def test_what_is_taken_out_is_written_otherwise_and_the_rest_stays() -> None:
    assert undone(NBEST, []) == NBEST
    found = undone(NBEST, [doubt(1)])
    assert [one.text for one in found] == ["the cat met the king", "the cut met the king"]
    assert found[0].total == NBEST[0].total
    assert [word.start_frame for word in found[0].words] == [0, 4, 8, 12, 16]


def test_a_stage_takes_out_what_the_guard_doubts_and_only_then(model: LanguageModelConfig) -> None:
    emissions, names = spelled_and_said(CAT, "the cat met the king"), listed("cut")
    strict = guard(bound=50.0)
    strict.doubted = 100.0
    with counting() as census:
        RescoringStage([], strict, doubts(model)).finish(NBEST, emissions, names, NBEST)
    assert census.steps["doubted"].utterances == {1: 1}
    finished = {
        known: RescoringStage([], strict, doubts(model) if known else None).finish(NBEST, emissions, names, NBEST)
        for known in (True, False)
    }
    assert [finished[known][0].text for known in (True, False)] == ["the cat met the king", "the cut met the king"]
    assert [[span.entity for span in finished[known][0].entities] for known in (True, False)] == [[], ["cut"]]
    stage = RescoringStage([], strict, doubts(model))
    assert stage.finish(NBEST, emissions, EMPTY, NBEST) == NBEST
    weighed = stage.weighed(NBEST, emissions, names, NBEST)
    assert weighed is not None
    assert [one.name.text for one in weighed.undone] == ["cut"]
    assert weighed.unbiased.text == "the cat met the king"
