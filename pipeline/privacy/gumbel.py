"""The truncated Gumbel mechanism as it was published (Xu et al. 2021), for comparison. Its claim does not hold.

k words are drawn from the nearest ones, the word itself included, k from a Poisson distribution of mean ln N truncated
to 1 .. N. To each distance Gumbel noise is added that is truncated to the largest distance; the smallest sum wins.

A word that is the r-th nearest comes out only where k is r or more, and the probability of that falls faster than any
exponential of r. So the loss between most pairs of words is far above epsilon times their distance. The audit shows it
with a lower bound: the word itself comes out with at least the mean of 1/k, the r-th nearest at most with P(k >= r).
"""

import functools
import math

import numpy as np
import numpy.typing as npt

from pipeline.errors import ConfigError
from pipeline.privacy.config import PrivacyConfig
from pipeline.privacy.embeddings import Embeddings, Floats, Words
from pipeline.privacy.mechanism import Audit, Mechanism
from pipeline.privacy.noise import Bits, stream

REACH = 64
"""Neighbours that a draw looks at; that k is larger has a probability below 1e-25 with 20,000 words."""
_NODES, _PIECES = 8, 32
_ROWS = 256


class TruncatedGumbel(Mechanism):
    """See the module."""

    def __init__(self, embeddings: Embeddings, config: PrivacyConfig) -> None:
        """Raises ConfigError where the calibration has no real solution."""
        super().__init__(embeddings)
        self.epsilon, self._count = config.epsilon, len(embeddings)
        self._rate, self._reach = math.log(self._count), min(REACH, self._count)
        nearest, self._widest, self._narrowest_width = _extremes(embeddings)
        self.scale = _scale(config.epsilon, self._count, nearest, self._widest)
        self._lengths = _poisson(self._rate, self._reach)

    @functools.cached_property
    def _neighbours(self) -> Words:
        return self.embeddings.nearest(np.arange(self._count, dtype=np.int32), self._reach)

    def _near(self, words: Words) -> tuple[Words, Floats]:
        near = self._neighbours[words]
        lines = [self.embeddings.distances(words[at : at + 1], near[at]) for at in range(len(words))]
        return near, np.concatenate(lines)

    def probabilities(self, words: Words) -> Floats:
        """[B, N], by quadrature; rows sum to 1 within 1e-9."""
        found = np.zeros((len(words), self._count))
        near, distances = self._near(words)
        for row in range(len(words)):
            found[row, near[row]] = self._wins(distances[row])
        return found

    def _wins(self, distances: Floats) -> Floats:
        """Return how likely each of the nearest words, at ascending ``distances`` [K], has the smallest sum."""
        last = distances[0] + self._widest
        ends = np.unique(
            np.concatenate(
                [np.minimum(distances - self._widest, last), np.linspace(distances[-1] - self._widest, last, _PIECES)]
            )
        )
        nodes, weights = _gauss(_NODES)
        middles, halves = (ends[1:] + ends[:-1]) / 2, (ends[1:] - ends[:-1]) / 2
        at = (middles[:, None] + halves[:, None] * nodes).ravel()
        area = (halves[:, None] * weights).ravel()
        away = at[None, :] - distances[:, None]  # [K, X]
        density, above = self._density(away), self._above(away)
        alone = np.cumsum(np.log(np.maximum(above, 1e-300)), axis=0)  # nobody of the first k is below
        of_k = self._lengths[:, None] * np.exp(alone)
        of_more = np.cumsum(of_k[::-1], axis=0)[::-1]  # k of at least this word's place
        return np.asarray((density / np.maximum(above, 1e-300) * of_more * area).sum(axis=1))

    def _mass(self) -> float:
        b, most = self.scale, self._widest
        return math.exp(-math.exp(-most / b)) - math.exp(-math.exp(most / b))

    def _density(self, x: Floats) -> Floats:
        y = np.clip(-x / self.scale, -700, 700)
        inside = np.abs(x) <= self._widest
        return np.where(inside, np.exp(y - np.exp(np.minimum(y, 300))) / self.scale / self._mass(), 0.0)

    def _above(self, x: Floats) -> Floats:
        """The probability that the noise is more than ``x``."""
        b, most = self.scale, self._widest
        top = math.exp(-most / b)
        y = np.exp(np.clip(-x / b, -700, 300))
        upper = -math.exp(-top) * np.expm1(-(y - top)) / self._mass()
        return np.where(x <= -most, 1.0, np.where(x >= most, 0.0, np.clip(upper, 0.0, 1.0)))

    def draw(self, words: Words, bits: Bits) -> Words:
        """[n]."""
        found = np.empty(len(words), np.int32)
        low, high = math.exp(-math.exp(self._widest / self.scale)), math.exp(-math.exp(-self._widest / self.scale))
        upto = np.cumsum(self._lengths)
        for at in range(0, len(words), _ROWS):
            numbers = stream(bits[at : at + _ROWS], 1 + self._reach)
            near, distances = self._near(words[at : at + _ROWS])
            lengths = np.searchsorted(upto, numbers[:, 0] * upto[-1], side="right") + 1
            sums = distances - self.scale * np.log(-np.log(low + numbers[:, 1:] * (high - low)))
            sums[np.arange(self._reach)[None, :] >= lengths[:, None]] = np.inf
            found[at : at + _ROWS] = near[np.arange(len(near)), sums.argmin(axis=1)]
        return found

    def audit(self) -> Audit:
        """A lower bound of the loss, which is far above the claim already."""
        worst = self._loss_at_least(self._count)
        return Audit(
            f"published: epsilon {self.epsilon:g} times the distance of two words",
            self.epsilon,
            worst / self._narrowest_width,
            "a lower bound, from the tail of the Poisson distribution alone",
            worst,
            math.inf,
        )

    def share_above_claim(self, words: Words) -> float:
        """Return the share of pairs of ``words`` and all words whose loss is above the claim, at least."""
        above = 0
        losses = np.array([self._loss_at_least(rank) for rank in range(1, self._count + 1)])
        for word in words:
            line = np.sort(self.embeddings.distances(np.array([word], np.int32))[0])
            above += int((losses[1:] > self.epsilon * line[1:]).sum())
        return above / (len(words) * (self._count - 1))

    def _loss_at_least(self, rank: int) -> float:
        """Of a pair of which one is the ``rank``-th nearest of the other."""
        itself = float((self._lengths / np.arange(1, self._reach + 1)).sum())
        log_term = rank * math.log(self._rate) - self._rate - math.lgamma(rank + 1)
        if rank + 1 <= 2 * self._rate:
            tail = float(self._lengths[rank - 1 :].sum())
            return math.log(itself) - math.log(max(tail, 1e-300))
        return math.log(itself) - (log_term - math.log(1 - self._rate / (rank + 1)) + _TRUNCATED)


