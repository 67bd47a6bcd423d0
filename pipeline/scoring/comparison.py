"""Two runs on the same utterances: what changed, what got worse first, and whether it is more than chance."""

import dataclasses
import math
from collections import Counter

import numpy as np

from pipeline.scoring.difference import RateDifference, differences, verdict
from pipeline.scoring.metrics import COLUMNS, GROUPS
from pipeline.scoring.score import ScoreResult, UtteranceScore


@dataclasses.dataclass(frozen=True)
class UtteranceChange:
    """One utterance in both runs; entities are listed once per occurrence.

    gained, lost: entities found by the second run only, or by the first only
    new_false, gone_false: entities falsely inserted by the second run only, or by the first only
    """

    before: UtteranceScore
    after: UtteranceScore
    gained: tuple[str, ...]
    lost: tuple[str, ...]
    new_false: tuple[str, ...]
    gone_false: tuple[str, ...]

    @property
    def more_errors(self) -> int:
        """Word errors of the second run beyond those of the first; negative if it has fewer."""
        return self.after.words[0].errors - self.before.words[0].errors

    @property
    def harm(self) -> int:
        """Entities lost or newly inserted, less those gained or no longer inserted."""
        return len(self.lost) + len(self.new_false) - len(self.gained) - len(self.gone_false)

    @property
    def is_worse(self) -> bool:
        return self.more_errors > 0 or bool(self.lost or self.new_false)

    @property
    def is_better(self) -> bool:
        return not self.is_worse and (self.more_errors < 0 or bool(self.gained or self.gone_false))


@dataclasses.dataclass(frozen=True)
class EntityChange:
    """One entity in both runs, in occurrences."""

    entity: str
    gained: int
    lost: int
    new_false: int
    gone_false: int


@dataclasses.dataclass(frozen=True)
class Comparison:
    """``changes`` holds the utterances whose text differs, regressions first; ``entities`` likewise.

    matched_pairs: two-sided p-value by word error rate (see matched_pairs_p).
    """

    first: ScoreResult
    second: ScoreResult
    rates: dict[str, RateDifference]
    matched_pairs: dict[str, float | None]
    changes: tuple[UtteranceChange, ...]
    entities: tuple[EntityChange, ...]

    @property
    def worse(self) -> list[str]:
        """Names of the rates that are worse by more than chance."""
        return [name for name, difference in self.rates.items() if verdict(name, difference) == "worse"]


def compare(first: ScoreResult, second: ScoreResult) -> Comparison:
    """Compare two scores of the same references; raises InputError if they are not."""
    rates = differences(first, second)
    pairs = zip(first.utterances, second.utterances, strict=True)
    changes = [_change(before, after) for before, after in pairs if before.hypothesis != after.hypothesis]
    changes.sort(key=lambda change: (-change.harm, -change.more_errors, change.after.utterance_id))
    tests = {group: matched_pairs_p(first, second, group) for group in GROUPS}
    return Comparison(first, second, rates, tests, tuple(changes), _entities(changes))


def _change(before: UtteranceScore, after: UtteranceScore) -> UtteranceChange:
    return UtteranceChange(
        before,
        after,
        gained=_beyond(after.entities.true_positives, before.entities.true_positives),
        lost=_beyond(before.entities.true_positives, after.entities.true_positives),
        new_false=_beyond(after.entities.false_positives, before.entities.false_positives),
        gone_false=_beyond(before.entities.false_positives, after.entities.false_positives),
    )


def _beyond(items: tuple[str, ...], others: tuple[str, ...]) -> tuple[str, ...]:
    return tuple((Counter(items) - Counter(others)).elements())


def _entities(changes: list[UtteranceChange]) -> tuple[EntityChange, ...]:
    kinds = ("gained", "lost", "new_false", "gone_false")
    counts = {kind: Counter(name for change in changes for name in getattr(change, kind)) for kind in kinds}
    names = {name for counted in counts.values() for name in counted}
    entities = [EntityChange(name, *(counts[kind][name] for kind in kinds)) for name in names]
    return tuple(
        sorted(entities, key=lambda one: (-one.lost - one.new_false, -one.gained - one.gone_false, one.entity))
    )


def matched_pairs_p(first: ScoreResult, second: ScoreResult, group: str) -> float | None:
    """Return the two-sided p-value of the matched pairs test on the word errors of ``group``.

    The segments are the utterances, which are independent of each other (Gillick and Cox, "Some statistical issues in
    the comparison of speech recognition algorithms", ICASSP 1989): z is the mean difference of errors over its standard
    error. None where no utterance differs, or there are fewer than two.
    """
    at = COLUMNS.index(f"{group}_words")
    change = (second.counts - first.counts)[:, at + 1 : at + 4].sum(axis=1)
    if len(change) < 2 or not np.any(change):
        return None
    error = float(np.std(change, ddof=1)) / math.sqrt(len(change))
    return math.erfc(abs(float(np.mean(change))) / error / math.sqrt(2)) if error > 0 else 0.0
