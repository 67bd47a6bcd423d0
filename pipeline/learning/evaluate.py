"""What a new policy is worth against the one before, from the same reviews that it was learnt from.

Nobody is judged by models that have seen him: speakers are split in two, each half is judged by what was fitted on the
other one, policy and model of names alike. The reward is names less the price of candidates. Candidates are known of
every level of every utterance, so only the names are estimated (pipeline.learning.estimators).
"""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from pipeline.learning.estimators import (
    Estimate,
    Floats,
    Logged,
    chosen,
    effective_sample,
    estimates,
    halves_of,
    paired_difference,
)
from pipeline.learning.fit import Data, by_strategy, expected, fit_policy, levels_of, utterance_weight, with_off
from pipeline.learning.units import Unit
from pipeline.retrieval.policy import Policy
from pipeline.retrieval.strategy import LEVELS


@dataclasses.dataclass(frozen=True)
class StrategyWorth:
    """Of one strategy under one policy, means per utterance; recall where utterances were heard whole.

    levels: [LEVELS + 1] shares of the decisions
    """

    strategy: str
    names: float
    candidates: float
    recall: float | None
    levels: tuple[float, ...]


@dataclasses.dataclass(frozen=True)
class Comparison:
    """A new policy against an old one.

    new, old:   by each of ESTIMATORS, reward per decision
    difference: paired DR, new less old
    effective:  sample of decisions that speaks for the new one
    """

    decisions: int
    new: Mapping[str, Estimate]
    old: Mapping[str, Estimate]
    difference: Estimate
    effective: float
    new_strategies: tuple[StrategyWorth, ...]
    old_strategies: tuple[StrategyWorth, ...]


def halves(units: Sequence[Unit]) -> dict[str, bool]:
    """Return which speakers are of the first half."""
    return halves_of(map(speaker_of, units))


def speaker_of(unit: Unit) -> str:
    """Return whose utterance it is; where nobody says, it stands for itself."""
    return unit.speaker or unit.utterance_id


def compare(
    units: Sequence[Unit], incumbent: Policy | None, candidates: float, price: float, replicates: int = 1000,
    everything: Mapping[str, Data] | None = None,
) -> Comparison:  # fmt: skip
    """Return what policies fitted on halves of the speakers are worth on the other halves, against ``incumbent``.

    candidates: mean that the policies are fitted to; price: of a candidate, in names
    everything: as fit_policy has it
    """
    sides = halves(units)
    fitted = _fitted(units, sides, candidates, everything)
    reviewed = by_strategy(units)
    numbers, utterances = {name: at for at, name in enumerate(sides)}, utterance_weight(reviewed)
    parts = list[tuple[Logged, Floats, Floats, Floats, Floats]]()
    new_worth, old_worth = list[StrategyWorth](), list[StrategyWorth]()
    for name, data in reviewed.items():
        taken, gains = _crossed(name, data, sides, fitted)
        before = levels_of(incumbent, name, data.units)
        groups = np.array([numbers[speaker_of(unit)] for unit in data.units], np.int64)
        logged = Logged(data.drawn, data.known, data.rewards(price), data.weights, groups)
        costs = with_off(data.candidates)
        parts.append((logged, chosen(taken, LEVELS + 1), chosen(before, LEVELS + 1), gains - price * costs, gains))
        new_worth.append(_worth(name, data, taken, gains, utterances))
        old_worth.append(_worth(name, data, before, gains, utterances))
    fields = [field.name for field in dataclasses.fields(Logged)]
    whole = Logged(*(np.concatenate([getattr(part[0], name) for part in parts]) for name in fields))
    new, old, model, names = (np.concatenate([part[at] for part in parts]) for at in (1, 2, 3, 4))
    return Comparison(
        len(whole.drawn),
        estimates(whole, new, model, replicates),
        estimates(whole, old, model, replicates),
        paired_difference(whole, new, old, model, replicates, names=names),
        effective_sample(whole, new),
        tuple(new_worth),
        tuple(old_worth),
    )


def _fitted(
    units: Sequence[Unit], sides: Mapping[str, bool], candidates: float, everything: Mapping[str, Data] | None
) -> dict[bool, Policy]:
    """Return the policy for the units of each half, fitted on the other; with one speaker alone, on all."""
    found = {}
    for side in (True, False):
        others = [unit for unit in units if sides[speaker_of(unit)] != side]
        found[side] = fit_policy(by_strategy(others or units), candidates, everything)
    return found


def _crossed(
    name: str, data: Data, sides: Mapping[str, bool], fitted: Mapping[bool, Policy]
) -> tuple[npt.NDArray[np.int64], Floats]:
    """Return [N] the levels that policies fitted on other speakers take, and [N, L + 1] the names they expect."""
    first = np.array([sides[speaker_of(unit)] for unit in data.units], np.bool_)
    levels, gains = np.zeros(len(first), np.int64), np.zeros((len(first), LEVELS + 1))
    for side, policy in fitted.items():
        here = first == side
        units = data.take(here).units
        levels[here] = levels_of(policy, name, units)
        if name in policy.models and len(units):
            gains[here] = expected(policy, name, units)[0]
    return levels, gains


def _worth(
    name: str, data: Data, levels: npt.NDArray[np.int64], gains: Floats, utterances: float
) -> StrategyWorth:  # fmt: skip
    """Return names (DR) and candidates per utterance; recall of what was heard whole."""
    groups = np.zeros(len(levels), np.int64)
    logged = Logged(data.drawn, data.known, data.rewards(0.0), data.weights, groups)
    names = estimates(logged, chosen(levels, LEVELS + 1), gains, replicates=2)["dr"].value
    whole = np.array([unit.whole for unit in data.units], np.bool_)
    said = float(data.weights @ np.array([unit.said for unit in data.units], np.float64))
    found = data.rewards(0.0)[np.arange(len(levels)), levels] * whole
    return StrategyWorth(
        name,
        names * float(data.weights.sum()) / utterances,
        float(data.weights @ data.costs(levels)) / utterances,
        float(data.weights @ found) / said if said else None,
        tuple((np.bincount(levels, minlength=LEVELS + 1) / max(1, len(levels))).tolist()),
    )
