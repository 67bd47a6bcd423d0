"""A word comes out as one of its public group of about twenty, and the group is told.

``within: nearest`` is a module of its own (nearest): its group is the whole vocabulary.

kary. The word itself has weight e^epsilon, each other of its group 1. All rows of a group have the same sum. So an
outcome is at most e^epsilon times likelier with one word of the group than with another: epsilon within the group.

distance. P(z|w) is proportional to prior(z) exp(-c epsilon d(w,z) / D), D the group's largest distance. Between two
words of the group the exponent differs by c epsilon at most, and so does the logarithm of the sum: with c = 1/2 it is
epsilon together. It is less, as the sums differ little. So c is the largest, from 1/2 to 1, with which no pair of the
group tells more than epsilon: every pair and outcome is looked at, as the audit does.
With a prior, kary is the same with d 0 for the word itself and D for the others.

Between words of different groups the loss is infinite: that the group is told is part of the claim.
"""

import functools

import numpy as np

from pipeline.privacy.config import KARY, PrivacyConfig
from pipeline.privacy.embeddings import Embeddings, Floats, Words
from pipeline.privacy.mechanism import Audit, Behind, Ladder, Mechanism, largest_ratio
from pipeline.privacy.noise import Bits, uniform

_HALVINGS = 10  # of the range of c: epsilon is used up to a thousandth of it


class Grouped(Mechanism):
    """See the module."""

    def __init__(self, embeddings: Embeddings, config: PrivacyConfig, prior: Floats | None) -> None:
        """``prior``: [N], None for none."""
        super().__init__(embeddings)
        self._config, self._prior = config, prior
        members = embeddings.members
        self._size = max(map(len, members))
        self._members = np.zeros((len(members), self._size), np.int32)
        self._place = np.empty(len(embeddings), np.int64)
        for group, words in enumerate(members):
            self._members[group, : len(words)] = words
            self._place[words] = np.arange(len(words))

    @functools.cached_property
    def _weights(self) -> Floats:
        """[groups, size, size]: from word to word, 0 where a group is smaller."""
        weights = np.zeros((len(self._members), self._size, self._size))
        for group, words in enumerate(self.embeddings.members):
            weights[group, : len(words), : len(words)] = self._group_weights(words)
        return weights

    def _group_weights(self, words: Words) -> Floats:
        distances = self.embeddings.distances(words, words)
        widest = distances.max() or 1.0
        apart = 1.0 - np.eye(len(words)) if self._config.inside == KARY else distances / widest
        prior, truncate = None if self._prior is None else self._prior[words], self._config.truncate
        exact = self._config.inside == KARY and prior is None
        share = 1.0 if exact else 0.5 if truncate is not None else widest_share(apart, prior, self._config.epsilon)
        weights = _weighted(apart, prior, share * self._config.epsilon)
        if truncate is not None and truncate.distance is not None:
            weights = np.where(distances <= truncate.distance, weights, 0.0)
        elif truncate is not None and truncate.neighbours is not None:
            ranks = np.argsort(np.argsort(distances - np.eye(len(words)), axis=1, kind="stable"), axis=1)
            weights = np.where(ranks < truncate.neighbours, weights, 0.0)
        return np.asarray(weights)

    @functools.cached_property
    def _ladder(self) -> Ladder:
        flat = self._weights.reshape(-1, self._size)
        return Ladder.of(np.where(flat.sum(axis=1, keepdims=True) > 0, flat, 1.0))  # rows of no word are never drawn

    def _rows(self, words: Words) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        return self.embeddings.groups[words].astype(np.int64) * self._size + self._place[words]

    def probabilities(self, words: Words) -> Floats:
        """[B, N]; 0 outside of a word's group."""
        weights = self._weights.reshape(-1, self._size)[self._rows(words)]
        found = np.zeros((len(words), len(self.embeddings)))
        for row, (word, line) in enumerate(zip(words, weights / weights.sum(axis=1, keepdims=True), strict=True)):
            group = self.embeddings.members[self.embeddings.groups[word]]
            found[row, group] = line[: len(group)]
        return found

    def draw(self, words: Words, bits: Bits) -> Words:
        """[n]."""
        places = self._ladder.draw(self._rows(words), uniform(bits[:, 0], bits[:, 1]))
        return np.asarray(self._members[self.embeddings.groups[words], places])

    def behind(self, output: int) -> Behind:
        """The words of its group."""
        words = self.embeddings.members[self.embeddings.groups[output]]
        weights = self._weights[self.embeddings.groups[output]][: len(words)]
        return Behind(words, np.asarray(weights[:, self._place[output]] / weights.sum(axis=1)))

    def audit(self) -> Audit:
        """Every pair of words of every group, with the probabilities as they are rounded."""
        realised = self._ladder.realised().reshape(self._weights.shape)
        lines = [realised[group, : len(words), : len(words)] for group, words in enumerate(self.embeddings.members)]
        loss = max(largest_ratio(line) for line in lines)
        return Audit(
            f"epsilon {self._config.epsilon:g} a word within its group; the group is told",
            self._config.epsilon,
            loss,
            "every pair of words of every group, from the rounded sums that draws are made with",
            np.inf if len(lines) > 1 else loss,
            loss if np.isinf(loss) else self._config.epsilon,
            sum(int(((line > 0).sum(axis=1) == 1).sum()) for line in lines),
        )


def _weighted(apart: Floats, prior: Floats | None, slope: float) -> Floats:
    weights: Floats = np.exp(-slope * apart)
    return weights if prior is None else weights * prior


def widest_share(apart: Floats, prior: Floats | None, epsilon: float) -> float:
    """Return the largest c, from 1/2 to 1, with which no pair of a group tells more than ``epsilon``.

    apart: [n, n] from 0 to 1; prior: [n], None for none. 1/2 is proved for distances (see the module).
    """

    def tells(share: float) -> float:
        weights = _weighted(apart, prior, share * epsilon)
        return largest_ratio(weights / weights.sum(axis=1, keepdims=True))

    low, high = 0.5, 1.0
    if tells(high) <= epsilon:
        return high
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if tells(middle) <= epsilon else (low, middle)
    return low
