"""The next policy from what reviews say of decisions.

For each strategy and level two models (pipeline.learning.loglinear): names that the level brings, and candidates.

Candidates of every level are known of all utterances of a run without any review, so the model of candidates and the
price of one are set on those (``everything``). The price is the one at which the policy asks for as many candidates as
it may (``candidates``), so policies are compared at equal cost.

Names are known only of what was reviewed, and of levels up to the one that was drawn. Whether a level was drawn follows
from the features alone, so given these it says nothing of the names: units count by the inverse of the probability of
review, and not by that of the draw, which would let a few names found by luck outweigh all others. Reviews are few and
names that only wide levels find are fewer: the fit begins from what holds of other speech (pipeline.learning.prior),
moves all levels together first, and one by itself only if reviews are clear about it.
"""

import dataclasses
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from pipeline.learning.loglinear import fit_counts, fit_levels
from pipeline.learning.prior import expected_gain
from pipeline.learning.units import Unit
from pipeline.retrieval.policy import MOST, Count, Counts, Model, Policy, Vector, features_of, history, key_of
from pipeline.retrieval.strategy import DEFAULT, LEVELS

Floats = npt.NDArray[np.float64]
_COST_RIDGE = 10.0
"""Of the model of candidates, at a mean weight of 1."""
_HELD = (2.0, 30.0, 60.0)
"""Names whose evidence moves a level's rate, an effect on all levels, and one on a single level half of the way from
what is expected. A third of them to three times as much did as well on the halves of speakers that were learnt from."""
_LEAST_PRICE, _MOST_PRICE = 1e-6, 10.0  # names per candidate
_HALVINGS = 60
_HEAVIEST = 50.0
"""Most that a unit counts for: the chance of review may be small."""


@dataclasses.dataclass(frozen=True)
class Data:
    """Units of one strategy as arrays; L = LEVELS.

    names:      [N, L] that each level finds first, of levels up to ``drawn``
    candidates: [N, L]
    """

    units: Sequence[Unit]
    names: Floats
    candidates: Floats
    drawn: npt.NDArray[np.int64]
    at_least: Floats
    weights: Floats

    def take(self, which: npt.NDArray[np.bool_]) -> "Data":
        """Return some of the units."""
        kept = [unit for unit, keep in zip(self.units, which.tolist(), strict=True) if keep]
        return Data(
            kept,
            self.names[which],
            self.candidates[which],
            self.drawn[which],
            self.at_least[which],
            self.weights[which],
        )

    @property
    def known(self) -> Floats:
        """[N, L + 1] with which chance each level's names are known of an utterance that was reviewed.

        They are if it was heard whole, with the share of those that explored, or if at least that level was drawn. So
        a unit counts by one over the chance that it is known in either way (Veach and Guibas 1995, the balance
        heuristic), which is at most one over that share, and not by that of its draw. Who hears utterances whole must
        not choose them by their names.
        """
        explored = self.at_least[:, -1] < 1
        whole = np.array([unit.whole for unit in self.units], np.bool_)
        total = float(self.weights[explored].sum())
        share = float(self.weights[explored & whole].sum()) / total if total else 1.0
        chances: Floats = np.where(explored[:, None], share + (1 - share) * self.at_least, self.at_least)
        return chances

    def rewards(self, price: float) -> Floats:
        """[N, L + 1] names less the price of candidates; of levels above the drawn one it is too low."""
        return with_off(np.cumsum(self.names, axis=1) - price * self.candidates)

    def costs(self, levels: npt.NDArray[np.int64]) -> Floats:
        """[N] candidates at one level of each unit."""
        found: Floats = with_off(self.candidates)[np.arange(len(self.candidates)), levels]
        return found


def with_off(levels: Floats) -> Floats:
    """Return [N, L + 1] of values [N, L] of levels: nothing comes of a strategy that is off."""
    return np.concatenate([np.zeros((len(levels), 1)), levels], axis=1)


def by_strategy(units: Iterable[Unit]) -> dict[str, Data]:
    """Return the units of each strategy, in the order of their names."""
    found: dict[str, list[Unit]] = {}
    for unit in units:
        found.setdefault(unit.strategy, []).append(unit)
    return {name: _data(found[name]) for name in sorted(found)}


def _data(units: Sequence[Unit]) -> Data:
    return Data(
        units,
        np.array([unit.names for unit in units], np.float64).reshape(-1, LEVELS),
        np.array([unit.candidates for unit in units], np.float64).reshape(-1, LEVELS),
        np.array([unit.drawn for unit in units], np.int64),
        np.array([unit.at_least for unit in units], np.float64).reshape(-1, LEVELS + 1),
        np.array([unit.weight for unit in units], np.float64),
    )


def counts_of(units: Iterable[Unit], name_of: Callable[[Unit], str]) -> Counts:
    """Return what reviews say of each tenant or session, and of all together, of units that drew the default level."""
    found: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0, 0.0])
    for unit in units:
        if unit.drawn >= DEFAULT:
            for key in {"", key_of(name_of(unit)) if name_of(unit) else ""}:
                for at, value in enumerate(own_count(unit)):
                    found[key][at] += value
    return {key: (one[0], one[1], one[2]) for key, one in sorted(found.items())}