_TRUNCATED = 0.1
"""What truncation to 1 .. N adds to the logarithm of a probability of k, at most: -ln(1 - exp(-ln N) - tail)."""


def _extremes(embeddings: Embeddings) -> tuple[float, float, float]:
    """Return the smallest distance above 0, the largest, and the smallest that any word has to its farthest."""
    nearest, widest, narrowest = math.inf, 0.0, math.inf
    for at in range(0, len(embeddings), _ROWS):
        lines = embeddings.distances(np.arange(at, min(at + _ROWS, len(embeddings)), dtype=np.int32))
        nearest = min(nearest, float(lines[lines > 0].min(initial=math.inf)))
        farthest = lines.max(axis=1)
        widest, narrowest = max(widest, float(farthest.max())), min(narrowest, float(farthest.min()))
    return nearest, widest, narrowest


def least_epsilon(count: int, nearest: float) -> float:
    """Return the epsilon below which the published formula has no real and positive solution."""
    return (3 + 2 * (1 + math.log(count))) / nearest


def _scale(epsilon: float, count: int, nearest: float, widest: float) -> float:
    """Return b = 2 D / min(W(2 a D), ln(a d)) with a = (epsilon - 2 (1 + ln N) / d) / 3; W is Lambert's function."""
    alpha = (epsilon - 2 * (1 + math.log(count)) / nearest) / 3
    if alpha * nearest <= 1:
        raise ConfigError(
            f"truncated_gumbel: epsilon {epsilon:g} is too small; the published calibration has no real solution below "
            f"{least_epsilon(count, nearest):.1f} on these embeddings. grouped, the default, takes any epsilon."
        )
    return 2 * widest / min(_lambert(2 * alpha * widest), math.log(alpha * nearest))


def _lambert(x: float) -> float:
    """Return w with w exp(w) = x, for x above 0."""
    w = math.log1p(x)
    for _ in range(50):
        w -= (w * math.exp(w) - x) / (math.exp(w) * (w + 1))
    return w


def _gauss(nodes: int) -> tuple[Floats, Floats]:
    """Return nodes and weights of Gauss and Legendre's quadrature on -1 .. 1, from eigenvalues."""
    above = np.arange(1, nodes) / np.sqrt(4 * np.arange(1, nodes) ** 2 - 1)
    places, vectors = np.linalg.eigh(np.diag(above, 1) + np.diag(above, -1))
    return places, 2 * vectors[0] ** 2


def _poisson(rate: float, most: int) -> npt.NDArray[np.float64]:
    """Return the probabilities of 1 .. ``most``."""
    counts = np.arange(1, most + 1)
    logs = counts * math.log(rate) - rate - np.array([math.lgamma(k + 1) for k in counts])
    return np.asarray(np.exp(logs) / np.exp(logs).sum())
