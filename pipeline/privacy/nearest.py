"""The default: a word comes out as one of the commonest words, near ones e^epsilon times as likely as others.

Its group is the whole vocabulary, so nothing of it is told. Of M outputs, k have weight e^epsilon and the others 1.
Which ones depends on the word, how many does not. So the sum is the same for every word, and an outcome is at most
e^epsilon times likelier with one word than with another, whichever two they are. (With k = 1 it is K-ary randomised
response. That two weights are enough for the best utility at an epsilon: Kairouz, Oh, Viswanath 2014.)

Every word's line of probabilities is the same line in another order. So the audit looks at that line alone and has seen
every pair of words and every outcome.
"""

import functools
import math

import numpy as np
import numpy.typing as npt

from pipeline.privacy.config import HIT, OUTPUTS, SKIPPED, PrivacyConfig
from pipeline.privacy.embeddings import Embeddings, Floats, Words
from pipeline.privacy.mechanism import Audit, Behind, Ladder, Mechanism, largest_ratio
from pipeline.privacy.noise import Bits, uniform

_ROWS = 256  # words at a time: 2 MB of products


def outputs_of(words: int) -> range:
    """Return the ids that can come out with a vocabulary of so many words; none is skipped where there are few."""
    first = SKIPPED if words >= SKIPPED + OUTPUTS else 0
    return range(first, min(first + OUTPUTS, words))


def near_count(epsilon: float, outputs: int) -> int:
    """Return k, with which one of the k nearest comes out in HIT of all cases; from 1 to ``outputs`` - 1."""
    odds = HIT / (1 - HIT)
    return min(max(1, round(outputs * odds / (math.exp(min(epsilon, 700)) + odds))), max(1, outputs - 1))


class Nearest(Mechanism):
    """See the module."""

    def __init__(self, embeddings: Embeddings, config: PrivacyConfig) -> None:
        super().__init__(embeddings)
        self._epsilon, self._range = config.epsilon, outputs_of(len(embeddings))
        self.near = near_count(config.epsilon, len(self._range))
        weights = np.full(len(self._range), math.exp(-config.epsilon))
        weights[-self.near :] = 1.0
        self._ladder = Ladder.of(weights[None])

    def _orders(self, words: Words) -> npt.NDArray[np.int64]:
        """The outputs [B, M] of each word, the likely ones last; equal ones in the order of ids."""
        outputs = np.arange(self._range.start, self._range.stop)[::-1]
        order = np.argsort(self.embeddings.alike(words, self._range)[:, ::-1], axis=1, kind="stable")
        return np.asarray(outputs[order])

    @functools.cached_property
    def _line(self) -> Floats:
        """The probabilities [M] of an order's places, as they are rounded."""
        return np.asarray(self._ladder.realised()[0])

    def probabilities(self, words: Words) -> Floats:
        """[B, N]; 0 for words that are not among the outputs."""
        found = np.zeros((len(words), len(self.embeddings)))
        np.put_along_axis(found, self._orders(words), self._line[None], axis=1)
        return found

    def draw(self, words: Words, bits: Bits) -> Words:
        """[n]: a place by chance, then the word that is there."""
        sums = self._ladder.sums[0]
        places = np.searchsorted(sums, uniform(bits[:, 0], bits[:, 1]) * sums[-1])
        places = np.minimum(places, len(self._range) - 1)
        distinct, rows = np.unique(words, return_inverse=True)
        order, found = np.argsort(rows, kind="stable"), np.empty(len(words), np.int32)
        starts = np.searchsorted(rows[order], np.arange(0, len(distinct) + _ROWS, _ROWS))
        for at, begin, end in zip(range(0, len(distinct), _ROWS), starts, starts[1:], strict=False):
            tokens = order[begin:end]
            found[tokens] = self._orders(distinct[at : at + _ROWS])[rows[tokens] - at, places[tokens]]
        return found

    def audit(self) -> Audit:
        """See the module."""
        loss = largest_ratio(np.array([[self._line.min()], [self._line.max()]]))
        return Audit(
            f"epsilon {self._epsilon:g} a word, whichever two words are compared; no group is told",
            self._epsilon,
            loss,
            "every pair of words, from the rounded sums that draws are made with; all words have the same sums",
            loss,
            self._epsilon,
        )

    @functools.cached_property
    def _is_near(self) -> npt.NDArray[np.bool_]:
        """[N, M]: 20 MB and two seconds for 20,000 words; for attacks, not for draws."""
        found = np.zeros((len(self.embeddings), len(self._range)), bool)
        for at in range(0, len(found), _ROWS):
            words = np.arange(at, min(at + _ROWS, len(found)), dtype=np.int32)
            near = self._orders(words)[:, -self.near :] - self._range.start
            np.put_along_axis(found[at : at + _ROWS], near, True, axis=1)
        return found

    def behind(self, output: int) -> Behind:
        """Every word of the vocabulary."""
        words = np.arange(len(self.embeddings), dtype=np.int32)
        if output not in self._range:
            return Behind(words, np.zeros(len(words)))
        return Behind(words, np.where(self._is_near[:, output - self._range.start], self._line[-1], self._line[0]))
