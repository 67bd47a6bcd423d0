"""The log odds that large lists are ranked and cut by, refitted to utterances that reviewers heard whole.

Every name of the list that the phones allow is a row, said or not: pipeline.training.cut_fit. Rows count by the inverse
of the probability with which their utterance was chosen for review. Utterances of which only proposals were judged are
left out: what is written there has passed the guard, which hears more than the cut does.

The weights are held to those of before. Their constant is set so that as many candidates pass as before, so bounds and
what else is counted in log odds keep their meaning. They take the place of the old ones only if those that were fitted
on the other half of the speakers say better what was said, and keep more of it by more than chance: the lower end of
the 95% interval of the difference, over speakers, is above 0.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.calibration.logistic import Floats, fit_logistic, log_loss
from pipeline.learning.estimators import groups_of, halves_of, mean_of
from pipeline.retrieval.ranked import FEATURES
from pipeline.training.cut_fit import CutRows

LEAST_SAID, LEAST_REJECTED = 50, 50
"""Names that were said, and candidates that were not, which weights are learnt from at least."""
_HELD = 30.0  # rows in doubt that a weight is held by: those of before were fitted to some hundred names
_CONSTANT = FEATURES.index("one")
_DIGITS = 4


@dataclasses.dataclass(frozen=True)
class Ranked:
    """Rows of one utterance that was heard whole.

    said:   names of the list that were, whether the phones allow them or not
    offset: log odds that the size of its list adds (-pipeline.retrieval.ranked's rise)
    """

    utterance_id: str
    speaker: str
    weight: float
    rows: CutRows
    said: int
    offset: float


@dataclasses.dataclass(frozen=True)
class Ranking:
    """What was found.

    weights:       of FEATURES; those of before where the new ones were not better
    said, rejected: names that were said, and candidates that were not
    recall_before, recall: share of the said names that pass, as it was and by weights fitted on other speakers, with as
        many candidates; gained_at_least: lower end of the interval of their difference
    """

    weights: dict[str, float]
    said: int
    rejected: int
    recall_before: float
    recall: float
    gained_at_least: float
    loss_before: float
    loss: float
    changed: bool

    def content(self) -> dict[str, Any]:
        """Return what ``cut.json`` holds."""
        return {"weights": self.weights}


@dataclasses.dataclass(frozen=True)
class _Rows:
    features: Floats
    said: npt.NDArray[np.bool_]
    weights: Floats
    offset: Floats
    first: npt.NDArray[np.bool_]
    speakers: npt.NDArray[np.int64]

    def odds(self, weights: Floats) -> Floats:
        found: Floats = self.features @ weights + self.offset
        return found


def counts(utterances: Sequence[Ranked], weights: Sequence[float], bound: float) -> tuple[int, int]:
    """Return how many names were said, and how many candidates that pass ``bound`` were not."""
    if not utterances:
        return 0, 0
    rows, plain = _joined(utterances), np.array(weights)
    passing = (rows.odds(plain) >= bound) & ~rows.said
    return sum(one.said for one in utterances), int(passing.sum())


def refit_ranking(utterances: Sequence[Ranked], weights: Sequence[float], bound: float) -> Ranking | None:
    """Return the weights refitted; None where fewer were said or rejected than LEAST_SAID and LEAST_REJECTED.

    weights, bound: as they are, the bound for a list of 2^18
    """
    said, rejected = counts(utterances, weights, bound)
    if said < LEAST_SAID or rejected < LEAST_REJECTED:
        return None
    rows, before = _joined(utterances), np.array(weights, np.float64)
    new = _fitted(rows, np.ones(len(rows.said), np.bool_), before, bound)
    odds = rows.odds(before)
    crossed = odds.copy()
    for side in (True, False):
        here = rows.first == side
        if here.any() and not here.all():
            crossed[here] = rows.odds(_fitted(rows, ~here, before, bound))[here]
    crossed += _shift(crossed, rows.weights, odds, bound)
    weight = sum(one.said * one.weight for one in utterances) / _mean_weight(utterances)
    old_recall, new_recall = (
        float((rows.weights * rows.said * (some >= bound)).sum() / weight) for some in (odds, crossed)
    )
    gained = (rows.said * ((crossed >= bound).astype(np.float64) - (odds >= bound)))[rows.said]
    difference = mean_of(gained * rows.weights[rows.said], rows.weights[rows.said], rows.speakers[rows.said])
    old_loss, new_loss = (_loss(rows, some) for some in (odds, crossed))
    better = difference.low > 0 and new_loss < old_loss
    found = new if better else before
    named = dict(zip(FEATURES, found.round(_DIGITS).tolist(), strict=True))
    return Ranking(named, said, rejected, old_recall, new_recall, difference.low, old_loss, new_loss, better)


def _mean_weight(utterances: Sequence[Ranked]) -> float:
    return float(np.mean([one.weight for one in utterances]))


def _joined(utterances: Sequence[Ranked]) -> _Rows:
    utterances = sorted(utterances, key=lambda one: one.utterance_id)
    sides = halves_of(one.speaker for one in utterances)
    mean, sizes = _mean_weight(utterances), [len(one.rows.said) for one in utterances]
    return _Rows(
        np.concatenate([one.rows.features for one in utterances]).astype(np.float64),
        np.concatenate([one.rows.said for one in utterances]),
        np.concatenate([one.rows.weights * one.weight / mean for one in utterances]),
        np.repeat(np.array([one.offset for one in utterances], np.float64), sizes),
        np.repeat(np.array([sides[one.speaker] for one in utterances], np.bool_), sizes),
        np.repeat(groups_of([one.speaker for one in utterances]), sizes),
    )


def _fitted(rows: _Rows, which: npt.NDArray[np.bool_], before: Floats, bound: float) -> Floats:
    """Return weights fitted to some rows, by which as many of these pass the bound as before."""
    if not rows.said[which].any():
        return before
    held = np.full(len(before), _HELD)
    held[_CONSTANT] = 0.0
    found = fit_logistic(rows.features[which], rows.said[which], rows.weights[which], before, held, rows.offset[which])
    odds, old = (rows.features[which] @ one + rows.offset[which] for one in (found, before))
    found[_CONSTANT] += _shift(odds, rows.weights[which], old, bound)
    return found


def _shift(odds: Floats, weights: Floats, before: Floats, bound: float) -> float:
    """Return what is added to log odds so that rows of as much weight reach the bound as by those of before."""
    order = np.argsort(-odds, kind="stable")
    passed = np.cumsum(weights[order])
    last = int(np.searchsorted(passed, float(weights[before >= bound].sum()), side="right")) - 1
    return bound - float(odds[order][max(0, last)])


def _loss(rows: _Rows, odds: Floats) -> float:
    """Return the loss with the constant that fits best, as it says how many pass and not which."""
    one = np.ones((len(odds), 1))
    shift = fit_logistic(one, rows.said, rows.weights, np.zeros(1), np.zeros(1), odds)
    return log_loss(odds + float(shift[0]), rows.said, rows.weights)
