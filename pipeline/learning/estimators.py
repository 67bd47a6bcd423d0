"""What a policy would have been worth on runs that another one made: off-policy estimates from logged decisions.

A unit i is one decision of a run, for an utterance and a strategy: a level d_i of 0 (off) to L was drawn. Levels nest,
whatever a level finds every wider one finds too. So the reward is a sum of what each level adds, r_i(l) = sum over
j <= l of a_i(j), and a_i(j) is known of every level j <= d_i, which has the probability T_i(j) of drawing at least j.
With P_i(j) the probability that a policy takes at least level j, b_i(j) what a model says that it adds, and o_i(j) = 1
where d_i >= j, else 0:

    IPS     = mean of sum over j of P_i(j) o_i(j) a_i(j) / T_i(j)
    SNIPS   = the same, but each level's mean divided by the mean of P(j) o(j) / T(j) and times that of P(j)
    DM      = mean of sum over j of P_i(j) b_i(j)
    DR      = DM + mean of sum over j of P_i(j) o_i(j) (a_i(j) - b_i(j)) / T_i(j)
    w_i     = sum over l of pi_i(l) o_i(l) / T_i(l), pi the probability of exactly l: the importance of the unit

IPS and SNIPS are those of Horvitz and Thompson (1952) and Swaminathan and Joachims (2015), DR that of Dudik, Langford
and Li (2011), of each level's part of the reward by itself: what a strict level adds is seen nearly always, and must
not be weighted by how seldom a wide one is. Units count by the inverse of the probability with which they were chosen
for review (``weights``), and every mean is over those weights.

Intervals: percentile bootstrap over speakers, whose utterances fail together. Resamples of G speakers differ too little
among each other, so the ends are moved away from the value by sqrt(G / (G - 1)) * t / z, the quantiles of Student's t
with G - 1 degrees of freedom and of the normal distribution. With one speaker alone they are over units. Names that
only one of two policies finds are few, and resamples of none of them would say that there cannot be any: an interval
of a difference is at least as wide as the Poisson noise of the names that a model expects there,

    half = t * sqrt(sum over i of w_i^2 sum over j of (P_i(j) - Q_i(j))^2 n_i(j) / T_i(j)) / sum of w_i

with Q of the old policy, n the names and w the weights. The effective sample is Kish's, (sum w)^2 / sum of w^2.
"""

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from pipeline.errors import InputError

Floats = npt.NDArray[np.float64]
ESTIMATORS = ("ips", "snips", "dm", "dr")
_Z = 1.959964
_T = (12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060, 2.2622)
"""97.5% quantiles: of the normal distribution, and of Student's t with 1 to 9 degrees of freedom."""


_LEAST_CHANCE = 0.02  # of a level that is looked at; one without any chance says nothing


@dataclasses.dataclass(frozen=True)
class Logged:
    """Units of runs, in any order.

    drawn:   [N] level that was drawn, 0 to L
    at_least: [N, L + 1] probability of drawing at least each level; 1 for level 0
    rewards: [N, L + 1] of each level; what stands above the drawn one is not looked at
    weights: [N] above 0; the inverse of the probability with which the unit was chosen for review
    groups:  [N] whose units fail together, such as a speaker's
    """

    drawn: npt.NDArray[np.int64]
    at_least: Floats
    rewards: Floats
    weights: Floats
    groups: npt.NDArray[np.int64]

    def __post_init__(self) -> None:
        """Raise InputError for what is no log: shapes, probabilities and levels that do not fit together."""
        count, levels = self.at_least.shape
        shapes = {"drawn": (count,), "rewards": (count, levels), "weights": (count,), "groups": (count,)}
        for name, shape in shapes.items():
            if getattr(self, name).shape != shape:
                raise InputError(f"logged {name} has the shape {getattr(self, name).shape}, needed is {shape}.")
        for name, bad in (
            ("drawn", (self.drawn < 0) | (self.drawn >= levels)),
            ("at_least", ((self.at_least < 0) | (self.at_least > 1)).any(1) | (self.at_least[:, 0] != 1)),
            ("at_least", (np.diff(self.at_least, axis=1) > 1e-12).any(1)),
            ("at_least", self.at_least[np.arange(count), np.clip(self.drawn, 0, levels - 1)] <= 0),
            ("rewards", ~np.isfinite(np.where(self.seen, self.rewards, 0.0)).all(1)),
            ("weights", ~((self.weights > 0) & np.isfinite(self.weights))),
        ):
            if bad.any():
                at = int(np.flatnonzero(bad)[0])
                raise InputError(
                    f"logged unit {at}: {name} is {getattr(self, name)[at]}, drawn was {self.drawn[at]}; needed are "
                    f"levels 0 to {levels - 1} that were drawn with a chance, chances that begin at 1 and fall, finite "
                    "rewards up to the drawn level, weights above 0."
                )

    @property
    def seen(self) -> npt.NDArray[np.bool_]:
        """[N, L + 1] whether a level's reward is known."""
        levels: npt.NDArray[np.int64] = np.arange(self.at_least.shape[1])
        return levels[None, :] <= self.drawn[:, None]

    def take(self, which: npt.NDArray[np.int64] | npt.NDArray[np.bool_]) -> "Logged":
        """Return some of the units."""
        return Logged(*(getattr(self, field.name)[which] for field in dataclasses.fields(self)))


