"""Quantiles of the Beta distribution against closed forms."""

import math

import pytest

from pipeline.learning.beta import cumulative, quantile


@pytest.mark.parametrize("x", [0.0, 0.01, 0.3, 0.5, 0.77, 0.999, 1.0])
def test_closed_forms(x: float) -> None:
    assert cumulative(x, 1, 1) == pytest.approx(x, abs=1e-12)
    assert cumulative(x, 3, 1) == pytest.approx(x**3, abs=1e-12)
    assert cumulative(x, 1, 4) == pytest.approx(1 - (1 - x) ** 4, abs=1e-12)
    assert cumulative(x, 0.5, 0.5) == pytest.approx(2 / math.pi * math.asin(math.sqrt(x)), abs=1e-10)
    assert cumulative(x, 2.5, 7) == pytest.approx(1 - cumulative(1 - x, 7, 2.5), abs=1e-10)


@pytest.mark.parametrize(("a", "b"), [(0.5, 0.5), (1.5, 0.5), (40.5, 3.5), (2000.5, 0.5), (700, 900)])
@pytest.mark.parametrize("probability", [0.025, 0.1, 0.5, 0.9])
def test_a_quantile_is_where_the_distribution_reaches_it(a: float, b: float, probability: float) -> None:
    assert cumulative(quantile(probability, a, b), a, b) == pytest.approx(probability, abs=1e-6)


def test_what_is_no_beta_distribution() -> None:
    with pytest.raises(ValueError, match="above 0"):
        cumulative(0.5, 0, 1)
