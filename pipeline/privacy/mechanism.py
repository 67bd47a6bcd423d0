"""What a mechanism is: for each word the exact probability of every word that can come out, a draw, and an audit."""

import dataclasses
import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pipeline.privacy.embeddings import Embeddings, Floats, Words
from pipeline.privacy.noise import Bits

SLACK = 1e-9
"""What rounding may add to a loss."""


@dataclasses.dataclass(frozen=True)
class Audit:
    """What a mechanism really tells about a word, next to what is claimed for it.

    A loss is the logarithm of how many times likelier an outcome is with one word than with another. All are maxima
    over every pair of words and every outcome; infinite where an outcome of one word is impossible with the other.

    claim:     what is claimed, in words
    claimed:   the number in it
    measured:  the largest loss in the unit of the claim
    how:       how ``measured`` was found
    all_pairs: the largest loss over all pairs of words, in nats
    charge:    what one word costs a budget
    alone:     words that can only come out as themselves
    """

    claim: str
    claimed: float
    measured: float
    how: str
    all_pairs: float
    charge: float
    alone: int = 0

    @property
    def exceeds(self) -> bool:
        """Whether more is told than is claimed."""
        return not self.measured <= self.claimed + SLACK


class Behind(NamedTuple):
    """Words [n] that may stand behind an outcome, and with what probability [n] each comes out as it."""

    words: Words
    chances: Floats


class Mechanism(ABC):
    """Draws words for words, under one set of parameters."""

    is_exact = True
    """Whether ``probabilities`` are exact; if not they are an estimate, which says how it is made."""

    def __init__(self, embeddings: Embeddings) -> None:
        self.embeddings = embeddings

    @property
    def outputs(self) -> Sequence[str]:
        """Everything that can come out; draws and the columns of ``probabilities`` are places in it."""
        return self.embeddings.words

    @abstractmethod
    def probabilities(self, words: Words) -> Floats:
        """Return the probability [B, outputs] of everything that can come out for each word."""

    @abstractmethod
    def draw(self, words: Words, bits: Bits) -> Words:
        """Return what comes out [n] for words [n], given the noise of each."""

    def behind(self, output: int) -> Behind:
        """Return words that may stand behind an outcome: its public group, or as many near ones where that is small."""
        near = self.embeddings.members[self.embeddings.groups[output]]
        if len(near) < _LEAST_BEHIND:
            near = self.embeddings.nearest(np.array([output], np.int32), min(_LEAST_BEHIND, len(self.embeddings)))[0]
        words = near.astype(np.int32)
        return Behind(words, self.probabilities(words)[:, output])

    @abstractmethod
    def audit(self) -> Audit:
        """Return the exact losses over all pairs of words."""


_LEAST_BEHIND = 20


class Redact(Mechanism):
    """Writes the same for every word."""

    WRITTEN = "[word]"

    @property
    def outputs(self) -> Sequence[str]:
        """One text."""
        return (self.WRITTEN,)

    def probabilities(self, words: Words) -> Floats:
        """Certainty [B, 1]."""
        return np.ones((len(words), 1))

    def draw(self, words: Words, bits: Bits) -> Words:
        """Return zeros [n]."""
        return np.zeros(len(words), np.int32)

    def audit(self) -> Audit:
        """Nothing is told."""
        return Audit("every word is written alike", 0.0, 0.0, "there is one outcome", 0.0, 0.0)


@dataclasses.dataclass(frozen=True)
class Ladder:
    """Outcomes of rows of weights, drawn by inverting their sums.

    order: [B, M], outcomes by ascending weight
    sums:  [B, M], of the weights up to each

    The sums begin with the smallest weight, so a sum is never more than M times the weight that it ends with, and its
    rounding is at most about M * 2**-52 of that weight. With numbers that keep their digits near 0 (noise.uniform),
    every outcome comes with its probability to within that, relatively: below 1e-11 for 20,000 outcomes.
    """

    order: npt.NDArray[np.int64]
    sums: Floats

    @classmethod
    def of(cls, weights: Floats) -> "Ladder":
        """Return the ladder of weights [B, M]."""
        order = np.argsort(weights, axis=1, kind="stable")
        return cls(order, np.cumsum(np.take_along_axis(weights, order, axis=1), axis=1))

    def draw(self, rows: npt.NDArray[np.int64], numbers: Floats) -> npt.NDArray[np.int64]:
        """Return the outcome [n] of each number [n], above 0 and up to 1, in its row [n]."""
        sums = self.sums[rows]
        place = (sums < (numbers * sums[:, -1])[:, None]).sum(axis=1)
        return np.asarray(self.order[rows, np.minimum(place, sums.shape[1] - 1)])

    def realised(self) -> Floats:
        """Return the probabilities [B, M] with which outcomes really come, from the sums as they were rounded."""
        exact = self.sums.astype(np.longdouble)
        steps = np.diff(exact, axis=1, prepend=np.longdouble(0)) / exact[:, -1:]
        found = np.empty(self.sums.shape)
        np.put_along_axis(found, self.order, steps.astype(np.float64), axis=1)
        return found


def largest_ratio(probabilities: Floats) -> float:
    """Return the largest logarithm of a ratio between two rows of a column; infinite where only one of them is 0."""
    low, high = probabilities.min(axis=0), probabilities.max(axis=0)
    if np.any((low == 0) & (high > 0)):
        return math.inf
    seen = high > 0
    return float(np.log(high[seen] / low[seen]).max())
