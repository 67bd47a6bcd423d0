import dataclasses

import pytest

from pipeline.config import GuardConfig
from pipeline.decoding.interface import Hypothesis
from pipeline.entities.catalog import Entity, EntityList
from pipeline.phonetics.guard import Guard
from pipeline.phonetics.pronunciation import ListPronouncer, Pronouncer
from tests.phonetics.speech import hypothesis, said

PRONOUNCER = Pronouncer()
MET = "M M EH - T T Z Z EH L EH N N S K - IY T T AH D EY EY - -"
LENS = "M M EH - T T DH AH L EH N N Z K - IY T T AH D EY EY - -"
NAMES = EntityList(
    (
        Entity("hansom", "Hansom"),
        Entity("zelensky", "Zelenskyy", pronunciations=("Z EH L EH N S K IY",)),
    )
)


def guard(common: tuple[str, ...] = (), **fields: float) -> Guard:
    return Guard(GuardConfig(**fields), PRONOUNCER, ListPronouncer(PRONOUNCER), common)  # type: ignore[arg-type]


def written(text: str, entity: str, alternative: str | None) -> list[Hypothesis]:
    best = hypothesis(text, -5.0, entity)
    spans = tuple(dataclasses.replace(span, alternative=alternative) for span in best.entities)
    return [dataclasses.replace(best, entities=spans), hypothesis("met them today", -9.0)]


def test_what_was_said_stays_and_is_explained() -> None:
    given = written("met zelensky today", "zelensky", "the lens key")
    found = guard().check(given, said(MET), NAMES)
    assert [one.text for one in found] == [one.text for one in given]
    (span,) = found[0].entities
    assert span.phone_cost is not None
    assert span.alternative_phone_cost is not None
    assert span.phone_cost < span.alternative_phone_cost


def test_what_was_not_said_is_put_back() -> None:
    given = written("met zelensky today", "zelensky", "the lens key")
    found = guard(least_evidence=20.0).check(given, said(LENS), NAMES)
    assert found[0].text == "met the lens key today"
    assert found[0].entities == ()
    assert (found[0].words[1].start_frame, found[0].words[3].end_frame) == (4, 8)
    assert guard(least_evidence=-99.0).check(given, said(LENS), NAMES)[0].text == "met zelensky today"


def test_an_insertion_is_taken_out() -> None:
    found = guard(least_evidence=99.0).check(written("met zelensky today", "zelensky", ""), said(MET), NAMES)
    assert found[0].text == "met today"


def test_a_homophone_of_a_common_word_needs_a_difference() -> None:
    labels = "AH - HH AE AE N S AH M - K AE B"
    given = written("a hansom cab", "hansom", "and some")
    assert guard(least_evidence=20.0).check(given, said(labels), NAMES)[0].text == "a hansom cab"
    common = guard(("handsome", "cab"), least_evidence=20.0)
    assert common.check(given, said(labels), NAMES)[0].text == "a and some cab"


@pytest.mark.parametrize("alternative", [None, "zelensky"])
def test_what_the_unbiased_search_writes_too_is_not_judged(alternative: str | None) -> None:
    given = written("met zelensky today", "zelensky", alternative)
    assert guard(least_evidence=99.0).check(given, said(LENS), NAMES) == given
