"""The exponential mechanism over all words: P(z|w) is proportional to prior(z) exp(-epsilon min(d(w,z), cut) / 2).

It tells at most epsilon times their distance between two words: the exponents differ by epsilon d(w,w') / 2 at most, as
distances obey the triangle inequality, and so does the logarithm of the sum.

With a cut it is the truncated exponential mechanism (TEM): words farther than the cut are all alike, which is what its
"none of the near ones" followed by an even choice comes to. Without one it is the Laplace mechanism on words, with the
companion paper's prior and truncation. Truncation leaves only near words, so that losses become infinite.

Where nothing is truncated, the largest loss between two words is reached where one of them comes out (the triangle
inequality again): epsilon min(d, cut) / 2 plus the difference of the logarithms of the sums. So all pairs and outcomes
are audited exactly, without looking at every outcome.
"""

import dataclasses
import functools
import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from pipeline.privacy.config import TEM, PrivacyConfig
from pipeline.privacy.embeddings import Embeddings, Floats, Words
from pipeline.privacy.mechanism import Audit, Ladder, Mechanism
from pipeline.privacy.noise import Bits, uniform

BETA = 0.001
"""Of TEM's cut: how likely a word is to come out as one beyond it."""
_ROWS = 128  # words at a time: 20 MB of weights
_BLOCK = 128  # words of which one is drawn after its block was


def cut_of(epsilon: float, words: int) -> float:
    """Return TEM's cut as its authors choose it: 2/epsilon ln((1 - beta)(words - 1) / beta)."""
    return 2 / epsilon * math.log((1 - BETA) * (words - 1) / BETA)


class Exponential(Mechanism):
    """See the module; ``config.mechanism`` decides whether there is a cut."""

    def __init__(self, embeddings: Embeddings, config: PrivacyConfig, prior: Floats | None) -> None:
        """``prior``: [N], None for none."""
        super().__init__(embeddings)
        self.epsilon, self._prior, self._truncate = config.epsilon, prior, config.truncate
        self.cut = cut_of(config.epsilon, len(embeddings)) if config.mechanism == TEM else math.inf

    def _weights(self, words: Words, distances: Floats) -> Floats:
        weights = np.exp(-0.5 * self.epsilon * np.minimum(distances, self.cut))
        if self._prior is not None:
            weights *= self._prior
        if self._truncate is not None and self._truncate.distance is not None:
            weights[distances > self._truncate.distance] = 0.0
        elif self._truncate is not None and self._truncate.neighbours is not None:
            kept = np.zeros(weights.shape, bool)
            near = self.embeddings.nearest(words, min(self._truncate.neighbours, len(self.embeddings)))
            np.put_along_axis(kept, near.astype(np.int64), True, axis=1)
            weights[~kept] = 0.0
        return np.asarray(weights)

    def probabilities(self, words: Words) -> Floats:
        """[B, N]."""
        weights = self._weights(words, self.embeddings.distances(words))
        return np.asarray(weights / weights.sum(axis=1, keepdims=True))

    def draw(self, words: Words, bits: Bits) -> Words:
        """[n]: first a block of words, then a word of it, with 128 bits each.

        Of either, what is rarer than 2**-98 comes with a probability that is rounded: at most 1e-25 of all draws.
        """
        distinct, rows = np.unique(words, return_inverse=True)
        found = np.empty(len(words), np.int32)
        first, second = uniform(bits[:, 0], bits[:, 1]), uniform(bits[:, 2], bits[:, 3])
        order = np.argsort(rows, kind="stable")
        starts = np.searchsorted(rows[order], np.arange(0, len(distinct) + _ROWS, _ROWS))
        for at, begin, end in zip(range(0, len(distinct), _ROWS), starts, starts[1:], strict=False):
            tokens = order[begin:end]
            chunk = distinct[at : at + _ROWS]
            weights = _padded(self._weights(chunk, self.embeddings.distances(chunk)))
            blocks = weights.reshape(len(chunk), -1, _BLOCK)
            own = rows[tokens] - at
            block = Ladder.of(blocks.sum(axis=2)).draw(own, first[tokens])
            inside = Ladder.of(blocks[own, block]).draw(np.arange(len(tokens)), second[tokens])
            found[tokens] = block * _BLOCK + inside
        return found

    def audit(self) -> Audit:
        """See the module; 20 s for 20,000 words."""
        found = _truncated_losses(self) if self._truncate is not None else _losses(self)
        return Audit(
            f"epsilon {self.epsilon:g} times the distance of two words",
            self.epsilon,
            found.per_distance,
            "supports of all words differ" if self._truncate else "every pair of words, from their sums in closed form",
            found.largest,
            found.largest,
            found.alone,
        )

    @functools.cached_property
    def log_sums(self) -> Floats:
        """The logarithm [N] of the sum of each word's weights."""
        return _by_rows(self, lambda words, distances: np.log(self._weights(words, distances).sum(axis=1)))

    @functools.cached_property
    def supports(self) -> npt.NDArray[np.int64]:
        """How many words [N] each can come out as."""
        counts = _by_rows(
            self, lambda words, distances: (self._weights(words, distances) > 0).sum(axis=1).astype(float)
        )
        return counts.astype(np.int64)


def _padded(weights: Floats) -> Floats:
    short = -weights.shape[1] % _BLOCK
    return np.pad(weights, ((0, 0), (0, short)))


def _by_rows(mechanism: Exponential, value: Callable[[Words, Floats], Floats]) -> Floats:
    found = np.empty(len(mechanism.embeddings))
    for at in range(0, len(found), _ROWS):
        words = np.arange(at, min(at + _ROWS, len(found)), dtype=np.int32)
        found[at : at + _ROWS] = value(words, mechanism.embeddings.distances(words))
    return found


@dataclasses.dataclass(frozen=True)
class _Losses:
    per_distance: float
    largest: float
    alone: int


def _losses(mechanism: Exponential) -> _Losses:
    sums, half = mechanism.log_sums, 0.5 * mechanism.epsilon
    per_distance = largest = 0.0
    for at in range(0, len(sums), _ROWS):
        words = np.arange(at, min(at + _ROWS, len(sums)), dtype=np.int32)
        distances = mechanism.embeddings.distances(words)
        losses = half * np.minimum(distances, mechanism.cut) + sums[None, :] - sums[words, None]
        apart = distances > 0
        largest = max(largest, float(losses.max()))
        per_distance = max(per_distance, float((losses[apart] / distances[apart]).max(initial=0.0)))
    return _Losses(per_distance, largest, 0)


def _truncated_losses(mechanism: Exponential) -> _Losses:
    supports = mechanism.supports
    if supports.min() == len(mechanism.embeddings):  # nothing was cut off
        return _losses(mechanism)
    return _Losses(math.inf, math.inf, int((supports == 1).sum()))
