"""The estimators against sums done by hand, and against what they must be on average."""

import numpy as np
import pytest

from pipeline.errors import InputError
from pipeline.learning.estimators import (
    Logged,
    chosen,
    effective_sample,
    estimates,
    groups_of,
    paired_difference,
)

AT_LEAST = np.array([[1.0, 0.5, 0.25], [1.0, 1.0, 0.1], [1.0, 0.5, 0.25], [1.0, 1.0, 1.0]])
REWARDS = np.array([[0.0, 2.0, 3.0], [0.0, 1.0, np.nan], [0.0, np.nan, np.nan], [0.0, 1.0, 1.0]])
LOGGED = Logged(np.array([2, 1, 0, 2]), AT_LEAST, REWARDS, np.ones(4), np.arange(4))
MODEL = np.array([[0.0, 1.0, 2.0]] * 4)


def test_every_estimator_is_the_sum_that_its_formula_says() -> None:
    target = chosen(np.array([2, 1, 1, 0]), 3)
    found = estimates(LOGGED, target, MODEL)
    # unit 0: 3 / .25, unit 1: 1 / 1, unit 2: drawn below what is asked for, unit 3: off, which is worth nothing
    assert found["ips"].value == pytest.approx((12 + 1 + 0 + 0) / 4)
    assert found["snips"].value == pytest.approx(13 / (4 + 1 + 0 + 1))
    assert found["dm"].value == pytest.approx((2 + 1 + 1 + 0) / 4)
    assert found["dr"].value == pytest.approx(1 + (4 * (3 - 2) + (1 - 1) + 0 + 0) / 4)
    assert effective_sample(LOGGED, target) == pytest.approx(6**2 / (16 + 1 + 0 + 1))


def test_a_policy_that_mixes_levels_is_the_mixture_of_their_values() -> None:
    one, two = chosen(np.full(4, 1), 3), chosen(np.full(4, 2), 3)
    for name in ("ips", "dm", "dr"):
        parts = [estimates(LOGGED, target, MODEL)[name].value for target in (one, two)]
        assert estimates(LOGGED, 0.3 * one + 0.7 * two, MODEL)[name].value == pytest.approx(
            0.3 * parts[0] + 0.7 * parts[1]
        )


def test_what_was_drawn_without_chance_is_a_plain_mean() -> None:
    logged = Logged(np.array([1, 1]), np.array([[1.0, 1.0], [1.0, 1.0]]), np.array([[0.0, 2.0], [0.0, 4.0]]),
                    np.array([1.0, 3.0]), np.arange(2))  # fmt: skip
    found = estimates(logged, chosen(np.ones(2, np.int64), 2), np.zeros((2, 2)))
    assert {found[name].value for name in ("ips", "snips", "dr")} == {(2 * 1 + 4 * 3) / 4}, "weighted by the review's"
    assert effective_sample(logged, chosen(np.ones(2, np.int64), 2)) == pytest.approx(16 / 10)