def own_count(unit: Unit) -> Count:
    """Return what a unit adds to the history of its tenant and session."""
    if unit.drawn < DEFAULT:
        return 0.0, 0.0, 0.0
    return 1.0, float(sum(unit.names[:DEFAULT])), float(unit.candidates[DEFAULT - 1])


def fit_policy(
    data: Mapping[str, Data], candidates: float, everything: Mapping[str, Data] | None = None
) -> Policy:  # fmt: skip
    """Return the policy that brings most names at a mean of so many candidates per utterance, as the models have it.

    candidates: of all strategies together; of what they cannot reach, the nearest
    everything: units of all utterances, reviewed or not, of which only candidates are looked at; default ``data``
    """
    known = {name: (everything or data).get(name, one) for name, one in data.items()}
    models = {name: _fit_model(name, one, known[name]) for name, one in data.items()}
    free = Policy(models, 0.0)
    worth = {name: expected(free, name, one.units) for name, one in known.items()}
    utterances = utterance_weight(known)

    def asked(price: float) -> float:
        levels = {name: _best_levels(gain, cost, price) for name, (gain, cost) in worth.items()}
        return sum(float(one.weights @ one.costs(levels[name])) for name, one in known.items()) / utterances

    low, high = math.log(_LEAST_PRICE), math.log(_MOST_PRICE)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if asked(math.exp(middle)) > candidates else (low, middle)
    return Policy(models, math.ceil(math.exp(high) * 1e9) / 1e9)


def _fit_model(strategy: str, data: Data, everything: Data) -> Model:
    tenants = counts_of(data.units, lambda unit: unit.tenant)
    sessions = counts_of(data.units, lambda unit: unit.session)
    nothing: tuple[Vector, ...] = ()
    past = Model(nothing, nothing, tenants, sessions)
    features = np.array([_own_features(past, unit) for unit in data.units])  # [N, L, F]
    seen: npt.NDArray[np.bool_] = data.drawn[:, None] > np.arange(LEVELS)
    weights = usual(data.weights)
    before = expected_gain(strategy, weights[:, None] * data.names, weights[:, None] * seen)
    gain = fit_levels(features, data.names, seen, weights, before, _HELD)
    contexts = plain_features(everything.units, past)
    cost, below = [], np.zeros(len(everything.units))
    for at in range(LEVELS):
        more = everything.candidates[:, at] - below
        cost.append(fit_counts(contexts[:, at], more, usual(everything.weights), _COST_RIDGE))
        below = everything.candidates[:, at]
    return Model(gain, tuple(cost), tenants, sessions)


def usual(weights: Floats) -> Floats:
    """Return weights with a mean of 1, none above what one unit may count for."""
    limited: Floats = np.minimum(weights / weights.mean(), _HEAVIEST)
    return limited


def plain_features(units: Sequence[Unit], past: Model | None = None) -> Floats:
    """Return [N, LEVELS, F] the features of units as a run has them."""
    found = [features_of(unit.context, *history(past, unit.tenant, unit.session)) for unit in units]
    return np.array(found, np.float64).reshape(len(units), LEVELS, -1)


def _own_features(past: Model, unit: Unit) -> tuple[Vector, ...]:
    """Return the features of a unit whose own reviews must not speak for it."""
    return features_of(unit.context, *history(past, unit.tenant, unit.session, own_count(unit)))


def expected(policy: Policy, strategy: str, units: Sequence[Unit]) -> tuple[Floats, Floats]:
    """Return [N, LEVELS + 1] names and candidates that each level should bring, as a run with the policy sees units."""
    model = policy.models[strategy]
    rows = [policy.features(strategy, unit.context, unit.tenant, unit.session) for unit in units]
    features = np.array(rows, np.float64).reshape(len(units), LEVELS, -1)
    found = []
    for weights in (model.gain, model.cost):
        powers = np.einsum("nlf,lf->nl", features, np.array(weights, np.float64))
        found.append(with_off(np.cumsum(np.exp(np.minimum(powers, MOST)), axis=1)))
    return found[0], found[1]


def levels_of(policy: Policy | None, strategy: str, units: Sequence[Unit]) -> npt.NDArray[np.int64]:
    """Return [N] the levels that a policy takes without exploration; None is no policy."""
    if policy is None or strategy not in policy.models:
        return np.full(len(units), DEFAULT, np.int64)
    return _best_levels(*expected(policy, strategy, units), policy.price)


def _best_levels(gain: Floats, cost: Floats, price: float) -> npt.NDArray[np.int64]:
    levels: npt.NDArray[np.int64] = np.round(gain - price * cost, 9).argmax(1)  # the lower of equals
    return levels


def mean_candidates(policy: Policy | None, data: Mapping[str, Data]) -> float:
    """Return the mean candidates per utterance, by the inverse of the probability of review."""
    total = sum(float(one.weights @ one.costs(levels_of(policy, name, one.units))) for name, one in data.items())
    return total / utterance_weight(data)


def utterance_weight(data: Mapping[str, Data]) -> float:
    """Return the weight of all utterances, each once whatever strategies could say something of it."""
    weights = {unit.utterance_id: unit.weight for one in data.values() for unit in one.units}
    return sum(weights.values()) or 1.0
