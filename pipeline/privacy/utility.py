"""What private texts are still good for."""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pipeline.privacy.embeddings import Embeddings, Floats, Words
from pipeline.privacy.mechanism import Mechanism


class Labelled(NamedTuple):
    """A text and its class."""

    text: str
    label: str


def accuracy(training: Sequence[Labelled], test: Sequence[Labelled], embeddings: Embeddings) -> float:
    """Return the accuracy on ``test`` of a linear classifier that was trained on ``training``.

    It reads the mean vector of a text's words and is fitted by least squares with a small penalty.
    """
    labels = sorted({one.label for one in training})
    targets = np.array([[1.0 if one.label == label else -1.0 for label in labels] for one in training])
    known, unknown = _means(training, embeddings), _means(test, embeddings)
    square = known.T @ known + _PENALTY * len(known) * np.eye(known.shape[1])
    guesses = (unknown @ np.linalg.solve(square, known.T @ targets)).argmax(axis=1)
    return float(np.mean([labels[guess] == one.label for guess, one in zip(guesses, test, strict=True)]))


_PENALTY = 0.01


def _means(texts: Sequence[Labelled], embeddings: Embeddings) -> Floats:
    """The mean vector of each text's known words, and a one [n, D + 1]."""
    found = np.zeros((len(texts), embeddings.vectors.shape[1] + 1))
    found[:, -1] = 1.0
    for row, one in enumerate(texts):
        known = [embeddings.ids[word] for word in one.text.split() if word in embeddings.ids]
        if known:
            found[row, :-1] = embeddings.vectors[known].mean(axis=0) * embeddings.scale
    return found


class Moves(NamedTuple):
    """How words move: the share that stays, by deciles of density the mean distance, and how many words are likely.

    by_density:  mean distance of what comes out, from the densest tenth of words to the sparsest
    deniability: how many words come out with more than one in a thousand, in the mean
    """

    stays: float
    by_density: list[float]
    deniability: float


def moves(mechanism: Mechanism, words: Words) -> Moves:
    """Return how ``words`` move, each alike; exact where the mechanism's probabilities are, else from DRAWS of each."""
    embeddings = mechanism.embeddings
    if len(mechanism.outputs) != len(embeddings):
        return Moves(0.0, [], 1.0)
    stays, far, likely = np.empty(len(words)), np.empty(len(words)), np.empty(len(words))
    for at, word in enumerate(words):
        line = mechanism.probabilities(words[at : at + 1])[0] if mechanism.is_exact else _drawn(mechanism, word)
        stays[at], likely[at] = line[word], (line > 1e-3).sum()
        far[at] = line @ embeddings.distances(words[at : at + 1])[0]
    order = np.argsort(embeddings.sparsity(words))
    return Moves(
        float(stays.mean()), [float(far[part].mean()) for part in np.array_split(order, 10)], float(likely.mean())
    )


DRAWS = 200


def _drawn(mechanism: Mechanism, word: np.int32) -> Floats:
    bits = np.random.default_rng(int(word)).integers(0, 2**64, (DRAWS, 4), np.uint64)
    drawn = mechanism.draw(np.full(DRAWS, word, np.int32), bits)
    return np.bincount(drawn, minlength=len(mechanism.outputs)) / DRAWS


def sample_of(embeddings: Embeddings, count: int) -> Words:
    """Return ``count`` words, evenly over the vocabulary."""
    return np.linspace(0, len(embeddings) - 1, count).astype(np.int32)


def changed(original: Sequence[str], private: Sequence[str]) -> float:
    """Return the word error rate from original to private texts; both have the same number of words."""
    pairs = [
        (a, b)
        for one, other in zip(original, private, strict=True)
        for a, b in zip(one.split(), other.split(), strict=True)
    ]
    return sum(a != b for a, b in pairs) / max(len(pairs), 1)


def frequencies(texts: Sequence[str], embeddings: Embeddings) -> Floats:
    """Return how often each word [N] of the vocabulary comes, each once more than it does."""
    counts = Counter(word for text in texts for word in text.split())
    found = np.array([counts[word] + 1.0 for word in embeddings.words])
    return np.asarray(found / found.sum())
