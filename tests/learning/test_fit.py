"""Fitting: models that find the effects that were put in, prices that meet a budget, and honest comparisons."""

import dataclasses

import numpy as np
import pytest

from pipeline.learning.evaluate import compare, halves
from pipeline.learning.fit import (
    by_strategy,
    counts_of,
    expected,
    fit_policy,
    levels_of,
    mean_candidates,
    own_count,
)
from pipeline.learning.loglinear import fit_counts, fit_levels
from pipeline.learning.prior import expected_gain
from pipeline.learning.units import KNOWN, SURE, Unit, unheard_of
from pipeline.retrieval.context import Context
from pipeline.retrieval.policy import FEATURES, key_of
from pipeline.retrieval.strategy import DEFAULT, LEVELS
from tests.support.policies import always


def units(count: int = 400, seed: int = 0, whole: bool = True) -> list[Unit]:
    """Utterances of two tenants: in one, wide levels cost next to nothing; in the other, they bring nothing."""
    draw, found = np.random.default_rng(seed), list[Unit]()
    for at in range(count):
        cheap = at % 2 == 0
        doubt = float(draw.random())
        more = draw.poisson((1, 1, 1, 1) if cheap else (2, 5, 15, 40))
        names = draw.poisson((0.5, 0.3 * doubt, 0.2 * doubt if cheap else 0.0, 0.2 if cheap else 0.0))
        context = Context((1.0, 1.5, doubt, doubt / 2, 0.1, 0.0), (1.0, 2.0, 4.0, 8.0))
        found.append(
            Unit(f"u{at}", "phonetic", f"s{at // 2 % 20}", "cheap" if cheap else "dear", "", context,
                 LEVELS if whole else DEFAULT, KNOWN if whole else SURE, tuple(names.tolist()),
                 tuple(np.cumsum(more).tolist()), whole, int(names.sum()) if whole else 0)
        )  # fmt: skip
    return found


def test_effects_that_were_put_in_are_found() -> None:
    draw = np.random.default_rng(1)
    features = np.stack([np.ones(4000), draw.normal(2, 3, 4000), draw.normal(0, 0.5, 4000), np.full(4000, 7.0)], 1)
    counts = draw.poisson(np.exp(0.4 + 0.2 * features[:, 1] - 1.0 * features[:, 2])).astype(np.float64)
    weights = fit_counts(features, counts, np.ones(4000), ridge=1.0)
    assert weights == pytest.approx((0.4, 0.2, -1.0, 0.0), abs=0.05)
    assert fit_counts(features, counts, np.ones(4000), ridge=1e9)[1:] == pytest.approx((0, 0, 0), abs=1e-3)
    assert np.exp(fit_counts(features, counts, np.ones(4000), ridge=1e9)[0]) == pytest.approx(counts.mean(), rel=1e-3)


def test_counts_of_nothing_are_no_failure() -> None:
    weights = fit_counts(np.stack([np.ones(10), np.arange(10.0)], 1), np.zeros(10), np.ones(10), ridge=1.0)
    assert np.isfinite(weights).all()
    assert np.exp(weights[0]) < 1e-3


def test_weights_count_as_copies() -> None:
    draw = np.random.default_rng(2)
    features, counts = np.stack([np.ones(50), draw.normal(size=50)], 1), draw.poisson(2.0, 50).astype(np.float64)
    twice = fit_counts(np.repeat(features, 2, 0), np.repeat(counts, 2), np.ones(100), 3.0)
    assert fit_counts(features, counts, np.full(50, 2.0), 3.0) == pytest.approx(twice, abs=1e-4)


def test_the_policy_spends_its_budget_where_it_brings_most() -> None:
    data = by_strategy(units())
    budget = 6.0
    policy = fit_policy(data, budget)
    assert mean_candidates(policy, data) <= budget < mean_candidates(None, data) / 2
    levels = levels_of(policy, "phonetic", data["phonetic"].units)
    cheap = np.array([unit.tenant == "cheap" for unit in data["phonetic"].units])
    assert levels[cheap].min() == LEVELS, "nothing costs less than what a wide level brings there"
    assert levels[~cheap].mean() < 2.5
    names = np.cumsum(np.concatenate([np.zeros((400, 1)), data["phonetic"].names], 1), 1)
    assert names[np.arange(400), levels].sum() > names[:, DEFAULT].sum()


