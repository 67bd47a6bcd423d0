"""Two runs on the same utterances: what changed, what got worse first, and whether it is more than chance."""

import dataclasses
from collections import Counter

from pipeline.scoring.difference import RateDifference, differences, verdict
from pipeline.scoring.matched_pairs import matched_pairs
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

    matched_pairs: two-sided p-value by word error rate (pipeline.scoring.matched_pairs).
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
    return Comparison(first, second, rates, matched_pairs(first, second), tuple(changes), _entities(changes))


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
