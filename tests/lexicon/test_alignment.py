"""Against all label sequences of all frames, on cases small enough to write them down."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import InputError
from pipeline.lexicon.alignment import IMPOSSIBLE, align_words
from pipeline.lexicon.phones import PHONE_IDS, Pronunciation
from tests.support.speech import spoken

USED = ("AA", "B", "K")


def emissions(seed: int, frames: int) -> np.ndarray:
    logits = np.random.default_rng(seed).normal(0, 2, (frames, 40)).astype(np.float32)
    return (logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)).astype(np.float32)


def brute_force(log_probs: np.ndarray, words: list[list[Pronunciation]]) -> float:
    """The best of every path over the used labels that collapses to some choice of pronunciations."""
    said = [variants for variants in words if any(variants)]
    targets = {tuple(itertools.chain.from_iterable(choice)) for choice in itertools.product(*said)}
    columns = {"": 0} | {phone: PHONE_IDS[phone] + 1 for phone in USED}
    best = np.inf
    for path in itertools.product(columns, repeat=len(log_probs)):
        collapsed = tuple(label for label, _ in itertools.groupby(path) if label)
        if collapsed in targets:
            best = min(best, -sum(log_probs[t, columns[label]] for t, label in enumerate(path)))
    return best if np.isfinite(best) else IMPOSSIBLE


PRONUNCIATION = st.lists(st.sampled_from(USED), min_size=1, max_size=3).map(tuple)
WORDS = st.lists(st.lists(PRONUNCIATION, min_size=0, max_size=2), min_size=0, max_size=3)


@settings(max_examples=80, deadline=None)
@given(words=WORDS, frames=st.integers(1, 6), seed=st.integers(0, 1000))
def test_equals_brute_force(words: list[list[Pronunciation]], frames: int, seed: int) -> None:
    log_probs = emissions(seed, frames)
    found = align_words(log_probs, words)
    assert found.cost == pytest.approx(brute_force(log_probs, words), rel=1e-5)
    assert len(found.words) == len(words)
    if found.cost == IMPOSSIBLE:
        return
    for variants, word in zip(words, found.words, strict=True):
        assert not variants or tuple(phone.phone for phone in word.phones) in variants
    phones = [phone for word in found.words for phone in word.phones]
    assert all(a.end_frame <= b.start_frame for a, b in itertools.pairwise(phones))
    assert all(0 <= phone.start_frame < phone.end_frame <= frames for phone in phones)
    if phones:
        assert sum(word.cost for word in found.words) == pytest.approx(found.cost, rel=1e-5)


def test_times_and_chosen_variant() -> None:
    words = [[("K", "AE", "T")], [("S", "EH", "T"), ("S", "AE", "T")]]
    found = align_words(spoken("- K K AE - T S S AE T -"), words)
    cat, sat = found.words
    assert [phone.phone for phone in sat.phones] == ["S", "AE", "T"]
    assert (cat.start_frame, cat.end_frame) == (1, 6)
    assert (sat.start_frame, sat.end_frame) == (6, 10)
    assert [(p.start_frame, p.end_frame) for p in cat.phones] == [(1, 3), (3, 4), (5, 6)]
    assert found.cost == pytest.approx(-11 * np.log(0.9), rel=1e-4)
    assert cat.cost == pytest.approx(-6 * np.log(0.9), rel=1e-4)


def test_equal_phones_need_a_blank_between() -> None:
    words = [[("T",)], [("T",)]]
    assert align_words(spoken("T - T"), words).cost == pytest.approx(-3 * np.log(0.9), rel=1e-4)
    assert align_words(spoken("T T T"), words).cost > 5
    assert align_words(spoken("T T"), words).cost == IMPOSSIBLE


def test_nothing_to_align() -> None:
    silence = spoken("- -")
    assert align_words(silence, []).cost == pytest.approx(-2 * np.log(0.9), rel=1e-4)
    assert align_words(silence, [[], [()]]).cost == pytest.approx(-2 * np.log(0.9), rel=1e-4)
    assert align_words(silence[:0], []).cost == 0.0
    assert align_words(silence[:0], [[("T",)]]).cost == IMPOSSIBLE


def test_wrong_columns() -> None:
    with pytest.raises(InputError, match=r"\[T, 40\], got \[5, 39\]"):
        align_words(np.zeros((5, 39), np.float32), [])
