import numpy as np
import pytest

from pipeline.config import LexiconConfig
from pipeline.lexicon.phone_index import PhoneIndex
from pipeline.lexicon.phones import parse_phones
from pipeline.lexicon.pronunciation import ListPronouncer, Pronouncer
from pipeline.rescoring.aligned import align_hypothesis, floored, heard_phones
from pipeline.rescoring.lookup import LexiconLookup
from pipeline.rescoring.technique import Sounds
from pipeline.types.entity import EMPTY, Entity, EntityList
from tests.support.speech import hypothesis, said, spoken

PRONOUNCER = Pronouncer()
MET = "M M EH - T T Z Z EH L EH N N S K - IY T T AH D EY EY - -"
NAMES = EntityList(
    (
        Entity("dyclonin", "dyclonin"),
        Entity("fu yang", "Fu Yang", pronunciations=("F UW Y AE NG",)),
        Entity("zelensky", "Zelenskyy", pronunciations=("Z EH L EH N S K IY",)),
    )
)


def lookup(**fields: float) -> LexiconLookup:
    config = LexiconConfig(**fields)  # type: ignore[arg-type]
    return LexiconLookup(config, Sounds(PRONOUNCER, ListPronouncer(PRONOUNCER), PRONOUNCER.knows))


def test_one_name_heard_as_three_words() -> None:
    best, second = lookup().correct([hypothesis("met the lens key today", -10.0)], said(MET), NAMES)
    assert best.text == "met zelensky today"
    assert second.text == "met the lens key today"
    (span,) = best.entities
    assert (span.entity, span.start_word, span.end_word) == ("zelensky", 1, 2)
    assert span.techniques == ("lexicon",)
    assert span.alternative == "the lens key"
    assert span.phone_cost is not None
    assert span.alternative_phone_cost is not None
    assert span.boost == pytest.approx(span.alternative_phone_cost - span.phone_cost)
    assert best.total == pytest.approx(best.acoustic + best.lm + best.boost)
    assert (best.words[1].start_frame, best.words[1].end_frame) == (6, 17)


def test_what_is_attended_to_is_tried_where_it_is() -> None:
    labels = "M M EH - T T Z Z EH L EH N S K IY - T AH D EY - -"
    given = hypothesis("met the lens key today", -10.0, confidence=0.99)  # nothing is doubtful
    work = lookup(excess=50.0)
    aligned = align_hypothesis(given, floored(said(labels).phone_log_probs, -8.0), PRONOUNCER, {})
    assert work.sounding(aligned, NAMES) == []
    attended = np.array([[0.0, 0.0, 0.0], [0.1, 0.2, 8.0], [0.9, 3.0, 9.0]], np.float16)
    first, *others = work.sounding(aligned, NAMES, attended)
    assert (first.text, first.first, first.last) == ("zelensky", 1, 4)
    assert [one.text for one in others] in ([], ["zelensky"])


def test_a_name_of_two_words_and_later_entities_move() -> None:
    labels = "F UW UW - Y AE NG - M EH T Z EH L EH N S K IY"
    given = [hypothesis("foo young met zelensky", -10.0, "zelensky")]
    best = lookup().correct(given, said(labels), NAMES)[0]
    assert best.text == "fu yang met zelensky"
    assert [(span.entity, span.start_word, span.end_word) for span in best.entities] == [
        ("fu yang", 0, 2),
        ("zelensky", 3, 4),
    ]
    assert best.words[0].end_frame == best.words[1].start_frame


def test_sure_and_known_words_are_left_alone() -> None:
    given = [hypothesis("met the lens key today", -10.0, confidence=0.99)]
    assert lookup(excess=50.0).correct(given, said(MET), NAMES) == given
    assert lookup(excess=0.5).correct(given, said(MET), NAMES)[0].text == "met zelensky today"


def test_an_unknown_word_is_doubtful_however_sure() -> None:
    given = [hypothesis("met zelenskee today", -10.0, confidence=0.99)]
    assert lookup(excess=50.0, min_gain=-1.0).correct(given, said(MET), NAMES)[0].text == "met zelensky today"


def test_what_was_said_stays() -> None:
    lens = "M M EH - T T DH AH L EH N N Z K - IY T T AH D EY EY - -"
    given = [hypothesis("met the lens key today", -10.0, confidence=0.1)]
    assert lookup().correct(given, said(lens), NAMES) == given


def test_nothing_to_do_gives_the_same_list() -> None:
    given = [hypothesis("met the lens key today", -10.0)]
    silent = type(said(MET))(said(MET).tokens)
    assert lookup().correct(given, said(MET), EMPTY) == given
    assert lookup().correct(given, silent, NAMES) == given
    assert lookup().correct([hypothesis("", -1.0)], said(MET), NAMES) == [hypothesis("", -1.0)]


def test_heard_phones_collapse_repeats_and_blanks() -> None:
    assert heard_phones(spoken("K K - AE T T - T"), 0, 8) == ("K", "AE", "T", "T")
    assert heard_phones(spoken("K K"), 1, 1) == ()


def test_index_is_nearest_first_and_bounded() -> None:
    entries = [("sat", "S AE T"), ("zat", "Z AE T"), ("mall", "M AO L"), ("sat", "S AA T"), ("set", "S EH T")]
    index = PhoneIndex([(key, parse_phones(phones)) for key, phones in entries])
    found = index.nearest(("S", "AE", "T"), 0.3, 10)
    assert found[0].key == "sat"
    assert found[0].distance == 0.0
    assert [match.key for match in found].count("sat") == 1
    assert "mall" not in [match.key for match in found]
    assert all(0 <= match.distance <= 0.3 for match in found)
    assert index.nearest(("S", "AE", "T"), 0.3, 1) == found[:1]
    assert PhoneIndex([]).nearest(("S",), 1.0, 3) == []


def test_index_agrees_with_plain_dynamic_programming() -> None:
    noise = np.random.default_rng(0)
    names = ["AA", "B", "K", "T", "AH"]
    words = [tuple(noise.choice(names, noise.integers(1, 6))) for _ in range(30)]
    index = PhoneIndex([(" ".join(word), word) for word in words])
    heard = ("B", "AA", "K", "T")
    found = {match.key: match.distance for match in index.nearest(heard, 2.0, 99)}
    assert found == pytest.approx({" ".join(word): plain_distance(heard, word) for word in words}, rel=1e-5)


def plain_distance(first: tuple[str, ...], second: tuple[str, ...]) -> float:
    from pipeline.lexicon.phones import gap_costs, phone_ids, substitution_costs

    a, b, gap, swap = phone_ids(first), phone_ids(second), gap_costs(), substitution_costs()
    table = np.full((len(a) + 1, len(b) + 1), np.inf)
    table[0, 0] = 0
    for i in range(len(a) + 1):
        for j in range(len(b) + 1):
            if i:
                table[i, j] = min(table[i, j], table[i - 1, j] + gap[a[i - 1]])
            if j:
                table[i, j] = min(table[i, j], table[i, j - 1] + gap[b[j - 1]])
            if i and j:
                table[i, j] = min(table[i, j], table[i - 1, j - 1] + swap[a[i - 1], b[j - 1]])
    return float(table[-1, -1] / max(len(a), len(b)))
