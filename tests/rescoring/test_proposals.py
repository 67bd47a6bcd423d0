from pipeline.rescoring.proposals import Proposal, apply_proposals, differences
from tests.support.speech import hypothesis


def test_only_regions_with_an_entity_count() -> None:
    unbiased = hypothesis("they met the lens key two days ago", -5.0)
    biased = hypothesis("they met zelensky to days ago", -6.0, "zelensky")
    (one,) = differences(unbiased, biased)
    assert (one.first, one.last, one.text) == (2, 6, "zelensky to")  # one region: no word between them is equal
    biased = hypothesis("they met zelensky to days ago", -6.0, "days")
    assert differences(unbiased, biased) == []


def test_a_region_grows_to_the_whole_entity() -> None:
    unbiased, biased = hypothesis("near new yolk city", -5.0), hypothesis("near new york city", -6.0, "new york city")
    (one,) = differences(unbiased, biased)
    assert (one.first, one.last, one.text) == (1, 4, "new york city")
    assert (one.spans[0].start_word, one.spans[0].end_word) == (0, 3)


def test_an_insertion_and_the_same_text() -> None:
    unbiased, biased = hypothesis("we met today", -5.0), hypothesis("we met kim today", -6.0, "kim")
    (one,) = differences(unbiased, biased)
    assert (one.first, one.last, one.text) == (2, 2, "kim")
    assert differences(unbiased, unbiased) == []


def test_applied_one_by_one_or_all() -> None:
    unbiased = hypothesis("and some a doll and near new yolk", -5.0, "near")
    biased = hypothesis("hansom a doll and near new york", -6.0, "hansom", "near", "new york")
    first, second = differences(unbiased, biased)
    assert not first.touches(second)
    both = apply_proposals(unbiased, [second, first], unbiased.entities)
    assert both.text == "hansom a doll and near new york"
    spans = [(span.entity, span.start_word, span.end_word) for span in both.entities]
    assert spans == [("hansom", 0, 1), ("near", 4, 5), ("new york", 5, 7)]
    only = apply_proposals(unbiased, [second], unbiased.entities)
    assert only.text == "and some a doll and near new york"
    assert apply_proposals(unbiased, [], unbiased.entities) == unbiased


def test_neighbours_touch() -> None:
    def at(first: int, last: int) -> Proposal:
        return Proposal(first, last, (), ())

    assert at(0, 2).touches(at(2, 3))
    assert at(2, 2).touches(at(2, 3))
    assert not at(0, 2).touches(at(3, 4))