def simulated(seed: int, units: int = 400) -> tuple[Logged, np.ndarray]:
    """Units of 40 speakers whose levels are drawn, and the true value of always taking the widest."""
    draw = np.random.default_rng(seed)
    speaker = np.repeat(np.arange(40), units // 40)
    level = draw.normal(0, 0.1, 40)[speaker]
    true = np.stack([np.zeros(units), 0.4 + level, 0.5 + level], axis=1)
    at_least = np.tile([1.0, 0.6, 0.3], (units, 1))
    drawn = (draw.random(units)[:, None] < at_least[:, 1:]).sum(1)
    rewards = true + np.where(np.arange(3) > 0, draw.normal(0, 0.3, (units, 1)), 0.0)
    return Logged(drawn, at_least, rewards, np.ones(units), speaker), true


def test_estimates_are_right_on_average_and_their_intervals_cover() -> None:
    covered = {"ips": 0, "snips": 0, "dr": 0}
    errors = {name: list[float]() for name in covered}
    widths = {name: list[float]() for name in covered}
    for seed in range(60):
        logged, _ = simulated(seed)
        found = estimates(logged, chosen(np.full(400, 2), 3), np.tile([0.0, 0.4, 0.5], (400, 1)), replicates=200)
        for name in covered:
            errors[name].append(found[name].value - 0.5)
            covered[name] += found[name].low <= 0.5 <= found[name].high
            widths[name].append(found[name].high - found[name].low)
    assert all(abs(np.mean(values)) < 0.02 for values in errors.values())
    assert all(count >= 51 for count in covered.values()), covered  # 85%: 95% of 60 less three standard errors
    assert np.mean(widths["dr"]) < 0.75 * np.mean(widths["ips"]), "what the model knows need not be estimated"


def test_a_wrong_model_does_not_bias_dr() -> None:
    found = [estimates(simulated(seed)[0], chosen(np.full(400, 2), 3), np.full((400, 3), 9.0), 2)["dr"].value
             for seed in range(60)]  # fmt: skip
    assert abs(np.mean(found) - 0.5) < 4 * np.std(found) / np.sqrt(60)


def test_nested_levels_say_more_than_exact_draws() -> None:
    """Of 400 units some 240 drew at least level 1, and all of them count for it."""
    logged, _ = simulated(3)
    assert effective_sample(logged, chosen(np.ones(400, np.int64), 3)) == pytest.approx((logged.drawn >= 1).sum())


def test_the_paired_difference_of_a_policy_to_itself_is_nothing() -> None:
    logged, _ = simulated(2)
    one, two = chosen(np.full(400, 1), 3), chosen(np.full(400, 2), 3)
    model = np.tile([0.0, 0.4, 0.5], (400, 1))
    same = paired_difference(logged, one, one, model)
    assert (same.value, same.low, same.high) == (0.0, 0.0, 0.0)
    apart = paired_difference(logged, two, one, model)
    values = [estimates(logged, target, model)["dr"] for target in (two, one)]
    assert apart.value == pytest.approx(values[0].value - values[1].value)
    assert apart.low < 0.1 < apart.high


def test_speakers_are_resampled_whole() -> None:
    """One speaker's units are one piece of evidence: with two speakers every resample is one of three."""
    logged = Logged(np.ones(4, np.int64), np.ones((4, 2)), np.array([[0.0, 1.0]] * 2 + [[0.0, 3.0]] * 2), np.ones(4),
                    groups_of(["a", "a", "b", "b"]))  # fmt: skip
    found = estimates(logged, chosen(np.ones(4, np.int64), 2), np.zeros((4, 2)))["ips"]
    assert (found.low, found.value, found.high) == (1.0, 2.0, 3.0)


def test_units_without_a_speaker_are_a_group_each() -> None:
    assert len(set(groups_of(["a", None, None, "a", ""]).tolist())) == 4


@pytest.mark.parametrize(
    "wrong",
    [
        {"drawn": np.array([3, 1, 0, 2])},
        {"at_least": AT_LEAST * 0.5},
        {"at_least": AT_LEAST[:, ::-1]},
        {"rewards": np.where(np.isnan(REWARDS), np.nan, np.nan)},
        {"weights": np.zeros(4)},
        {"groups": np.arange(3)},
    ],
)
def test_what_is_no_log_is_refused(wrong: dict[str, np.ndarray]) -> None:
    fields = {"drawn": LOGGED.drawn, "at_least": AT_LEAST, "rewards": REWARDS, "weights": np.ones(4),
              "groups": np.arange(4)} | wrong  # fmt: skip
    with pytest.raises(InputError, match="logged"):
        Logged(**fields)


def test_no_decision_gives_no_estimate() -> None:
    nothing = LOGGED.take(np.zeros(4, np.bool_))
    with pytest.raises(InputError, match="no decision"):
        estimates(nothing, np.zeros((0, 3)), np.zeros((0, 3)))
