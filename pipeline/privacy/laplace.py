"""Multivariate Laplace: noise of density proportional to exp(-epsilon |x|) on the word's vector, then the nearest word.

Two words differ by epsilon times their distance at most in the density of every point, and choosing the nearest word
looks at the point only. So the claim is proved, but the probability of a word is an integral over its cell, which has
no closed form in 64 dimensions. ``probabilities`` estimates it: along a random direction the nearest word changes at
points that can be computed, and between them the integral over the length of the noise is exact.
"""

import math

import numpy as np
import numpy.typing as npt

from pipeline.privacy.config import PrivacyConfig
from pipeline.privacy.embeddings import Embeddings, Floats, Words
from pipeline.privacy.mechanism import Audit, Mechanism
from pipeline.privacy.noise import Bits, stream

DIRECTIONS = 4096
"""That ``probabilities`` looks along; the same ones for every word."""
_ROWS = 256
_LONGEST = 1e-12  # noise longer than this share of all noise is left out of the estimate


class Laplace(Mechanism):
    """See the module."""

    is_exact = False

    def __init__(self, embeddings: Embeddings, config: PrivacyConfig) -> None:
        super().__init__(embeddings)
        self.epsilon = config.epsilon
        self._points = embeddings.vectors.astype(np.float32)
        halves = (self._points**2).sum(axis=1) / 2
        self._targets = np.ascontiguousarray(np.hstack([self._points, -halves[:, None]]).T)  # one product has both
        self._dimensions = self._points.shape[1]

    def draw(self, words: Words, bits: Bits) -> Words:
        """[n]. Directions are of normal numbers (Box-Muller), lengths of a gamma distribution, in floating point."""
        found = np.empty(len(words), np.int32)
        even = self._dimensions + self._dimensions % 2
        for at in range(0, len(words), _ROWS):
            chunk = words[at : at + _ROWS]
            numbers = stream(bits[at : at + _ROWS], even + self._dimensions)
            radii, angles = np.sqrt(-2 * np.log(numbers[:, : even // 2])), 2 * np.pi * numbers[:, even // 2 : even]
            normal = np.hstack([radii * np.cos(angles), radii * np.sin(angles)])[:, : self._dimensions]
            lengths = _gamma(numbers[:, even:]) / self.epsilon
            steps = normal * (lengths / np.linalg.norm(normal, axis=1) / self.embeddings.scale)[:, None]
            noisy = np.ones((len(chunk), self._dimensions + 1), np.float32)
            noisy[:, :-1] = self._points[chunk] + steps
            found[at : at + _ROWS] = (noisy @ self._targets).argmax(axis=1)
        return found

    def probabilities(self, words: Words) -> Floats:
        """[B, N], an estimate from DIRECTIONS."""
        directions = np.random.default_rng(0).standard_normal((DIRECTIONS, self._dimensions))
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        parts = [directions[at : at + _ROWS] for at in range(0, DIRECTIONS, _ROWS)]
        return np.stack([np.mean([self._along(int(word), part) for part in parts], axis=0) for word in words])

    def _along(self, word: int, directions: Floats) -> Floats:
        """Walk outwards in all directions at once: from the cell of the word to the next, until no noise is so long."""
        points = self._points.astype(np.float64) * self.embeddings.scale
        shifted = points[word] - points
        slopes, squares = directions @ shifted.T, (shifted**2).sum(axis=1)
        rows, current = np.arange(len(directions)), np.full(len(directions), word)
        found, reached = np.zeros(len(points)), np.zeros(len(directions))
        done = np.zeros(len(directions))  # share of the noise that is shorter than what is reached
        while len(rows):
            steeper = slopes[rows, current][:, None] - slopes[rows]
            with np.errstate(divide="ignore", invalid="ignore"):
                meets = np.where(steeper > 1e-12, (squares[None] - squares[current][:, None]) / (2 * steeper), np.inf)
            meets = np.maximum(meets, reached[:, None])
            following = meets.argmin(axis=1)
            reached = meets[np.arange(len(rows)), following]
            share = _shorter(self._dimensions, self.epsilon * reached)
            np.add.at(found, current, share - done)
            alive = 1 - share > _LONGEST
            rows, current, reached, done = rows[alive], following[alive], reached[alive], share[alive]
        return found / len(directions)

    def audit(self) -> Audit:
        """What is proved; nothing is measured here."""
        widest = max(
            float(self.embeddings.distances(np.arange(at, min(at + _ROWS, len(self.embeddings)), dtype=np.int32)).max())
            for at in range(0, len(self.embeddings), _ROWS)
        )
        largest = self.epsilon * widest
        return Audit(
            f"epsilon {self.epsilon:g} times the distance of two words",
            self.epsilon,
            self.epsilon,
            "proved for the noise, in real numbers; cells have no closed form, so it is not measured",
            largest,
            largest,
        )


def _gamma(numbers: Floats) -> Floats:
    """Return sums of as many exponential numbers as there are columns; products of 8 stay far above 0."""
    parts = np.array_split(np.arange(numbers.shape[1]), max(1, numbers.shape[1] // 8))
    return np.asarray(-sum(np.log(numbers[:, part].prod(axis=1)) for part in parts))


def _shorter(shape: int, values: npt.NDArray[np.float64]) -> Floats:
    """Return the distribution function of the gamma distribution of a whole ``shape`` and scale 1."""
    found = np.ones(len(values))
    finite = np.isfinite(values) & (values > 0)
    x = values[finite]
    terms = np.arange(shape) * np.log(x)[:, None] - np.array([math.lgamma(k + 1) for k in range(shape)])
    found[finite] = 1 - np.exp(terms - x[:, None]).sum(axis=1)
    found[values <= 0] = 0.0
    return np.clip(found, 0.0, 1.0)
