"""Entities by tag and one by one: found, missed and what was written instead, falsely inserted and what was said."""

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence

from pipeline.markup.charts import bar
from pipeline.markup.html import Child, Html, join, tag
from pipeline.markup.tables import Cell, Row, table
from pipeline.scoring.groups import GroupScore
from pipeline.scoring.metrics import Rate, show
from pipeline.scoring.mistakes import INSERTED, MISSED, Mistake, confusions
from pipeline.scoring.score import ScoreResult

ROWS = 600  # entities shown, those with mistakes or changes first; metrics.json has all of them
CONFUSIONS = 50
_INSTEAD = 3  # what was written instead: the most frequent ones
NOTHING = "(nothing)"
_KINDS = (MISSED, INSERTED)
_UNDEFINED = Cell("–", -1, number=True)  # sorts below 0%


def group_table(
    name: str, caption: str, groups: Sequence[GroupScore], before: Mapping[str, GroupScore] | None = None
) -> Html:
    """Return precision, recall and F1 by group, e.g. by tag; ``before`` are the baseline's groups by name."""
    headers = ["Group", "Said", "Found", "Missed", "Inserted", "Precision", "Recall", "F1"]
    rows = []
    for group in groups:
        cells = [Cell(group.name), *_counts(group)]
        cells += [_rate(group, rate) for rate in ("precision", "recall", "f1")]
        if before is not None:
            cells.append(_plain_rate(before[group.name].f1 if group.name in before else Rate()))
        rows.append(Row(cells))
    return table(name, caption, headers + (["Baseline F1"] if before is not None else []), rows)


@dataclasses.dataclass(frozen=True)
class EntityRows:
    """What the entity table is made of. ``details`` open under their entity; ``before`` are the baseline's entities."""

    result: ScoreResult
    mistakes: Mapping[str, Sequence[Mistake]]
    details: Mapping[str, Html]
    before: Mapping[str, GroupScore] | None

    def table(self) -> Html:
        """Return the table of entities, most mistakes first, with its filter."""
        order = sorted(self.result.by_entity, key=lambda group: (-group.mistakes, -abs(self._gain(group)), group.name))
        shown = order[:ROWS]
        headers = ["Entity", "Tags", "Said", "Found", "Missed", "Inserted", "Recall"]
        headers += ["Baseline recall"] if self.before is not None else []
        entities = table(
            "entities",
            "Entities that were said or written",
            [*headers, "What stands instead"],
            [self._row(group) for group in shown],
        )
        left_out = len(self.result.by_entity) - len(shown)
        note = f"{left_out:,} more entities, with the fewest mistakes and changes, are in metrics.json."
        return join([_filters(self.before is not None), entities, tag("p", note) if left_out else None])

    def _gain(self, group: GroupScore) -> int:
        """How many more occurrences were found than by the baseline."""
        before = (self.before or {}).get(group.name)
        return 0 if self.before is None else group.true_positives - (before.true_positives if before else 0)

    def _row(self, group: GroupScore) -> Row:
        entity = self.result.catalog[group.name]
        cells = [Cell(entity.display_as), Cell(", ".join(entity.tags)), *_counts(group), _plain_rate(group.recall)]
        counts = (group.false_negatives, group.false_positives)
        labels = [name for name, count in zip(_KINDS, counts, strict=True) if count]
        if self.before is not None:
            cells.append(_plain_rate(self.before[group.name].recall if group.name in self.before else Rate()))
            gain = self._gain(group)
            labels += ["gained"] * (gain > 0) + ["lost"] * (gain < 0)
        cells.append(Cell(_instead(self.mistakes.get(group.name, ()))))
        return Row(cells, self.details.get(group.name), " ".join(labels))


def _counts(group: GroupScore) -> list[Cell]:
    said = group.true_positives + group.false_negatives
    numbers = (said, group.true_positives, group.false_negatives, group.false_positives)
    return [Cell(number, number=True) for number in numbers]


def _rate(group: GroupScore, name: str) -> Cell:
    rate: Rate = getattr(group, name)
    if rate.value is None:
        return _UNDEFINED
    low, high = rate.low, rate.high
    interval = f"{show(name, low)} to {show(name, high)}" if low is not None and low != high else None
    content: list[Child] = [bar(rate.value, f"{rate.value:.0%}"), tag("small", interval) if interval else None]
    return Cell(content, round(rate.value, 4), number=True)


def _plain_rate(rate: Rate) -> Cell:
    return _UNDEFINED if rate.value is None else Cell(f"{rate.value:.0%}", number=True)


def _instead(mistakes: Sequence[Mistake]) -> Html:
    """What was written instead (missed), and what was said where it was inserted."""
    parts: list[Html] = []
    for kind, word in ((MISSED, "wrote"), (INSERTED, "said")):
        counted = Counter(mistake.instead or NOTHING for mistake in mistakes if mistake.kind == kind)
        for text, count in counted.most_common(_INSTEAD):
            times = f" ×{count}" if count > 1 else ""
            parts.append(tag("span", tag("small", f"{word} "), text, times, class_=kind))
    return join(parts)


def _filters(compared: bool) -> Html:
    kinds = ("all", *_KINDS, *(("gained", "lost") if compared else ()))
    buttons = [
        tag("button", kind, type="button", data_filter=kind, aria_pressed="true" if kind == "all" else "false")
        for kind in kinds
    ]
    search = tag("input", type="search", id="entity-search", placeholder="name, tag or what was written")
    label = tag("label", "Find an entity ", search, for_="entity-search")
    group = tag("span", buttons, role="group", aria_label="Which entities")
    return tag("div", label, group, tag("output", id="entity-count"), class_="filters")


def confusion_table(mistakes: Sequence[Mistake]) -> Html:
    """Return the most frequent confusions."""
    rows = [
        Row(
            [
                Cell(one.said or NOTHING),
                Cell(one.written or NOTHING),
                Cell("missed" if one.kind == MISSED else "inserted"),
                Cell(one.count, number=True),
            ]
        )
        for one in confusions(mistakes)[:CONFUSIONS]
    ]
    return table("confusions", "Most frequent confusions", ("Said", "Written", "Entity was", "Times"), rows)
