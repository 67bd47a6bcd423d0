"""Logistic regression that is held to weights which are known before.

The weights maximise

    sum_i v_i log p(y_i | x_i) - 1/2 sum_f held_f s_f^2 (w_f - c_f)^2,    p(1 | x) = 1 / (1 + exp(-(w . x + o))),

where c are the weights from before and s the scales of the features, so that how much a feature is held does not depend
on its unit: the mode of the posterior under a normal prior at c (MacKay 1992). Newton's method.
"""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
_STEPS, _LONGEST = 50, 4.0  # of Newton's method; of one step, in weights of scaled features
_ENOUGH = 1e-7
_MOST = 30.0  # log odds: beyond, a chance is 0 or 1


def fit_logistic(
    features: Floats, right: npt.NDArray[np.bool_], weights: Floats, before: Floats, held: Floats, offset: Floats
) -> Floats:
    """Return [F] the weights.

    features: [N, F]; right, weights, offset: [N], what came true, how much it counts, and log odds that are added
    before:   [F] the weights that they are held to; held: [F] by how much, in rows that are in doubt
    """
    scale = np.maximum(np.sqrt(np.average(features**2, axis=0, weights=weights)), 1e-9)
    scaled, start = features / scale, before * scale
    found = start.copy()
    for _ in range(_STEPS):
        chance = chances(scaled @ found + offset)
        slope = scaled.T @ (weights * (chance - right)) + held * (found - start)
        bend = (scaled * (weights * np.maximum(chance * (1 - chance), 1e-9))[:, None]).T @ scaled
        step = np.linalg.solve(bend + np.diag(held + 1e-9), slope)
        longest = float(np.abs(step).max())
        found = found - step * min(1.0, _LONGEST / max(_ENOUGH, longest))
        if longest < _ENOUGH:
            break
    plain: Floats = found / scale
    return plain


def chances(odds: Floats) -> Floats:
    """Return the probabilities of log odds."""
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(odds, -_MOST, _MOST))), np.float64)


def log_loss(odds: Floats, right: npt.NDArray[np.bool_], weights: Floats) -> float:
    """Return the weighted mean of -log of the probability of what came true, in nats."""
    signed = np.where(right, odds, -odds)
    return float(np.average(np.logaddexp(0.0, -signed), weights=weights))
