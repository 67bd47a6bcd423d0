"""Log-linear models of counts, by Poisson regression with a ridge: mean = exp(weights . x).

The weights maximise  sum_i v_i (y_i eta_i - exp(eta_i)) - ridge / 2 * |w|^2,  eta_i = w0 + w . z_i, over features z
that are scaled to mean 0 and deviation 1; the intercept w0 is not held back. Newton's method, steps halved until the
objective rises. Counts are heavy-tailed and effects multiply, which a straight line fits badly.
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

    def objective(at: Floats) -> float:
        eta = np.minimum(scaled @ at, MOST)
        return float(weights @ (counts * eta - np.exp(eta)) - 0.5 * held @ at**2)

    best = objective(w)
    for _ in range(_STEPS):
        rate = np.exp(np.minimum(scaled @ w, MOST))
        slope = scaled.T @ (weights * (counts - rate)) - held * w
        curve = (scaled * (weights * rate)[:, None]).T @ scaled + np.diag(held + 1e-9)
        step = np.linalg.solve(curve, slope)
        for _ in range(_HALVINGS):
            if (risen := objective(w + step)) >= best:
                break
            step = step / 2
        if risen - best <= _ENOUGH * weights.sum():
            break
        w, best = w + step, risen
    plain = np.where(varies, w / np.where(varies, spread, 1.0), 0.0)
    plain[0] = w[0] - float(plain @ mean)
    return tuple(round(float(one), 6) for one in plain)
