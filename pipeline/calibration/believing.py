"""The guard, refitted to what reviewers said of its proposals (pipeline.calibration.answered).

Bounds, from LEAST_LABELS judged proposals on. With s the log odds of the trees, the log odds that a proposal of the
reviewed lists and audio is right are taken to be a + b * s (Platt 1999), held to a = 0 and b = 1. A bound is the log
odds that a proposal must have, so a bound t becomes (t - a) / b: what is just believed is then as likely right as it
was meant to be. It falls no further than to where two are right for one that is wrong: below, more is written and F1
is hardly higher. Rates keep their unit, false accepts per hour on sound-alikes; where the guard was right it stays.

Trees, from LEAST_FOR_TREES on: grown on from those of before, as `rollcall calibrate` does. They take the place of the
old ones only if they say better what is right of speakers that they have not seen.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.calibration.answered import Answered
from pipeline.calibration.logistic import Floats, fit_logistic, log_loss
from pipeline.learning.estimators import halves_of
from pipeline.rescoring.guard import Judge
from pipeline.rescoring.trees import Trees
from pipeline.training.guard_fit import Judged, can_fit, fit_trees, odds_by

LEAST_LABELS, LEAST_FOR_TREES = 100, 2000
_WORTH_IT = float(np.log(2.0))  # log odds of a proposal that must be right twice as likely as wrong
_HELD = np.array([1.0, 10.0])  # of a and b: as many proposals in doubt must say otherwise before they move by half


@dataclasses.dataclass(frozen=True)
class Labels:
    """Proposals of reviewed utterances as arrays of [P].

    known, right: whether reviews say of a proposal whether it is right, and whether it is
    weights:      of the utterance, with a mean of 1
    first:        whether its speaker is of the first half
    hours:        of audio, weighted likewise
    """

    proposals: Sequence[Judged]
    known: npt.NDArray[np.bool_]
    right: npt.NDArray[np.bool_]
    weights: Floats
    first: npt.NDArray[np.bool_]
    hours: float

    @classmethod
    def of(cls, utterances: Sequence[Answered]) -> "Labels":
        """Return the proposals of utterances, which may come in any order."""
        utterances = sorted(utterances, key=lambda one: one.utterance_id)
        sides = halves_of(one.speaker for one in utterances)
        mean = float(np.mean([one.weight for one in utterances])) if utterances else 1.0
        rows = [
            (dataclasses.replace(proposal, utterance=number), known, one.weight / mean, sides[one.speaker])
            for number, one in enumerate(utterances)
            for proposal, known in zip(one.proposals, one.known, strict=True)
        ]
        proposals = [row[0] for row in rows]
        hours = sum(one.seconds * one.weight / mean for one in utterances) / 3600
        return cls(
            proposals,
            np.array([row[1] for row in rows], np.bool_),
            np.array([one.right for one in proposals], np.bool_),
            np.array([row[2] for row in rows], np.float64),
            np.array([row[3] for row in rows], np.bool_),
            hours,
        )

    @property
    def count(self) -> int:
        """How many proposals are judged."""
        return int(self.known.sum())

    def odds(self, trees: Trees, features: Sequence[str]) -> Floats:
        """Return [P] the log odds by trees."""
        return odds_by(trees, self.proposals, features)


@dataclasses.dataclass(frozen=True)
class Believing:
    """The refitted guard.

    trees, bounds: as in a weights file; grown: whether the trees are others than before
    shift, slope:  a and b
    loss_before, loss: of what is right of speakers that were left out, in nats per judged proposal, by the log odds as
        they were and as they are now
    labels, right: judged proposals, and how many of them are right
    """

    trees: Trees
    bounds: tuple[tuple[float, float], ...]
    grown: bool
    shift: float
    slope: float
    loss_before: float
    loss: float
    labels: int
    right: int

    def part(self) -> dict[str, Any]:
        """Return a part of a weights file."""
        return {"bounds": [list(pair) for pair in self.bounds], "trees": self.trees.to_json()}


def refit(labels: Labels, start: Judge) -> Believing | None:
    """Return the guard of ``start`` refitted; None for fewer than LEAST_LABELS judged proposals."""
    if labels.count < LEAST_LABELS:
        return None
    trees, odds = start.trees, labels.odds(start.trees, start.features)
    before = _loss(labels, odds)
    found, loss, grown = odds, _left_out(labels, odds), False
    if labels.count >= LEAST_FOR_TREES and can_fit():
        crossed = _crossed(labels, start)
        other = _left_out(labels, crossed)
        if other < loss:
            found, loss, grown = crossed, other, True
            trees = _grown(labels, labels.known, start)
    shift, slope = _platt(labels, found, labels.known)
    bounds = tuple((rate, _moved(bound, shift, slope)) for rate, bound in start.bounds)
    right = int((labels.right & labels.known).sum())
    return Believing(trees, bounds, grown, shift, slope, before, loss, labels.count, right)


def _moved(bound: float, shift: float, slope: float) -> float:
    least = (_WORTH_IT - shift) / slope
    return round(max((bound - shift) / slope, min(bound, least)), 2)


def _platt(labels: Labels, odds: Floats, which: npt.NDArray[np.bool_]) -> tuple[float, float]:
    """Return a and b of judged proposals."""
    features = np.stack([np.ones(int(which.sum())), odds[which]], axis=1)
    weights, right = labels.weights[which], labels.right[which]
    a, b = fit_logistic(features, right, weights, np.array([0.0, 1.0]), _HELD, np.zeros(len(right)))
    return round(float(a), 4), round(max(float(b), 0.1), 4)


def _loss(labels: Labels, odds: Floats) -> float:
    known = labels.known
    return log_loss(odds[known], labels.right[known], labels.weights[known])


def _left_out(labels: Labels, odds: Floats) -> float:
    """Return the loss of log odds with a and b fitted on the other half of the speakers."""
    found = odds.copy()
    for side in (True, False):
        others = labels.known & (labels.first != side)
        a, b = _platt(labels, odds, others) if others.any() else (0.0, 1.0)
        here = labels.first == side
        found[here] = a + b * odds[here]
    return _loss(labels, found)


def _crossed(labels: Labels, start: Judge) -> Floats:
    """Return the log odds by trees that were grown on the other half of the speakers."""
    found = labels.odds(start.trees, start.features)
    for side in (True, False):
        others = labels.known & (labels.first != side)
        if others.any():
            here = labels.first == side
            found[here] = labels.odds(_grown(labels, others, start), start.features)[here]
    return found


def _grown(labels: Labels, which: npt.NDArray[np.bool_], start: Judge) -> Trees:
    chosen = [labels.proposals[at] for at in np.flatnonzero(which)]
    if len({one.right for one in chosen}) < 2:
        return start.trees  # nothing to tell apart
    return fit_trees(chosen, start.features, start.trees, labels.weights[which])
