"""Fit the guard's trees on judged proposals, and find the bound for each rate of false accepts."""

import dataclasses
import importlib.util
import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.entities.matching import find_entities
from pipeline.errors import ConfigError
from pipeline.rescoring.evidence import FEATURES, Vector
from pipeline.rescoring.proposals import Place, Proposal, apply_proposals
from pipeline.rescoring.trees import Trees
from pipeline.types.entity import EntityList
from pipeline.types.hypothesis import Hypothesis

_BOOSTING: dict[str, Any] = {
    "n_estimators": 300, "max_depth": 5, "learning_rate": 0.03, "subsample": 0.7, "max_features": 0.3,
    "min_samples_leaf": 20,
}  # fmt: skip
"""Chosen on development speakers that were left out; deeper or more trees gain nothing there."""
_GROWING: dict[str, Any] = {"n_estimators": 100, "max_depth": 3}
"""Of trees that are added to others: an hour of speech has some hundred right proposals."""
_NODES = ("feature", "threshold", "left", "right", "value")


@dataclasses.dataclass(frozen=True)
class Judged(Place):
    """What was proposed for words [first, last) of utterance number ``utterance``, with its evidence.

    gained, wrong: how many entities that were said, and that were not, it adds to the unbiased transcript
    """

    utterance: int
    features: Vector
    gained: int
    wrong: int

    @property
    def right(self) -> bool:
        return self.gained > 0 and self.wrong <= 0


def judged(
    number: int,
    unbiased: Hypothesis,
    measured: Sequence[tuple[Proposal, Vector]],
    reference: Counter[str],
    entities: EntityList,
) -> list[Judged]:
    """Compare each proposal with the entities that were said, ``reference``."""
    before = entities_in(unbiased.text, entities)
    found = []
    for proposal, features in measured:
        after = entities_in(apply_proposals(unbiased, [proposal], ()).text, entities)
        gained = (after & reference).total() - (before & reference).total()
        wrong = (after - reference).total() - (before - reference).total()
        found.append(Judged(proposal.first, proposal.last, number, features, gained, wrong))
    return found


def can_fit() -> bool:
    """Whether scikit-learn, which only ``fit_trees`` needs, is installed."""
    return importlib.util.find_spec("sklearn") is not None


def fit_trees(
    proposals: Sequence[Judged],
    features: Sequence[str] = FEATURES,
    start: Trees | None = None,
    weights: npt.NDArray[np.float64] | None = None,
) -> Trees:
    """Return gradient-boosted trees, over ``features``, of the log odds that a proposal is right; deterministic.

    start: trees over the same features to which fewer and smaller ones are added, so that little speech moves them
        little
    weights: how much each proposal counts; without them, all the same

    Raises ConfigError where that is not installed (``can_fit``).
    """
    if not can_fit():
        raise ConfigError("fitting the guard needs scikit-learn: pip install 'rollcall[calibrate]'.")
    from sklearn.ensemble import GradientBoostingClassifier

    values = of_features([one.features for one in proposals], features)
    right = np.array([one.right for one in proposals])
    settings = _BOOSTING if start is None else _BOOSTING | _GROWING | {"init": _Start(start)}
    model = GradientBoostingClassifier(random_state=0, **settings).fit(values, right, weights)
    before = {} if start is None else start.to_json()
    parts: dict[str, list[Any]] = {name: list(before.get(name, ())) for name in _NODES}
    roots, count = list(before.get("roots", ())), len(parts["value"])
    for (regressor,) in model.estimators_:
        tree = regressor.tree_
        roots.append(count)
        inner = tree.children_left >= 0
        parts["feature"] += np.where(inner, tree.feature, -1).tolist()
        parts["threshold"] += np.where(inner, np.floor(tree.threshold * 1e6) / 1e6, 0.0).tolist()
        parts["left"] += np.where(inner, tree.children_left + count, 0).tolist()
        parts["right"] += np.where(inner, tree.children_right + count, 0).tolist()
        parts["value"] += np.where(inner, 0.0, model.learning_rate * tree.value[:, 0, 0]).tolist()
        count += len(inner)
    share = np.average(right, weights=weights)
    base = math.log(share / (1 - share)) if start is None else start.base
    return Trees.from_json({"base": base, "roots": roots, **parts}, len(features))


@dataclasses.dataclass(frozen=True)
class _Start:
    """Trees as scikit-learn takes what it boosts further."""

    trees: Trees

    def fit(
        self,
        values: npt.NDArray[np.float64],
        right: npt.NDArray[np.bool_],
        sample_weight: npt.NDArray[np.float64] | None = None,
    ) -> "_Start":
        return self

    def predict(self, values: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
        """[N] whether each is right."""
        return self.predict_proba(values)[:, 1] > 0.5

    def predict_proba(self, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """[N, 2] the probabilities that each is wrong, and right."""
        odds = np.array([self.trees.score(row) for row in values.astype(np.float64)])
        right = 1.0 / (1.0 + np.exp(-odds))
        return np.stack([1.0 - right, right], axis=1)


def of_features(vectors: Sequence[Vector], features: Sequence[str]) -> npt.NDArray[np.float64]:
    """Return [N, F] the columns ``features`` of vectors of all of them."""
    columns = [FEATURES.index(name) for name in features]
    return np.ascontiguousarray(np.array(vectors).reshape(-1, len(FEATURES))[:, columns])


def odds_by(trees: Trees, proposals: Sequence[Judged], features: Sequence[str] = FEATURES) -> Vector:
    """Return [P] the log odds of each proposal by trees over ``features``."""
    rows = of_features([one.features for one in proposals], features)
    return np.array([trees.score(row) for row in rows], np.float64)


def accepted(proposals: Sequence[Judged], odds: npt.NDArray[np.float64], bound: float) -> list[Judged]:
    """Return what the guard takes at ``bound``: in each utterance the surest first, none touching another."""
    taken: dict[int, list[Judged]] = {}
    for at in np.argsort(-odds, kind="stable"):
        if odds[at] < bound:
            break
        one = proposals[at]
        others = taken.setdefault(one.utterance, [])
        if not any(one.touches(other) for other in others):
            others.append(one)
    return [one for others in taken.values() for one in others]


def bounds_table(
    proposals: Sequence[Judged], odds: npt.NDArray[np.float64], hours: float, rates: Sequence[float], unseen: int = 0
) -> list[tuple[float, float]]:
    """Return, for each rate that can be kept, (rate, lowest bound with at most so many false accepts per hour).

    unseen: false accepts that are counted on top of those seen: where there is little speech, none seen says little
    """
    grid = np.unique(np.round(odds, 2))[::-1]
    counts = np.array([sum(max(0, one.wrong) for one in accepted(proposals, odds, bound)) for bound in grid]) + unseen
    table = []
    for rate in rates:
        kept = np.flatnonzero(np.maximum.accumulate(counts) <= rate * hours)
        if len(kept):
            table.append((float(rate), float(grid[kept[-1]])))
    return table


def entities_in(text: str, entities: EntityList) -> Counter[str]:
    """Return how often each entity stands in a normalised text."""
    return Counter(found.entity.text for found in find_entities(text.split(), entities))