def test_a_smaller_budget_buys_less() -> None:
    data = by_strategy(units())
    asked = [mean_candidates(fit_policy(data, budget), data) for budget in (0.5, 2.0, 8.0)]
    assert asked == sorted(asked)
    assert all(one <= budget * 1.1 for one, budget in zip(asked, (0.5, 2.0, 8.0), strict=True))


def test_levels_are_those_that_a_run_takes() -> None:
    data = by_strategy(units(60))
    policy = fit_policy(data, 4.0)
    one_by_one = [
        policy.greedy("phonetic", policy.features("phonetic", unit.context, unit.tenant, unit.session))
        for unit in data["phonetic"].units
    ]
    assert levels_of(policy, "phonetic", data["phonetic"].units).tolist() == one_by_one
    assert set(levels_of(None, "phonetic", data["phonetic"].units).tolist()) == {DEFAULT}
    assert set(levels_of(always(1, strategy="lexical"), "phonetic", data["phonetic"].units).tolist()) == {DEFAULT}


def test_what_was_seen_of_a_level_stands_for_what_was_not() -> None:
    """Half of the units drew only the first level; the names of wider ones must not look half as many."""
    known, some = units(1200, seed=3), list[Unit]()
    draw = np.random.default_rng(4)
    for unit in known:
        level = 4 if draw.random() < 0.5 else 1
        names = tuple(count if at < level else 0 for at, count in enumerate(unit.names))
        some.append(
            dataclasses.replace(unit, drawn=level, at_least=(1.0, 1.0, 0.5, 0.5, 0.5), names=names, whole=False)
        )
    full, partial = (by_strategy(found)["phonetic"] for found in (known, some))
    gains = [expected(fit_policy({"phonetic": one}, 5.0), "phonetic", known)[0].mean(0) for one in (full, partial)]
    assert gains[1] == pytest.approx(gains[0], rel=0.1)
    levels = [levels_of(fit_policy(by_strategy(found), 5.0), "phonetic", known) for found in (known, some)]
    assert (levels[0] == levels[1]).mean() > 0.8


def test_what_nobody_has_seen_is_what_was_expected() -> None:
    """Two levels, the second never seen: it keeps its share of the first, and its own slope."""
    features = np.stack([np.ones((200, 2)), np.tile(np.linspace(-1, 1, 200)[:, None], 2)], axis=2)
    counts = np.zeros((200, 2))
    counts[:, 0] = 2.0
    seen = np.tile([True, False], (200, 1))
    before = np.array([[0.0, 0.0], [-3.0, 0.5]])
    rows = fit_levels(features, counts, seen, np.ones(200), before, (2.0, 30.0, 60.0))
    assert rows[0] == pytest.approx((np.log(2), 0.0), abs=1e-3)
    assert rows[1] == pytest.approx((np.log(2) - 3.0, 0.5), abs=1e-3)
    nothing = fit_levels(features, counts, np.zeros((200, 2), np.bool_), np.ones(200), before, (2.0, 30.0, 60.0))
    assert nothing == ((0.0, 0.0), (-3.0, 0.5))


def test_an_effect_of_one_level_speaks_for_another_until_that_says_otherwise() -> None:
    draw = np.random.default_rng(6)
    x = draw.normal(size=2000)
    features = np.stack([np.ones((2000, 2)), np.tile(x[:, None], 2)], axis=2)
    counts = draw.poisson(np.exp(np.stack([0.5 * x, -3.0 + 0.5 * x], axis=1))).astype(np.float64)
    few = np.tile([True, False], (2000, 1))
    few[:20, 1] = True
    flat = np.zeros((2, 2))
    rows = fit_levels(features, counts, few, np.ones(2000), flat, (0.1, 10.0, 100.0))
    assert rows[1][1] == pytest.approx(0.5, abs=0.1), "20 units with one name say nothing by themselves"
    against = counts.copy()
    against[:, 1] = draw.poisson(np.exp(-0.5 * x))
    other = fit_levels(features, against, np.ones((2000, 2), np.bool_), np.ones(2000), flat, (0.1, 10.0, 100.0))
    assert other[0][1] == pytest.approx(0.5, abs=0.1)
    assert other[1][1] == pytest.approx(-0.5, abs=0.1)


