"""Fits the weights of the cut (pipeline.retrieval.ranked) on speech, with a large list of which little is said.

Every entity that the phones allow is a row: what it costs, and whether it was said. The rows are fitted by logistic
regression (Newton's method). Of those that nothing speaks for, which are nearly all, one in THINNED is kept and counts
for as many.
"""

import dataclasses
from collections.abc import Collection

import numpy as np
import numpy.typing as npt

from pipeline.retrieval.ranked import FEATURES, Ranked
from pipeline.types.emissions import Emissions
from pipeline.types.entity import EntityList

THINNED = 50
_HOPELESS = -9.0  # log odds by the weights at hand, below which an entity that was not said is thinned
_STEPS, _RIDGE = 30, 1.0  # of Newton's method; the ridge is in rows

Rows = npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class CutRows:
    """R rows: features [R, len(FEATURES)], whether each was said, how many it counts for, and the utterance."""

    features: Rows
    said: npt.NDArray[np.bool_]
    weights: Rows
    utterances: npt.NDArray[np.int64]


def rows_of(
    ranked: Ranked, heard: Emissions, entities: EntityList, said: Collection[str], number: int,
    besides: Collection[str] = (),
) -> CutRows:  # fmt: skip
    """Return the rows of one utterance; ``number``: of the utterance.

    said: names of the list that were; besides: others that stand in what was said, as common words, and are no rows
    """
    found, features = ranked.measured(heard, entities)
    texts = _texts(entities, found)
    spoken = np.array([name in said for name in texts], np.bool_)
    counted = np.array([name not in besides for name in texts], np.bool_)
    found, features, spoken = found[counted], features[counted], spoken[counted]
    odds = features @ np.array(ranked.weights)
    drawn = np.random.default_rng(number).random(len(found)) < 1 / THINNED
    hopeful = spoken | (odds >= _HOPELESS)
    kept = hopeful | drawn
    counts = np.where(hopeful, 1.0, THINNED)[kept]
    return CutRows(features[kept], spoken[kept], counts, np.full(int(kept.sum()), number))


def _texts(entities: EntityList, found: npt.NDArray[np.int32]) -> list[str]:
    return [entity.text for entity in entities.at(found.tolist())]


def joined(parts: list[CutRows]) -> CutRows:
    """Return the rows of several utterances together."""
    names = [field.name for field in dataclasses.fields(CutRows)]
    return CutRows(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def fit_cut(rows: CutRows) -> dict[str, float]:
    """Return the weight of each of FEATURES; features are scaled for the fit, and the ridge is on all but the first."""
    scale = np.maximum(np.sqrt(np.average(rows.features**2, axis=0, weights=rows.weights)), 1e-9)
    features, target = rows.features / scale, rows.said.astype(np.float64)
    ridge = np.full(len(FEATURES), _RIDGE)
    ridge[0] = 0.0
    weights = np.zeros(len(FEATURES))
    for _ in range(_STEPS):
        chance = 1 / (1 + np.exp(-np.clip(features @ weights, -30, 30)))
        slope = features.T @ (rows.weights * (chance - target)) + ridge * weights
        bend = (features * (rows.weights * np.maximum(chance * (1 - chance), 1e-9))[:, None]).T @ features
        step = np.linalg.solve(bend + np.diag(ridge + 1e-9), slope)
        weights -= step * min(1.0, 4.0 / max(1e-9, float(np.abs(step).max())))
        if np.abs(step).max() < 1e-6:
            break
    return dict(zip(FEATURES, (weights / scale).round(4).tolist(), strict=True))


def recall_at(rows: CutRows, weights: dict[str, float], said: int, utterances: int, means: list[float]) -> list[float]:
    """Return the share of ``said`` names that is kept where a mean of so many candidates an utterance is."""
    odds = rows.features @ np.array([weights[name] for name in FEATURES])
    order = np.argsort(-odds, kind="stable")
    passed, kept = np.cumsum(rows.weights[order]) / utterances, np.cumsum(rows.said[order]) / max(1, said)
    places = [int(np.searchsorted(passed, mean)) for mean in means]
    return [float(kept[min(place, len(kept) - 1)]) for place in places]
