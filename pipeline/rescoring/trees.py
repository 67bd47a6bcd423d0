"""Boosted regression trees that are read, not trained: a sum of small trees over a vector of measurements.

    score(x) = base + sum over trees of the value of the leaf that x falls into

At an inner node x goes left if x[feature] <= threshold. With logistic loss the score is the log odds (Friedman 2001,
"Greedy function approximation: a gradient boosting machine", section 4.5). Numbers in a JSON file, no pickle.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numba
import numpy as np
import numpy.typing as npt


@dataclasses.dataclass(frozen=True)
class Trees:
    """All nodes of all trees, N in number, one tree after the other.

    roots:      [M] the first node of each tree
    feature:    [N] which measurement a node looks at, -1 for a leaf
    threshold:  [N] of an inner node
    left, right: [N] the nodes below an inner node
    value:      [N] of a leaf
    """

    base: float
    roots: npt.NDArray[np.int32]
    feature: npt.NDArray[np.int32]
    threshold: npt.NDArray[np.float64]
    left: npt.NDArray[np.int32]
    right: npt.NDArray[np.int32]
    value: npt.NDArray[np.float64]

    def score(self, values: npt.NDArray[np.float64]) -> float:
        """Return the score of one vector [F]."""
        parts = (self.roots, self.feature, self.threshold, self.left, self.right, self.value)
        return self.base + float(_sum(values, *parts))

    def to_json(self) -> dict[str, Any]:
        """Return what ``from_json`` reads."""
        return {part.name: np.round(getattr(self, part.name), 6).tolist() for part in dataclasses.fields(self)}

    @classmethod
    def from_json(cls, content: Mapping[str, Any], features: int) -> "Trees":
        """Read trees over ``features`` measurements; raises KeyError or ValueError for what is none."""
        kinds = {"feature": np.int32, "threshold": np.float64, "left": np.int32, "right": np.int32, "value": np.float64}
        nodes = {name: np.array(content[name], kind) for name, kind in kinds.items()}
        roots, count = np.array(content["roots"], np.int32), len(nodes["feature"])
        if any(part.shape != (count,) for part in nodes.values()) or not ((roots >= 0) & (roots < count)).all():
            raise ValueError("trees whose parts do not fit to one another")
        inner = nodes["feature"] >= 0
        below = np.stack([nodes["left"], nodes["right"]])[:, inner]
        if (below <= np.flatnonzero(inner)).any() or (below >= count).any() or (nodes["feature"] >= features).any():
            raise ValueError("trees with nodes that lead nowhere or look at what is not measured")
        return cls(float(content["base"]), roots, **nodes)


@numba.njit(cache=True)
def _sum(values, roots, feature, threshold, left, right, value):  # type: ignore[no-untyped-def]
    total = 0.0
    for root in roots:
        node = root
        while feature[node] >= 0:
            node = left[node] if values[feature[node]] <= threshold[node] else right[node]
        total += value[node]
    return total
