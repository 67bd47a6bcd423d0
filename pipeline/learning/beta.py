"""Quantiles of the Beta distribution, with nothing but the standard library.

The distribution function is the regularised incomplete beta function I_x(a, b), by its continued fraction (DLMF
8.17.22) in the form of Lentz; a quantile is found by halving.
"""

import math

_TINY = 1e-300  # in place of a zero that would be divided by
_PRECISE = 1e-12  # relative change at which the fraction has converged
_TERMS = 500  # some sqrt(max(a, b)) are needed
_HALVINGS = 40  # 2**-40: finer than counts of reviews can tell


def cumulative(x: float, a: float, b: float) -> float:
    """Return I_x(a, b), the probability that a Beta(a, b) variable is at most x. Raises ValueError for a or b <= 0.

    >>> round(cumulative(0.3, 1, 1), 6), round(cumulative(0.5, 2, 2), 6)
    (0.3, 0.5)
    """
    if a <= 0.0 or b <= 0.0:
        raise ValueError(f"a and b of a Beta distribution must be above 0, got {a:g} and {b:g}")
    if x <= 0.0 or x >= 1.0:
        return 0.0 if x <= 0.0 else 1.0
    if x > (a + 1.0) / (a + b + 2.0):  # there the fraction converges slowly, and that of the other side fast
        return 1.0 - cumulative(1.0 - x, b, a)
    log_front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    return math.exp(log_front) * _fraction(x, a, b) / a


def _fraction(x: float, a: float, b: float) -> float:
    c, d = 1.0, 1.0 / _kept(1.0 - (a + b) * x / (a + 1.0))
    value = d
    for m in range(1, _TERMS):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for term in (even, odd):
            d = 1.0 / _kept(1.0 + term * d)
            c = _kept(1.0 + term / c)
            value *= d * c
        if abs(d * c - 1.0) < _PRECISE:
            break
    return value


def _kept(value: float) -> float:
    return value if abs(value) > _TINY else _TINY


def quantile(probability: float, a: float, b: float) -> float:
    """Return the x at which I_x(a, b) is ``probability``. Raises ValueError for a or b <= 0.

    >>> round(quantile(0.25, 1, 1), 6), round(quantile(0.1, 2, 1), 6)
    (0.25, 0.316228)
    """
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if cumulative(middle, a, b) < probability else (low, middle)
    return (low + high) / 2
