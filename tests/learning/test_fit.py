"""Fitting: models that find the effects that were put in, prices that meet a budget, and honest comparisons."""

import dataclasses

import numpy as np
import pytest

from pipeline.learning.evaluate import compare, halves
from pipeline.learning.fit import by_strategy, counts_of, fit_policy, levels_of, mean_candidates, own_count
from pipeline.learning.loglinear import fit_counts
from pipeline.learning.units import KNOWN, SURE, Unit
from pipeline.retrieval.context import Context
from pipeline.retrieval.policy import key_of
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
        context = Context((1.0, 1.5, doubt, doubt / 2, 0.1), (1.0, 2.0, 4.0, 8.0))
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


def test_what_was_drawn_with_a_chance_counts_by_its_inverse() -> None:
    """Half of the units drew only the first level; the names of wider ones must not look half as many."""
    known, some = units(1200, seed=3), list[Unit]()
    draw = np.random.default_rng(4)
    for unit in known:
        level = 4 if draw.random() < 0.5 else 1
        names = tuple(count if at < level else 0 for at, count in enumerate(unit.names))
        some.append(
            dataclasses.replace(unit, drawn=level, at_least=(1.0, 1.0, 0.5, 0.5, 0.5), names=names, whole=False)
        )
    full, partial = (fit_policy(by_strategy(found), 5.0).models["phonetic"] for found in (known, some))
    assert [row[0] for row in partial.gain[:2]] == pytest.approx([row[0] for row in full.gain[:2]], abs=0.6)
    levels = [levels_of(fit_policy(by_strategy(found), 5.0), "phonetic", known) for found in (known, some)]
    assert (levels[0] == levels[1]).mean() > 0.8


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
    """Features that say nothing: the fitted policy must not claim to be clearly better on other speakers."""
    draw, found = np.random.default_rng(5), list[Unit]()
    for at in range(300):
        names, more = draw.poisson((0.5, 0.2, 0.1, 0.05)), draw.poisson((2, 3, 8, 20))
        context = Context((1.0, *draw.random(4).tolist()), (1.0, 2.0, 4.0, 8.0))
        found.append(Unit(f"u{at}", "phonetic", f"s{at % 20}", "", "", context, LEVELS, KNOWN, tuple(names.tolist()),
                          tuple(np.cumsum(more).tolist()), True, int(names.sum())))  # fmt: skip
    data = by_strategy(found)
    budget = mean_candidates(None, data)
    result = compare(found, None, budget, fit_policy(data, budget).price, replicates=200)
    assert result.difference.low <= 0.02
    assert result.difference.high >= -0.02
