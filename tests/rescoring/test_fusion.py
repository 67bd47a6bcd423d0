import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.config import PhoneFusionConfig
from pipeline.lexicon.alignment import IMPOSSIBLE, align_words
from pipeline.lexicon.phones import PHONE_IDS
from pipeline.lexicon.pronunciation import ListPronouncer, Pronouncer
from pipeline.rescoring.fusion import PhoneFusion
from pipeline.rescoring.technique import Sounds
from pipeline.types.emissions import Emissions, SparseLogProbs
from pipeline.types.entity import Entity, EntityList
from pipeline.types.hypothesis import EntitySpan, Hypothesis, Word

PRONOUNCER = Pronouncer(n_best=4)
LISTS = ListPronouncer(PRONOUNCER)
WORDS = ["tomato", "a", "the", "read", "eight", "bob", "bees", "'"]


def fusion_of(**fields: float) -> PhoneFusion:
    return PhoneFusion(PhoneFusionConfig(**fields), Sounds(PRONOUNCER, LISTS, PRONOUNCER.knows))  # type: ignore[arg-type]


def random_log_probs(frames: int, seed: int) -> np.ndarray:
    logits = np.random.default_rng(seed).normal(size=(frames, len(PHONE_IDS) + 1)) * 3
    return (logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)).astype(np.float16)


def hypothesis(text: str, frames: int, total: float = 0.0) -> Hypothesis:
    words = text.split()
    edges = np.linspace(0, frames, len(words) + 1).astype(int)
    spoken = tuple(Word(word, int(edges[i]), int(edges[i + 1]), 1.0) for i, word in enumerate(words))
    return Hypothesis(spoken, total, 0.0, 0.0, total)


def heard(log_probs: np.ndarray) -> Emissions:
    empty = np.zeros((len(log_probs), 0))
    return Emissions(SparseLogProbs(empty.astype(np.int16), empty.astype(np.float16)), log_probs)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(WORDS), max_size=5), st.integers(1, 40), st.integers(0, 10_000))
def test_cost_with_wide_windows_is_that_of_the_forced_alignment(words: list[str], frames: int, seed: int) -> None:
    log_probs = np.maximum(random_log_probs(frames, seed).astype(np.float32), np.float32(-8.0))
    wanted = align_words(log_probs, [PRONOUNCER.pronounce(word) for word in words]).cost
    fusion = fusion_of(margin=1000)
    cost = fusion.cost(hypothesis(" ".join(words), frames), -log_probs, {})
    if wanted >= IMPOSSIBLE:
        assert not np.isfinite(cost)
    else:
        assert cost == pytest.approx(wanted, abs=1e-3)


def spoken(phones: str) -> np.ndarray:
    """Log-probs of a clear voice: each phone in a frame of its own, blanks between."""
    columns = [column for phone in phones.split() for column in (PHONE_IDS[phone] + 1, 0)]
    log_probs = np.full((len(columns), len(PHONE_IDS) + 1), -9.0)
    log_probs[np.arange(len(columns)), columns] = 0.0
    return log_probs.astype(np.float16)


def test_what_was_heard_outweighs_a_small_lead_of_the_search() -> None:
    log_probs = spoken("K AE T")
    wrong, right = hypothesis("cut", len(log_probs), -1.0), hypothesis("cat", len(log_probs), -2.0)
    fused = fusion_of(weight=0.8).fuse([wrong, right], heard(log_probs), EntityList())
    assert [one.text for one in fused] == ["cat", "cut"]
    assert fused[0].phone_cost == pytest.approx(0.0)
    assert fused[0].total == -2.0
    assert fused[1].phone_cost == pytest.approx(8.0)
    assert fused[1].total == pytest.approx(-1.0 - 0.8 * 8.0)


def test_an_entity_is_heard_as_its_list_says() -> None:
    log_probs = spoken("K AE T")
    entities = EntityList((Entity("qat", "Qat", pronunciations=("K AE T",)),))
    named = dataclasses.replace(hypothesis("qat", len(log_probs), -2.0), entities=(EntitySpan("qat", 0, 1),))
    fused = fusion_of().fuse([hypothesis("cut", len(log_probs), -1.0), named], heard(log_probs), entities)
    assert [one.text for one in fused] == ["qat", "cut"]


def test_words_that_do_not_fit_leave_the_order_of_the_search() -> None:
    log_probs = spoken("K AE T")[:2]
    nbest = [hypothesis("catamaran", 2, -1.0), hypothesis("cat", 2, -2.0)]
    assert fusion_of().fuse(nbest, heard(log_probs), EntityList()) == nbest


def test_without_a_phone_head_nothing_changes() -> None:
    nbest = [hypothesis("cut", 4, -1.0), hypothesis("cat", 4, -2.0)]
    emissions = Emissions(heard(spoken("K AE T")).tokens, None)
    assert fusion_of().fuse(nbest, emissions, EntityList()) == nbest
