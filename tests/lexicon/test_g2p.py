"""The G2P decoder and its training, on a toy language and on the shipped model."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.config import PRONUNCIATIONS
from pipeline.errors import ModelError
from pipeline.lexicon.g2p import G2P, load_g2p, save_g2p
from pipeline.lexicon.phones import parse_phones
from pipeline.training.g2p import kneser_ney
from pipeline.training.g2p.train import Lexicon, edit_distance, measure, train

TOY: Lexicon = {
    word: [tuple({"a": "AE", "t": "T", "p": "P", "h": "HH", "s": "S"}[c] for c in word.replace("ph", "p"))]
    for word in ("tat", "pat", "tap", "sat", "spat", "asp", "tasp", "hat", "pats", "taps", "hats", "has", "sap")
}
TOY |= {"pha": [("F", "AE")], "phat": [("F", "AE", "T")], "phas": [("F", "AE", "S")], "saph": [("S", "AE", "F")]}


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> G2P:
    path = tmp_path_factory.mktemp("g2p") / "toy.npz"
    save_g2p(train(TOY, threshold=0.0, min_count=1), path)
    return load_g2p(path)


def test_learns_letters_and_digraphs(toy: G2P) -> None:
    assert toy.pronounce("stap", 1)[0][0] == ("S", "T", "AE", "P")
    assert toy.pronounce("phasp", 1)[0][0] == ("F", "AE", "S", "P")


def test_n_best_is_sorted_distinct_and_a_distribution(toy: G2P) -> None:
    found = toy.pronounce("phat", 5)
    weights = [weight for _, weight in found]
    assert weights == sorted(weights, reverse=True)
    assert len({phones for phones, _ in found}) == len(found) > 1
    assert 0.5 < sum(weights) <= 1.0 + 1e-9


def test_a_wider_beam_agrees(toy: G2P) -> None:
    for word in ("phaspat", "hathat", "tapsap"):
        assert toy.pronounce(word, 1, beam=8)[0][0] == toy.pronounce(word, 1, beam=200)[0][0]


def test_only_its_letters(toy: G2P) -> None:
    with pytest.raises(ModelError, match="got 'té'"):
        toy.pronounce("té", 1)


def test_kneser_ney_sums_to_one_for_every_context() -> None:
    noise = np.random.default_rng(0)
    sequences = [np.array([5, *noise.integers(0, 4, noise.integers(1, 9)), 4]) for _ in range(200)]
    levels = kneser_ney.count_levels(sequences, 3, 6, start=5)
    kneser_ney.estimate(levels, start=5)
    check_sums(levels)
    before = len(levels[2].token)
    kneser_ney.prune(levels, 1e-3)
    assert len(levels[2].token) < before
    check_sums(levels)


def check_sums(levels: list[kneser_ney.Level]) -> None:
    """Sum of the explicit successors, and of the backed-off rest, after every bigram context."""
    assert levels[0].prob.sum() == pytest.approx(1.0)
    bigrams = np.zeros((6, 6))
    bigrams[:] = levels[0].backoff[:, None] * levels[0].prob
    bigrams[levels[1].parent, levels[1].token] = levels[1].prob
    contexts = np.unique(levels[1].parent)
    np.testing.assert_allclose(bigrams[contexts].sum(axis=1), 1.0, atol=1e-9)
    for node in np.unique(levels[2].parent):
        probs = levels[1].backoff[node] * bigrams[levels[1].token[node]]
        mine = levels[2].parent == node
        probs[levels[2].token[mine]] = levels[2].prob[mine]
        assert probs.sum() == pytest.approx(1.0)


def test_shipped_model_says_common_patterns() -> None:
    model = load_g2p(PRONUNCIATIONS / "g2p.npz")
    lexicon: Lexicon = {  # words that are not in CMUdict
        "stablekeeper": [parse_phones("S T EY B AH L K IY P ER")],
        "blorfing": [parse_phones("B L AO R F IH NG")],
        "phlim": [parse_phones("F L IH M")],
    }
    rates = measure(model, lexicon, lexicon)
    assert rates["5-best coverage"] == 1.0
    assert rates["phone error rate"] < 0.2


def test_missing_and_corrupt_models(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="not a G2P model"):
        load_g2p(tmp_path / "missing.npz")
    (tmp_path / "bad.npz").write_bytes((PRONUNCIATIONS / "g2p.npz").read_bytes()[:1000])
    with pytest.raises(ModelError, match="not a G2P model"):
        load_g2p(tmp_path / "bad.npz")


def test_edit_distance() -> None:
    assert edit_distance(("K", "AE", "T"), ("K", "AE", "T")) == 0
    assert edit_distance(("K", "AE", "T"), ("AE", "T", "S")) == 2
    assert edit_distance((), ("AE",)) == 1
