"""Fit the guard's weights on judged proposals, and find the bound for each rate of false accepts."""

import dataclasses
from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from pipeline.decoding.interface import Hypothesis
from pipeline.entities.catalog import EntityList
from pipeline.entities.matching import find_entities
from pipeline.phonetics.evidence import FEATURES, Vector
from pipeline.phonetics.proposals import Proposal, apply_proposals

_RIDGE = 1.0  # of weights in units of a feature's spread; keeps them finite where a feature separates all
_STEPS = 30
_SAME_SPREAD = 1e-6


@dataclasses.dataclass(frozen=True)
class Judged:
    """A proposal of utterance number ``utterance`` with its evidence.

    gained, wrong: how many entities that were said, and that were not, it adds to the unbiased transcript
    """

    utterance: int
    proposal: Proposal
    features: Vector
    gained: int
    wrong: int

    @property
    def right(self) -> bool:
        return self.gained > 0 and self.wrong <= 0


def judged(
    number: int, unbiased: Hypothesis, measured: Sequence[tuple[Proposal, Vector]], said: str, entities: EntityList
) -> list[Judged]:
    """Compare each proposal with what was said, normalised text."""
    reference, before = entities_in(said, entities), entities_in(unbiased.text, entities)
    found = []
    for proposal, features in measured:
        after = entities_in(apply_proposals(unbiased, [proposal], ()).text, entities)
        gained = (after & reference).total() - (before & reference).total()
        wrong = (after - reference).total() - (before - reference).total()
        found.append(Judged(number, proposal, features, gained, wrong))
    return found


def fit_weights(proposals: Sequence[Judged]) -> tuple[Vector, float]:
    """Return (weights [F] in the features' own units, bias) of a ridge logistic regression, by Newton's method."""
    values = np.array([one.features for one in proposals]).reshape(-1, len(FEATURES))
    right = np.array([one.right for one in proposals], np.float64)
    mean, spread = values.mean(axis=0), values.std(axis=0) + _SAME_SPREAD
    design = np.c_[(values - mean) / spread, np.ones(len(values))]
    ridge = np.diag([_RIDGE] * len(FEATURES) + [_SAME_SPREAD])
    weights = np.zeros(len(FEATURES) + 1)
    for _ in range(_STEPS):
        belief = 1 / (1 + np.exp(-design @ weights))
        gradient = design.T @ (belief - right) + ridge @ weights
        curvature = (design.T * (belief * (1 - belief))) @ design + ridge
        weights -= np.linalg.solve(curvature, gradient)
    scaled = weights[:-1] / spread
    return scaled, float(weights[-1] - scaled @ mean)


def accepted(proposals: Sequence[Judged], odds: npt.NDArray[np.float64], bound: float) -> list[Judged]:
    """Return what the guard takes at ``bound``: in each utterance the surest first, none touching another."""
    taken: dict[int, list[Judged]] = {}
    for at in np.argsort(-odds, kind="stable"):
        if odds[at] < bound:
            break
        one = proposals[at]
        others = taken.setdefault(one.utterance, [])
        if not any(one.proposal.touches(other.proposal) for other in others):
            others.append(one)
    return [one for others in taken.values() for one in others]


def bounds_table(
    proposals: Sequence[Judged], odds: npt.NDArray[np.float64], hours: float, rates: Sequence[float]
) -> list[tuple[float, float]]:
    """Return, for each rate that can be kept, (rate, lowest bound with at most so many false accepts per hour)."""
    grid = np.unique(np.round(odds, 2))[::-1]
    counts = np.array([sum(max(0, one.wrong) for one in accepted(proposals, odds, bound)) for bound in grid])
    table = []
    for rate in rates:
        kept = np.flatnonzero(np.maximum.accumulate(counts) <= rate * hours)
        if len(kept):
            table.append((float(rate), float(grid[kept[-1]])))
    return table


def entities_in(text: str, entities: EntityList) -> Counter[str]:
    """Return how often each entity stands in a normalised text."""
    return Counter(found.entity.text for found in find_entities(text.split(), entities))