def test_strategies_without_a_prior_are_expected_to_bring_their_mean() -> None:
    rows = expected_gain("new", np.array([[2.0, 0.0, 0.0, 0.0]] * 10), np.ones((10, LEVELS)))
    assert rows[:, 0] == pytest.approx(np.log(np.array([20.5, 0.5, 0.5, 0.5]) / 11))
    tenant = FEATURES.index("tenant_names")
    assert rows[:, tenant].tolist() == [1.0] * LEVELS, "twice the names in a tenant are twice at every level"
    assert not np.delete(rows, [0, tenant], axis=1).any()
    assert expected_gain("phonetic", np.zeros((1, LEVELS)), np.ones((1, LEVELS)))[0, 1] > 0.5, "longer, more names"


def test_the_price_is_set_on_all_utterances_and_not_on_those_that_were_reviewed() -> None:
    """Only the cheap tenant was reviewed: what the dear one costs is known without any review."""
    found = units()
    everything = by_strategy(map(unheard_of, found))
    some = by_strategy([unit for unit in found if unit.tenant == "cheap"])
    policy = fit_policy(some, 6.0, everything)
    assert mean_candidates(policy, everything) == pytest.approx(6.0, rel=0.15)
    assert mean_candidates(fit_policy(some, 6.0), everything) > 12.0


def test_the_chance_that_names_are_known_is_that_of_either_way() -> None:
    """Of four that explored one was heard whole: level 4 is known of it, or with the draw's chance of the others."""
    drawn = (1.0, 1.0, 0.5, 0.5, 0.2)
    some = [dataclasses.replace(unit, at_least=drawn, whole=at == 0) for at, unit in enumerate(units(4))]
    (data,) = by_strategy(some).values()
    assert data.known.tolist() == pytest.approx(np.tile([1.0, 1.0, 0.625, 0.625, 0.4], (4, 1)))
    (sure,) = by_strategy(units(4)).values()
    assert (sure.known == 1.0).all(), "where nobody explored all were heard whole"


def test_history_counts_each_unit_once_for_its_tenant_and_once_for_all() -> None:
    some = units(4)
    counts = counts_of(some, lambda unit: unit.tenant)
    assert set(counts) == {"", key_of("cheap"), key_of("dear")}
    assert counts[""][0] == 4
    assert counts[""][2] == sum(unit.candidates[DEFAULT - 1] for unit in some)
    assert counts[key_of("dear")][1] == sum(sum(unit.names[:DEFAULT]) for unit in some if unit.tenant == "dear")
    assert own_count(dataclasses.replace(some[0], drawn=1)) == (0.0, 0.0, 0.0), "what the default finds is not known"


def test_a_policy_is_judged_by_speakers_that_it_was_not_fitted_on() -> None:
    found = units()
    sides = halves(found)
    assert sum(sides.values()) == 10
    budget = 6.0
    policy = fit_policy(by_strategy(found), budget)
    result = compare(found, None, budget, policy.price, replicates=200)
    assert result.decisions == 400
    assert result.effective == pytest.approx(400), "heard whole, so every reward is known"
    assert result.difference.low > 0
    assert result.new["dr"].value - result.old["dr"].value == pytest.approx(result.difference.value)
    assert result.new["dr"].value == pytest.approx(result.new["ips"].value), "where all is known they agree"
    (new,), (old,) = result.new_strategies, result.old_strategies
    assert old.levels[DEFAULT] == 1.0
    assert old.candidates == pytest.approx(mean_candidates(None, by_strategy(found)))
    assert new.candidates == pytest.approx(budget, rel=0.2)
    assert new.names > old.names
    assert new.recall is not None
    assert old.recall is not None
    assert new.recall > old.recall


def test_noise_is_no_gain() -> None:
    """Features that say nothing: a fitted policy must not claim to be clearly better on other speakers."""
    draw, found = np.random.default_rng(5), list[Unit]()
    for at in range(300):
        names, more = draw.poisson((0.5, 0.2, 0.1, 0.05)), draw.poisson((2, 3, 8, 20))
        context = Context((1.0, *draw.random(5).tolist()), (1.0, 2.0, 4.0, 8.0))
        found.append(Unit(f"u{at}", "lexical", f"s{at % 20}", "", "", context, LEVELS, KNOWN, tuple(names.tolist()),
                          tuple(np.cumsum(more).tolist()), True, int(names.sum())))  # fmt: skip
    data = by_strategy(found)
    budget = mean_candidates(None, data)
    result = compare(found, None, budget, fit_policy(data, budget).price, replicates=200)
    assert result.difference.low <= 0.02
    assert result.difference.high >= -0.02
