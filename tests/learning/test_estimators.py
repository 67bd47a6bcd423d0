"""The estimators against sums done by hand, and against what they must be on average."""

import numpy as np
import pytest

from pipeline.errors import InputError
from pipeline.learning.estimators import (
    Logged,
    _student,
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
    # what the levels add, 0 2 1 of unit 0: 2 / .5 + 1 / .25; of unit 1: 1; unit 2 drew nothing; off is worth nothing
    assert found["ips"].value == pytest.approx((8 + 1 + 0 + 0) / 4)
    # level 1: units 0 to 2 ask for it, the first two saw it, as 2 and 1; level 2: unit 0 asks for it and saw it
    assert found["snips"].value == pytest.approx((5 / 3 * 3 + 4 / 4 * 1) / 4)
    assert found["dm"].value == pytest.approx((2 + 1 + 1 + 0) / 4)
    assert found["dr"].value == pytest.approx(1 + ((2 - 1) / 0.5 + (1 - 1) / 0.25 + (1 - 1)) / 4)
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
    """Units of 40 speakers whose levels are drawn, and what a perfect model of their rewards says."""
    draw = np.random.default_rng(seed)
    speaker = np.repeat(np.arange(40), units // 40)
    first, more = 0.4 + draw.normal(0, 0.1, 40)[speaker], draw.choice([0.0, 1.0], units)
    true = np.stack([np.zeros(units), first, first + more], axis=1)
    at_least = np.tile([1.0, 0.6, 0.3], (units, 1))
    drawn = (draw.random(units)[:, None] < at_least[:, 1:]).sum(1)
    noise = np.cumsum(np.concatenate([np.zeros((units, 1)), draw.normal(0, 0.1, (units, 2))], axis=1), axis=1)
    return Logged(drawn, at_least, true + noise, np.ones(units), speaker), true


def test_estimates_are_right_on_average_and_their_intervals_cover() -> None:
    covered = {"ips": 0, "snips": 0, "dr": 0}
    errors = {name: list[float]() for name in covered}
    widths = {name: list[float]() for name in covered}
    for seed in range(60):
        logged, model = simulated(seed)
        found = estimates(logged, chosen(np.full(400, 2), 3), model, replicates=200)
        for name in covered:
            errors[name].append(found[name].value - 0.9)
            covered[name] += found[name].low <= 0.9 <= found[name].high
            widths[name].append(found[name].high - found[name].low)
    assert all(abs(np.mean(values)) < 0.03 for values in errors.values())
    assert all(count >= 51 for count in covered.values()), covered  # 85%: 95% of 60 less three standard errors
    assert np.mean(widths["dr"]) < 0.6 * np.mean(widths["ips"]), "what the model knows need not be estimated"


def test_a_wrong_model_does_not_bias_dr() -> None:
    found = [estimates(simulated(seed)[0], chosen(np.full(400, 2), 3), np.full((400, 3), 9.0), 2)["dr"].value
             for seed in range(60)]  # fmt: skip
    assert abs(np.mean(found) - 0.9) < 4 * np.std(found) / np.sqrt(60)


def test_what_strict_levels_add_is_not_weighted_by_how_seldom_wide_ones_are_drawn() -> None:
    """Level 1 is always seen, so all of the widest level's value but what it adds is a plain mean."""
    draw = np.random.default_rng(0)
    drawn = np.where(draw.random(1000) < 0.1, 2, 1)
    rewards = np.stack([np.zeros(1000), np.full(1000, 2.0), np.full(1000, 2.0)], axis=1)
    logged = Logged(drawn, np.tile([1.0, 1.0, 0.1], (1000, 1)), rewards, np.ones(1000), np.arange(1000))
    found = estimates(logged, chosen(np.full(1000, 2), 3), np.zeros((1000, 3)))
    assert [found[name].value for name in ("ips", "snips", "dr")] == pytest.approx([2.0, 2.0, 2.0])
    assert found["ips"].high - found["ips"].low < 1e-9


def test_nested_levels_say_more_than_exact_draws() -> None:
    """Of 400 units some 240 drew at least level 1, and all of them count for it."""
    logged, _ = simulated(3)
    assert effective_sample(logged, chosen(np.ones(400, np.int64), 3)) == pytest.approx((logged.drawn >= 1).sum())


def test_the_paired_difference_of_a_policy_to_itself_is_nothing() -> None:
    logged, model = simulated(2)
    one, two = chosen(np.full(400, 1), 3), chosen(np.full(400, 2), 3)
    same = paired_difference(logged, one, one, model)
    assert (same.value, same.low, same.high) == (0.0, 0.0, 0.0)
    apart = paired_difference(logged, two, one, model)
    values = [estimates(logged, target, model)["dr"] for target in (two, one)]
    assert apart.value == pytest.approx(values[0].value - values[1].value)
    assert apart.low < 0.5 < apart.high
    assert apart.high - apart.low < values[0].high - values[0].low, "what both share falls out"


def test_names_that_nobody_happened_to_say_do_not_make_a_difference_sure() -> None:
    """100 units each expect 0.04 names more of level 2, seen with a chance of 0.25, and none said one."""
    rewards = np.tile([0.0, 1.0, 1.0], (100, 1))
    logged = Logged(np.full(100, 2), np.tile([1.0, 1.0, 0.25], (100, 1)), rewards, np.ones(100), np.arange(100))
    one, two = chosen(np.full(100, 1), 3), chosen(np.full(100, 2), 3)
    assert paired_difference(logged, two, one, np.zeros((100, 3))).high == 0.0
    names = np.tile([0.0, 1.0, 1.04], (100, 1))
    found = paired_difference(logged, two, one, np.zeros((100, 3)), names=names)
    half = _student(99) * np.sqrt(100 * 0.04 / 0.25) / 100
    assert (found.low, found.value, found.high) == pytest.approx((-half, 0.0, half))


def two_speakers(names: list[str]) -> Logged:
    return Logged(np.ones(4, np.int64), np.ones((4, 2)), np.array([[0.0, 1.0]] * 2 + [[0.0, 3.0]] * 2), np.ones(4),
                  groups_of(names))  # fmt: skip


def test_speakers_are_resampled_whole_and_few_of_them_say_little() -> None:
    """Resamples of two speakers have the mean 1, 2 or 3; sqrt(2) t / z of one degree of freedom moves the ends out."""
    found = estimates(two_speakers(["a", "a", "b", "b"]), chosen(np.ones(4, np.int64), 2), np.zeros((4, 2)))["ips"]
    wider = np.sqrt(2) * 12.7062 / 1.959964
    assert (found.low, found.value, found.high) == pytest.approx((2 - wider, 2.0, 2 + wider))


def test_of_one_speaker_alone_the_units_are_resampled() -> None:
    found = estimates(two_speakers(["a"] * 4), chosen(np.ones(4, np.int64), 2), np.zeros((4, 2)))["ips"]
    assert found.low < 1.5 < 2.5 < found.high
    assert found.high - found.low < 8


def test_the_factor_of_many_speakers_is_that_of_tables() -> None:
    found = [_student(freedom) for freedom in (1, 9, 10, 20, 40)]
    assert found == pytest.approx([12.706, 2.262, 2.228, 2.086, 2.021], abs=0.004)


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
