"""What sounds alike is one cluster, what recurs more than language has it comes first, and how it may be spelled."""

import itertools
from collections.abc import Sequence

import pytest

from pipeline.entities.lists import EntitySource
from pipeline.lexicon.phones import Pronunciation
from pipeline.lexicon.pronunciation import Pronouncer
from pipeline.suggest.clusters import cluster
from pipeline.suggest.doubtful import Language, Span
from pipeline.suggest.found import Heard, recurring
from pipeline.suggest.spelled import spellings
from pipeline.suggest.suggestions import Listed, suggest
from pipeline.types.entity import Entity, EntityList

UNCAS = ("AH NG K AH S", "AH N K AH S", "AH NG K IH S", "AH NG K AH Z")
LANGUAGE = Language({"the", "in", "us", "uncle"}.__contains__, frozenset({"the", "in", "us", "uncle"}), lambda _: -6.0)


@pytest.fixture(scope="module")
def pronouncer() -> Pronouncer:
    return Pronouncer()


def said(phones: str) -> Pronunciation:
    return tuple(phones.split())


def span(at: int, text: str, phones: str, log10: float = -6.0, first: int = 0, others: Sequence[str] = ()) -> Span:
    last = first + len(text.split())
    return Span(f"u{at}", first, last, 0.0, 0.5, text, tuple(others), said(phones), ("unknown",), log10, ("", ""))


def test_what_sounds_alike_is_one_cluster_in_any_order() -> None:
    counts = {said(one): 2 for one in UNCAS} | {
        said(UNCAS[0]): 3,
        said("B AA R T L IY"): 5,
        said("B AA R T L IY IH"): 1,
    }
    clusters = {frozenset(one.members) for one in cluster(counts)}
    assert clusters == {
        frozenset(said(one) for one in UNCAS),
        frozenset({said("B AA R T L IY"), said("B AA R T L IY IH")}),
    }
    for order in itertools.islice(itertools.permutations(counts), 0, None, 97):
        assert [one.middle for one in cluster({one: counts[one] for one in order})] == [
            one.middle for one in cluster(counts)
        ]


def test_the_middle_is_what_the_others_are_nearest_to() -> None:
    (one,) = cluster({said(UNCAS[0]): 2, **{said(phones): 1 for phones in UNCAS[1:]}})
    assert one.middle == said(UNCAS[0])


def test_what_language_has_often_is_no_finding_and_once_is_no_pattern() -> None:
    spans = [span(at, "the", "DH AH DH", log10=-1.5) for at in range(20)]
    spans += [span(at, "unkas", UNCAS[at % 3]) for at in range(30, 34)]
    spans += [span(40, "bartley", "B AA R T L IY")]
    (one,) = recurring(spans, words=1000, least=2, count=10)
    assert (one.phones, one.utterances) == (said(UNCAS[0]), 4)
    assert one.reasons == {"unknown": 4}


def test_words_count_for_one_sound() -> None:
    """A name that is written as two words is suggested whole, not its halves again."""
    spans = []
    for at in range(5):
        spans += [
            span(at, "bar tully", "B AA R T AH L IY", -9.0),
            span(at, "bar", "B AA R", -4.5),
            span(at, "tully", "T AH L IY", -6.0, first=1),
        ]
    assert [one.spans[0].text for one in recurring(spans, words=5000, least=2, count=10)] == ["bar tully"]


def test_the_first_spelling_is_one_that_sounds_so(pronouncer: Pronouncer) -> None:
    def first(*spans: Span) -> str:
        return spellings(Heard(spans[0].phones, spans, 1.0), pronouncer, LANGUAGE, 3)[0]

    assert first(span(0, "uncas", UNCAS[0]), span(1, "uncas", UNCAS[0]), span(2, "bunk", UNCAS[0])) == "uncas"
    assert " " not in first(span(0, "uncle us", UNCAS[0]), span(1, "uncle us", UNCAS[0]))
    found = spellings(
        Heard(said(UNCAS[0]), (span(0, "on", UNCAS[0], others=("uncas",)),), 1.0), pronouncer, LANGUAGE, 9
    )
    assert "uncas" in found
    assert found == tuple(dict.fromkeys(found))


def test_what_is_listed_lacks_a_pronunciation_or_was_not_written(pronouncer: Pronouncer) -> None:
    listed = EntityList((Entity("bartley", "Bartley"),))
    sounds = ["B AA R T L IY", "B AA R K L IY", "AH NG K AH S"]
    found = [Heard(said(one), (span(0, "x", one), span(1, "x", one)), 9.0) for one in sounds]
    made = suggest(found, Listed(EntitySource(corpus=listed), pronouncer), pronouncer, LANGUAGE)
    assert [(one.kind, one.entity and one.entity.display_as) for one in made] == [
        ("listed", "Bartley"),
        ("pronunciation", "Bartley"),
        ("entity", None),
    ]
