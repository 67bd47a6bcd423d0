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


def cheapest(frames: str, text: str, **unsure: float) -> tuple[float, int]:
    """Ask for ``text`` in frames that are each sure of a piece: A, B (of a word's begin), b, M (A and b), - (blank).

    A piece named in ``unsure`` has that probability in every frame that is sure of another.
    """
    column = {"-": 0, "A": 1, "b": 2, "M": 3, "B": 4}
    log_probs = np.full((len(frames), len(PIECES)), np.log(1e-4), np.float32)
    for name, probability in unsure.items():
        log_probs[:, column[name]] = np.log(probability)
    for at, frame in enumerate(frames):
        log_probs[at, column[frame]] = np.log(0.5)
    return SubwordScorer(TOKENS).cheapest(log_probs, log_probs.max(axis=1), text)


def test_what_is_said_somewhere_costs_nothing_whatever_stands_around_it() -> None:
    assert cheapest("BBA-bBB", "ab") == (0.0, 2)
    assert cheapest("BBMBB", "ab") == (0.0, 1)  # in the pieces that it is cheapest in
    assert cheapest("BA-A", "a a") == (0.0, 2)


def test_every_frame_that_says_something_else_costs_what_it_is_behind() -> None:
    behind = np.log(0.5 / 1e-4)
    assert cheapest("B-B", "ab") == (pytest.approx(behind), 1)  # one piece for both letters, wherever
    assert cheapest("B-A", "ab") == (pytest.approx(behind), 1)
    assert cheapest("A-B", "ab", b=0.1) == (pytest.approx(np.log(5)), 2)


def test_the_same_piece_twice_needs_a_blank_between() -> None:
    assert cheapest("A-A", "a a")[0] == 0.0
    assert cheapest("AAA", "a a")[0] == pytest.approx(np.log(0.5 / 1e-4), rel=1e-5)
    assert cheapest("AA", "a a") == (np.inf, 1)


def test_the_cheapest_place_is_no_dearer_than_all_frames() -> None:
    noise = np.random.default_rng(1)
    for text in ("a", "ab", "abb", "a b"):
        log_probs = np.log(noise.dirichlet(np.ones(len(PIECES)), 6)).astype(np.float32)
        best = log_probs.max(axis=1)
        cost, pieces = SubwordScorer(TOKENS).cheapest(log_probs, best, text)
        spans = [(i, j) for i in range(6) for j in range(i + 1, 7)]
        tried = [float(best[i:j].sum()) - SubwordScorer(TOKENS).score(log_probs[i:j], text) for i, j in spans]
        assert cost == pytest.approx(min(tried), rel=1e-4)
        assert 1 <= pieces <= len(text.replace(" ", ""))


def test_what_cannot_be_spelled_is_nowhere() -> None:
    assert cheapest("A-b", "xylophone") == (np.inf, 1)
    assert cheapest("A-b", "") == (np.inf, 1)


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
