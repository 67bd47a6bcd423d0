"""Regression held to what was known before, against closed forms."""

import numpy as np
import pytest

from pipeline.calibration.logistic import chances, fit_logistic, log_loss


def test_without_hold_a_constant_is_the_log_odds_of_the_share() -> None:
    right = np.array([True] * 30 + [False] * 10)
    one, nothing = np.ones((40, 1)), np.zeros(40)
    (found,) = fit_logistic(one, right, np.ones(40), np.zeros(1), np.zeros(1), nothing)
    assert found == pytest.approx(np.log(3))
    weights = np.where(right, 1.0, 3.0)
    (found,) = fit_logistic(one, right, weights, np.zeros(1), np.zeros(1), nothing)
    assert found == pytest.approx(0.0, abs=1e-6)
    (found,) = fit_logistic(one, right, np.ones(40), np.zeros(1), np.zeros(1), np.full(40, 1.0))
    assert found == pytest.approx(np.log(3) - 1.0), "what is known already is not learnt again"


def test_what_is_held_stays_and_moves_with_evidence() -> None:
    right = np.array([True] * 30 + [False] * 10)
    one, nothing, before = np.ones((40, 1)), np.zeros(40), np.array([-2.0])
    (held,) = fit_logistic(one, right, np.ones(40), before, np.array([1e9]), nothing)
    (some,) = fit_logistic(one, right, np.ones(40), before, np.array([5.0]), nothing)
    assert held == pytest.approx(-2.0, abs=1e-6)
    assert -2.0 < some < np.log(3)
    assert 40 * (0.75 - chances(np.array([some]))[0]) == pytest.approx(5.0 * (some + 2.0)), "the slope is zero there"


def test_the_unit_of_a_feature_does_not_matter() -> None:
    chance = np.random.default_rng(0)
    features = np.stack([np.ones(200), chance.normal(size=200)], axis=1)
    right, weights = features[:, 1] + chance.normal(size=200) > 0.3, chance.uniform(0.5, 2.0, 200)
    scale, held, nothing = np.array([1.0, 1000.0]), np.array([1.0, 10.0]), np.zeros(200)
    plain = fit_logistic(features, right, weights, np.array([0.0, 1.0]), held, nothing)
    scaled = fit_logistic(features * scale, right, weights, np.array([0.0, 1.0]) / scale, held, nothing)
    assert scaled * scale == pytest.approx(plain, abs=1e-6)


def test_loss() -> None:
    assert log_loss(np.zeros(2), np.array([True, False]), np.ones(2)) == pytest.approx(np.log(2))
    assert log_loss(np.array([30.0, 30.0]), np.array([True, False]), np.array([3.0, 1.0])) == pytest.approx(7.5)
