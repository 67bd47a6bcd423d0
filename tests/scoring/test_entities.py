"""Entities found, missed and inserted."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from pipeline.entities.matching import find_entities
from pipeline.scoring.alignment import align
from pipeline.scoring.entities import EntityMatch, inserted, match_entities, missed
from pipeline.types.entity import Entity, EntityList

LIST = EntityList(
    (
        Entity("new york", "New York", aliases=("big apple",)),
        Entity("new york times", "New York Times"),
        Entity("york", "York"),
        Entity("zamadol", "Zamadol"),
    )
)


def match(reference: str, hypothesis: str) -> EntityMatch:
    return match_entities(find_entities(reference.split(), LIST), find_entities(hypothesis.split(), LIST))


def test_an_entity_inside_a_longer_one_is_not_counted() -> None:
    assert match("the new york times", "the new york times") == EntityMatch(("new york times",))
    # The longer one was missed; the shorter one that stands there instead was not said.
    assert match("the new york times", "the new york chimes") == EntityMatch((), ("new york",), ("new york times",))


def test_a_phrase_counts_only_as_a_whole() -> None:
    assert match("from new york", "from new work") == EntityMatch((), (), ("new york",))
    assert match("yorkshire", "yorkshire") == EntityMatch()


def test_repeated_entities_count_as_often_as_they_are_said() -> None:
    assert match("york york york", "york york") == EntityMatch(("york", "york"), (), ("york",))
    assert match("york", "york york") == EntityMatch(("york",), ("york",), ())


def test_an_alias_is_its_entity() -> None:
    assert match("from new york", "from big apple") == EntityMatch(("new york",))


def test_empty_texts_and_lists() -> None:
    assert match("", "") == EntityMatch()
    assert match("", "york") == EntityMatch((), ("york",))
    assert match("york", "") == EntityMatch((), (), ("york",))
    assert find_entities(["york"], EntityList()) == []


def test_what_was_written_instead_of_a_missed_entity() -> None:
    reference, hypothesis = ["give", "zamadol", "in", "new", "york"], ["give", "some", "a", "doll", "in", "new", "work"]
    said, written = find_entities(reference, LIST), find_entities(hypothesis, LIST)
    found = missed(said, written, align(reference, hypothesis), hypothesis)
    instead = {difference.found.entity.text: difference.instead for difference in found}
    assert instead == {"zamadol": "some a doll", "new york": "new work"}


def test_the_occurrence_that_has_no_counterpart_is_the_missed_one() -> None:
    reference, hypothesis = ["york", "and", "york", "again"], ["fork", "and", "york", "again"]
    said, written = find_entities(reference, LIST), find_entities(hypothesis, LIST)
    (difference,) = missed(said, written, align(reference, hypothesis), hypothesis)
    assert (difference.found.start, difference.instead) == (0, "fork")


def test_what_was_said_where_an_entity_was_inserted() -> None:
    reference, hypothesis = ["a", "fork", "and"], ["a", "york", "and", "zamadol"]
    said, written = find_entities(reference, LIST), find_entities(hypothesis, LIST)
    found = inserted(said, written, align(reference, hypothesis), reference)
    assert [(one.found.entity.text, one.instead) for one in found] == [("york", "fork"), ("zamadol", "")]


TEXTS = st.lists(st.sampled_from(["new", "york", "times", "big", "apple", "zamadol", "the"]), max_size=10)


@given(TEXTS, TEXTS)
def test_counts_reconcile_with_what_was_said_and_written(reference: list[str], hypothesis: list[str]) -> None:
    said, written = find_entities(reference, LIST), find_entities(hypothesis, LIST)
    result = match_entities(said, written)
    found = Counter(result.true_positives)
    assert found + Counter(result.false_negatives) == Counter(one.entity.text for one in said)
    assert found + Counter(result.false_positives) == Counter(one.entity.text for one in written)
    steps = align(reference, hypothesis)
    assert Counter(one.found.entity.text for one in missed(said, written, steps, hypothesis)) == Counter(
        result.false_negatives
    )
    assert Counter(one.found.entity.text for one in inserted(said, written, steps, reference)) == Counter(
        result.false_positives
    )
