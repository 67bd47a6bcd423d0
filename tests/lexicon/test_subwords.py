import itertools

import kenlm
import numpy as np
import pytest

from pipeline.config import LanguageModelConfig
from pipeline.lexicon.subwords import IMPOSSIBLE, SubwordScorer
from pipeline.rescoring.context import ContextScorer
from pipeline.types.tokens import WORD_START, Tokens

PIECES = ("", WORD_START + "a", "b", WORD_START + "ab", WORD_START + "b")
TOKENS = Tokens(PIECES, 0, lambda text: [], lambda text, count: [])


def best_of_all_paths(log_probs: np.ndarray, text: str) -> float:
    """Try every path: collapse it and compare its text."""
    best = -np.inf
    for path in itertools.product(range(len(PIECES)), repeat=len(log_probs)):
        pieces = [piece for piece, _ in itertools.groupby(path) if piece]
        if TOKENS.decode(pieces) == text and PIECES[pieces[0]].startswith(WORD_START):
            best = max(best, float(log_probs[np.arange(len(path)), path].sum()))
    return best


@pytest.mark.parametrize("text", ["a", "ab", "abb", "a b", "b ab", "a a"])
def test_equal_to_trying_every_path(text: str) -> None:
    noise = np.random.default_rng(len(text))
    for _ in range(3):
        log_probs = np.log(noise.dirichlet(np.ones(len(PIECES)), 5)).astype(np.float32)
        assert SubwordScorer(TOKENS).score(log_probs, text) == pytest.approx(
            best_of_all_paths(log_probs, text), rel=1e-5
        )


def test_nothing_is_blanks_and_what_cannot_be_spelled_is_impossible() -> None:
    log_probs = np.log(np.full((3, len(PIECES)), 0.2, np.float32))
    assert SubwordScorer(TOKENS).score(log_probs, "") == pytest.approx(3 * np.log(0.2))
    assert SubwordScorer(TOKENS).score(log_probs, "xylophone") == IMPOSSIBLE
    assert SubwordScorer(TOKENS).score(log_probs[:1], "a b") <= IMPOSSIBLE / 2


def test_context_agrees_with_whole_sentences() -> None:
    scorer, model = ContextScorer(LanguageModelConfig()), kenlm.Model(LanguageModelConfig().path)
    before, after = ["he", "went", "to", "the"], ["of", "the", "house", "and", "sat", "down"]
    change = scorer.score(before, ["door"], after) - scorer.score(before, ["dough", "or"], after)
    whole = [model.score(" ".join([*before, words, *after])) for words in ("door", "dough or")]
    assert change == pytest.approx((whole[0] - whole[1]) * np.log(10), rel=1e-4)
    short = scorer.score([], ["door"], []) - scorer.score([], ["or"], [])
    assert short == pytest.approx((model.score("door") - model.score("or")) * np.log(10), rel=1e-4)
    assert scorer.knows("door")
    assert not scorer.knows("qqzelensky")
    assert ContextScorer(None).score(before, ["door"], after) == 0.0
