"""What reviews say of proposals."""

from typing import Any

import numpy as np
import pytest

from pipeline.calibration.answered import Told, labelled, told_of
from pipeline.rescoring.proposals import Proposal
from pipeline.text import ENGLISH
from pipeline.types.entity import Entity, EntityList
from pipeline.types.hypothesis import EntitySpan, Hypothesis, Word

LIST = EntityList((Entity("anna", "Anna", aliases=("annie",)), Entity("odesa", "Odesa"), Entity("york", "York")))
NOTHING = np.zeros(1)


def said(text: str) -> Hypothesis:
    """A word a second, of ten frames."""
    words = tuple(Word(word, 10 * at, 10 * at + 10, 1.0) for at, word in enumerate(text.split()))
    return Hypothesis(words, 0.0, 0.0, 0.0, 0.0)


def proposal(at: int, name: str) -> tuple[Proposal, Any]:
    return Proposal(at, at + 1, (Word(name, 10 * at, 10 * at + 10, 1.0),), (EntitySpan(name, 0, 1),)), NOTHING


def review(at: int, verdict: str | None, entity: str | None = None, correction: str | None = None, **more: Any) -> Any:
    base = {"whole": False, "probability": 0.25, "start_seconds": float(at), "end_seconds": at + 1.0}
    return base | {"verdict": verdict, "entity": entity, "correction": correction} | more


def known(told: Told, *proposals: tuple[Proposal, Any], text: str = "a b c d") -> list[bool | None]:
    found, said_so = labelled(3, said(text), proposals, LIST, told, 0.1)
    assert {one.utterance for one in found} <= {3}
    return [one.right if is_known else None for one, is_known in zip(found, said_so, strict=True)]


def test_of_what_was_judged_only_what_was_shown_is_known() -> None:
    reviews = [review(0, "accepted", "anna"), review(1, "rejected", "odesa"), review(2, "corrected", "york", "Annie")]
    told = told_of(reviews, LIST, ENGLISH)
    assert (told.whole, told.weight) == (False, 4.0)
    there = proposal(0, "anna"), proposal(1, "odesa"), proposal(2, "york"), proposal(2, "anna"), proposal(3, "york")
    assert known(told, *there) == [True, False, False, True, None]
    assert known(told, proposal(0, "york")) == [False], "another name was said there"
    assert known(told, proposal(1, "york")) == [None], "what was rejected there says nothing of it"


def test_what_a_reviewer_adds_counts_only_where_he_heard_everything() -> None:
    missed = [review(1, "missed", None, "Odesa")]
    assert known(told_of(missed, LIST, ENGLISH), proposal(1, "odesa"), proposal(3, "anna")) == [None, None]
    whole = told_of([one | {"whole": True} for one in missed], LIST, ENGLISH)
    assert known(whole, proposal(1, "odesa"), proposal(3, "anna")) == [True, False]


def test_reviewers_who_agree_count_once_and_names_off_the_list_not_at_all() -> None:
    reviews = [review(0, "accepted", "anna"), review(0, "accepted", "Anna"), review(2, "accepted", "anna")]
    told = told_of([*reviews, review(3, "missed", None, "Somebody", whole=True)], LIST, ENGLISH)
    assert told.said == {"anna": 2}
    assert told_of([review(0, None, whole=True)], LIST, ENGLISH) == Told((), True, 4.0)


def test_an_utterance_without_a_probability_counts_once() -> None:
    assert told_of([review(0, "accepted", "anna", probability=None)], LIST, ENGLISH).weight == pytest.approx(1.0)
