"""Entity scores by group: per entity, per tag, or by any other label of entities."""

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from pipeline.scoring.bootstrap import Bootstrap, Floats, Indices
from pipeline.scoring.entities import EntityMatch
from pipeline.scoring.metrics import ENTITY_COUNTS, Rate, entity_metrics, entity_rates, make_rate

_GROUPS_AT_ONCE = 1000  # bounds the replicates held: 1000 groups x 1000 resamples x 3 counts are 24 MB


@dataclasses.dataclass(frozen=True)
class GroupScore:
    """Counts and rates of the entities of one group; ``utterances`` is how many it occurs in."""

    name: str
    true_positives: int
    false_positives: int
    false_negatives: int
    utterances: int
    precision: Rate
    recall: Rate
    f1: Rate

    @property
    def mistakes(self) -> int:
        return self.false_positives + self.false_negatives

    def metrics(self) -> dict[str, Any]:
        """As in metrics.json."""
        rates = {name: getattr(self, name) for name in ("precision", "recall", "f1")}
        return entity_metrics(rates, {name: getattr(self, name) for name in ENTITY_COUNTS})


def score_groups(
    matches: Sequence[EntityMatch], labels: Callable[[str], Iterable[str]], bootstrap: Bootstrap
) -> tuple[GroupScore, ...]:
    """Score entities by the groups that ``labels`` puts each in; most mistakes first, then by name.

    A group that occurs in one utterance only has no interval: resampling it can only ever repeat that utterance.
    """
    cells: dict[str, dict[int, list[int]]] = {}
    for row, match in enumerate(matches):
        for column, kind in enumerate(ENTITY_COUNTS):
            for entity in getattr(match, kind):
                for label in labels(entity):
                    cells.setdefault(label, {}).setdefault(row, [0, 0, 0])[column] += 1
    names = sorted(cells)
    scores = [
        group
        for start in range(0, len(names), _GROUPS_AT_ONCE)
        for group in _score_block(names[start : start + _GROUPS_AT_ONCE], cells, len(matches), bootstrap)
    ]
    return tuple(sorted(scores, key=lambda group: (-group.mistakes, group.name)))


def _score_block(
    names: Sequence[str], cells: dict[str, dict[int, list[int]]], utterances: int, bootstrap: Bootstrap
) -> list[GroupScore]:
    repeated = [name for name in names if len(cells[name]) > 1]
    resampled = _replicates([cells[name] for name in repeated], utterances, bootstrap)
    replicates = dict(zip(repeated, resampled, strict=True))
    return [_score_group(name, cells[name], replicates.get(name), bootstrap) for name in names]


def _replicates(groups: list[dict[int, list[int]]], utterances: int, bootstrap: Bootstrap) -> list[Floats]:
    """Resampled counts of each group, [replicates, 3] each."""
    if not groups:
        return []
    rows: Indices = np.array([row for group in groups for row in group], dtype=np.int64)
    labels: Indices = np.repeat(np.arange(len(groups)), [len(group) for group in groups])
    values: Floats = np.array([count for group in groups for count in group.values()], dtype=np.float64)
    return list(np.moveaxis(bootstrap.group_sums(utterances, rows, labels, values), 1, 0))


def _score_group(name: str, cells: dict[int, list[int]], replicates: Floats | None, bootstrap: Bootstrap) -> GroupScore:
    counts = np.array(list(cells.values()), dtype=np.float64).sum(axis=0)
    points = entity_rates(counts)
    undefined = {rate: np.full(1, np.nan) for rate in points}
    resampled = entity_rates(replicates) if replicates is not None else undefined
    rates = {rate: make_rate(float(points[rate]), resampled[rate], bootstrap) for rate in points}
    true, false, missed = (round(count) for count in counts.tolist())
    return GroupScore(name, true, false, missed, len(cells), **rates)