@dataclasses.dataclass(frozen=True)
class Estimate:
    """A value with its interval; pipeline.markup.charts draws it."""

    value: float
    low: float
    high: float


def chosen(levels: npt.NDArray[np.int64], count: int) -> Floats:
    """Return [N, count] the probabilities of a policy that takes one level of each unit for sure."""
    taken: Floats = np.eye(count, dtype=np.float64)[levels]
    return taken


def _parts(logged: Logged, target: Floats, model: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """Return [N, L + 1] each, by level: P, P o / T, P o a / T and P b."""
    if target.shape != logged.rewards.shape or model.shape != logged.rewards.shape:
        raise InputError(f"the policy's probabilities have the shape {target.shape} and the model's rewards "
                         f"{model.shape}, needed is {logged.rewards.shape}.")  # fmt: skip
    wanted = np.cumsum(target[:, ::-1], axis=1)[:, ::-1]
    ratio = np.where(logged.seen, wanted / np.where(logged.seen, logged.at_least, 1.0), 0.0)
    rewards = np.where(logged.seen, logged.rewards, 0.0)
    added = np.where(logged.seen, np.diff(rewards, axis=1, prepend=0.0), 0.0)
    return wanted, ratio, ratio * added, wanted * np.diff(model, axis=1, prepend=0.0)


def _terms(logged: Logged, target: Floats, model: Floats) -> Floats:
    """Return [N, 3 + 3 (L + 1)] what the estimators are sums of: 1, DM, DR, and by level P, P o / T and P o a / T."""
    wanted, ratio, seen, expected = _parts(logged, target, model)
    corrected = seen - ratio * np.diff(model, axis=1, prepend=0.0)
    direct = expected.sum(1)
    columns = [np.ones(len(direct)), direct, direct + corrected.sum(1)]
    terms: Floats = logged.weights[:, None] * np.concatenate([np.stack(columns, 1), wanted, ratio, seen], axis=1)
    return terms


def _values(sums: Floats) -> Floats:
    """Return [..., 4] the ESTIMATORS from sums of terms."""
    weight, dm, dr = (sums[..., at] for at in range(3))
    wanted, ratio, seen = np.split(sums[..., 3:], 3, axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        snips = np.where(ratio > 0, seen / ratio * wanted, 0.0).sum(-1)
    values: Floats = np.stack([seen.sum(-1), snips, dm, dr], axis=-1) / weight[..., None]
    return values


def estimates(
    logged: Logged, target: Floats, model: Floats, replicates: int = 1000, seed: int = 20
) -> dict[str, Estimate]:
    """Return the value of a policy by each of ESTIMATORS.

    target: [N, L + 1] the policy's probability of each level
    model:  [N, L + 1] rewards as a model has them, which must not have been fitted on these units

    Raises InputError for shapes that do not fit, and without any unit.
    """
    columns = _terms(logged, target, model)
    draws, groups = _resampled(columns, logged.groups, replicates, seed)
    value = _values(columns.sum(0))
    low, high = _ends(_values(draws), value, groups)
    return {name: Estimate(float(value[at]), float(low[at]), float(high[at])) for at, name in enumerate(ESTIMATORS)}


def paired_difference(
    logged: Logged, new: Floats, old: Floats, model: Floats, replicates: int = 1000, seed: int = 20,
    names: Floats | None = None,
) -> Estimate:  # fmt: skip
    """Return DR of the new policy minus DR of the old one, on the same resamples: what both share falls out.

    names: [N, L + 1] that a model expects of each level, for the least width of the interval; none is no least
    """
    ours, theirs = _terms(logged, new, model), _terms(logged, old, model)
    found = mean_of(ours[:, 2] - theirs[:, 2], ours[:, 0], logged.groups, replicates, seed)
    if names is None:
        return found
    apart = np.cumsum((new - old)[:, ::-1], axis=1)[:, ::-1]
    chance = np.where(apart != 0, np.maximum(logged.at_least, _LEAST_CHANCE), 1.0)
    noise = float((logged.weights**2) @ (apart**2 * np.diff(names, axis=1, prepend=0.0) / chance).sum(1))
    groups = len(np.unique(logged.groups))
    half = (_student(groups - 1) if groups > 1 else _Z) * math.sqrt(noise) / float(logged.weights.sum())
    return Estimate(found.value, min(found.low, found.value - half), max(found.high, found.value + half))


def mean_of(
    sums: Floats, weights: Floats, groups: npt.NDArray[np.int64], replicates: int = 1000, seed: int = 20
) -> Estimate:
    """Return the sum of [N] weighted values over that of their weights, with its interval over groups."""
    columns = np.stack([weights, sums], axis=1)
    draws, count = _resampled(columns, groups, replicates, seed)
    value = columns[:, 1].sum() / columns[:, 0].sum()
    low, high = _ends(draws[:, 1] / draws[:, 0], value, count)
    return Estimate(float(value), float(low), float(high))


def effective_sample(logged: Logged, target: Floats) -> float:
    """Return how many equally important units would say as much of the policy: (sum w)^2 / sum of w^2."""
    ratio = np.where(logged.seen, target / np.where(logged.seen, logged.at_least, 1.0), 0.0)
    weights = logged.weights * ratio.sum(1)
    squares = float((weights**2).sum())
    return float(weights.sum()) ** 2 / squares if squares > 0 else 0.0


def _resampled(
    columns: Floats, groups: npt.NDArray[np.int64], replicates: int, seed: int
) -> tuple[Floats, int]:  # fmt: skip
    """Return [replicates, C] sums of the columns over groups drawn with replacement, and how many groups there are."""
    if not len(columns):
        raise InputError("there is no decision to estimate anything from; review utterances of a run with --policy.")
    names, place = np.unique(groups, return_inverse=True)
    if len(names) == 1:
        names = place = np.arange(len(groups))
    sums = np.zeros((len(names), columns.shape[1]))
    np.add.at(sums, place, columns)
    draws = np.random.default_rng(seed).multinomial(len(names), np.full(len(names), 1 / len(names)), replicates)
    return draws @ sums, len(names)


def _ends(draws: Floats, value: Floats, groups: int) -> tuple[Floats, Floats]:
    """Return the ends of the 95% interval from resamples of so many groups."""
    low, high = np.percentile(draws, [2.5, 97.5], axis=0)
    wider = math.sqrt(groups / (groups - 1)) * _student(groups - 1) / _Z if groups > 1 else 1.0
    return value + wider * (low - value), value + wider * (high - value)


def _student(freedom: int) -> float:
    """Return the 97.5% quantile of Student's t (from 10 degrees on by its expansion, right to 0.003)."""
    if freedom <= len(_T):
        return _T[freedom - 1]
    return _Z + (_Z**3 + _Z) / (4 * freedom) + (5 * _Z**5 + 16 * _Z**3 + 3 * _Z) / (96 * freedom**2)


def halves_of(speakers: Iterable[str]) -> dict[str, bool]:
    """Return which speakers are of the first half: alternately in the order of their names."""
    return {name: at % 2 == 0 for at, name in enumerate(sorted(set(speakers)))}


def groups_of(names: Sequence[str | None]) -> npt.NDArray[np.int64]:
    """Return [N] a number for each name; those without one are a group each."""
    numbers: dict[str, int] = {}
    found = [numbers.setdefault(name, len(numbers)) if name else -1 - at for at, name in enumerate(names)]
    return np.array(found, np.int64)


def facts(values: Mapping[str, Estimate]) -> dict[str, dict[str, float]]:
    """Return estimates as JSON-like values."""
    return {name: dataclasses.asdict(value) for name, value in values.items()}
