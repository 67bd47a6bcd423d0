"""Log-linear models of counts, by Poisson regression with a ridge: mean = exp(weights . x).

The weights maximise  sum_i v_i (y_i eta_i - exp(eta_i)) - ridge / 2 * |w|^2,  eta_i = w0 + w . z_i, over features z
that are scaled to mean 0 and deviation 1; the intercept w0 is not held back. Newton's method, steps halved until the
objective rises. Counts are heavy-tailed and effects multiply, which a straight line fits badly.

Several levels of one thing are fitted together (``fit_levels``), as wide ones bring too few names to say much by
themselves: eta_ij = p_j . x_ij + a + d_j + (w + u_j) . z_ij, where p_j is what was expected before, a is free, d_j is a
level's own rate, w an effect that all levels share and u_j what differs at one; all of these are held to 0, so where
little is seen, what was expected stays. So hierarchical models shrink (Gelman and Hill 2007, chapter 12).
"""

import numpy as np
import numpy.typing as npt

from pipeline.retrieval.policy import MOST

Floats = npt.NDArray[np.float64]
_STEPS, _HALVINGS = 50, 12
_ENOUGH = 1e-9  # rise of the objective per unit at which it ends
_LEAST_MEAN = 1e-4  # counts per unit where none was seen: a logarithm of nothing is no number


def fit_counts(features: Floats, counts: Floats, weights: Floats, ridge: float) -> tuple[float, ...]:
    """Return the weights for ``features`` as they are; their first column is 1.

    features: [N, F]; counts: [N], 0 or more; weights: [N], above 0, of the units
    """
    share = weights / weights.sum()
    mean = share @ features
    spread = np.sqrt(share @ (features - mean) ** 2)
    varies = spread > 1e-9
    varies[0] = False
    scaled = np.where(varies, (features - mean) / np.where(varies, spread, 1.0), 0.0)
    scaled[:, 0] = 1.0
    w = np.zeros(features.shape[1])
    w[0] = np.log(max(float(share @ counts), _LEAST_MEAN))
    held = np.full(len(w), ridge)
    held[0] = 0.0

    w = _best(scaled, counts, weights, np.zeros(len(scaled)), held, w)
    plain = np.where(varies, w / np.where(varies, spread, 1.0), 0.0)
    plain[0] = w[0] - float(plain @ mean)
    return tuple(round(float(one), 6) for one in plain)


def fit_levels(
    features: Floats, counts: Floats, seen: npt.NDArray[np.bool_], weights: Floats, expected: Floats,
    held: tuple[float, float, float],
) -> tuple[tuple[float, ...], ...]:  # fmt: skip
    """Return the weights of each of L levels for ``features`` as they are; their first column is 1.

    features: [N, L, F]; counts: [N, L], 0 or more, where ``seen``; weights: [N], above 0, of the units
    expected: [L, F] weights that are returned, but for their common rate, where nothing is seen
    held:     ridges of a level's rate, of what all levels share, and of what differs at one, at a mean weight of 1
    """
    level_count, width = features.shape[1], features.shape[2] - 1
    middle = features.mean((0, 1))
    spread = np.sqrt(features.var(0).mean(0))  # within a level: that levels differ is what their rates are for
    varies = spread > 1e-9
    varies[0] = False
    scaled = np.where(varies, (features - middle) / np.where(varies, spread, 1.0), 0.0)[:, :, 1:]
    designs = []
    for level in range(level_count):
        here = scaled[seen[:, level], level]
        own: Floats = np.zeros((len(here), level_count, width))
        own[:, level] = here
        rate: Floats = np.zeros((len(here), level_count))
        rate[:, level] = 1.0
        designs.append(
            np.concatenate([np.ones((len(here), 1)), rate, here, own.reshape(len(here), level_count * width)], axis=1)
        )
    design, each = np.concatenate(designs), [seen[:, level] for level in range(level_count)]
    y = np.concatenate([counts[which, level] for level, which in enumerate(each)])
    v = np.concatenate([weights[which] for which in each])
    known = np.concatenate([features[which, level] @ expected[level] for level, which in enumerate(each)])
    known = np.minimum(known, MOST)
    ridge = np.repeat([0.0, *held], [1, level_count, width, level_count * width])
    start = np.zeros(len(ridge))
    if len(y):
        start[0] = np.log(max(float(v @ y), _LEAST_MEAN * float(v.sum())) / float(v @ np.exp(known)))
        start = _best(design, y, v, known, ridge, start)
    rates, shared, own = np.split(start[1:], [level_count, level_count + width])
    slopes = (shared + own.reshape(level_count, width)) / np.where(varies, spread, 1.0)[1:] * varies[1:]
    firsts = start[0] + rates - slopes @ middle[1:]
    found = expected + np.concatenate([firsts[:, None], slopes], axis=1)
    return tuple(tuple(round(float(one), 6) for one in row) for row in found)


def _best(design: Floats, counts: Floats, weights: Floats, known: Floats, held: Floats, start: Floats) -> Floats:
    """Return the weights of the design's columns at which the objective is highest; ``known`` is added to eta."""
    w = start

    def objective(at: Floats) -> float:
        eta = np.minimum(design @ at + known, MOST)
        return float(weights @ (counts * eta - np.exp(eta)) - 0.5 * held @ at**2)

    best = objective(w)
    for _ in range(_STEPS):
        rate = np.exp(np.minimum(design @ w + known, MOST))
        slope = design.T @ (weights * (counts - rate)) - held * w
        curve = (design * (weights * rate)[:, None]).T @ design + np.diag(held + 1e-9)
        step = np.linalg.solve(curve, slope)
        for _ in range(_HALVINGS):
            if (risen := objective(w + step)) >= best:
                break
            step = step / 2
        if risen - best <= _ENOUGH * weights.sum():
            break
        w, best = w + step, risen
    return w
