"""What a new version of a transcript changed: CHANGES rows, and the counts that publishing is decided by."""

import dataclasses
import difflib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa

from pipeline.types.entity import EntityList

CHANGES = pa.schema(
    [
        pa.field("utterance_id", pa.string(), nullable=False),
        pa.field("because", pa.list_(pa.string()), metadata={"about": "changed list entities plausible in the audio"}),
        pa.field("before", pa.string(), metadata={"about": "text of the old version; null for an error"}),
        pa.field("after", pa.string(), metadata={"about": "text of the new version; null for an error"}),
        pa.field("gained", pa.list_(pa.string()), metadata={"about": "entities found now and not before"}),
        pa.field("lost", pa.list_(pa.string()), metadata={"about": "entities found before and not now"}),
        pa.field("other_words", pa.int32(), metadata={"about": "words that changed outside of entities"}),
        pa.field("error", pa.string(), metadata={"about": "error of the new version"}),
    ]
)
"""One row per utterance that differs in more than ``list_version``: in text, in entities, or in scores alone."""


@dataclasses.dataclass(frozen=True)
class Change:
    """One row of CHANGES."""

    utterance_id: str
    because: tuple[str, ...]
    before: str | None
    after: str | None
    gained: tuple[str, ...]
    lost: tuple[str, ...]
    other_words: int
    error: str | None

    @property
    def is_visible(self) -> bool:
        """Whether text or entities differ, not scores or times alone."""
        return self.before != self.after or bool(self.gained or self.lost)


def change_of(before: Mapping[str, Any], after: Mapping[str, Any], because: EntityList) -> Change | None:
    """Return what differs between two TRANSCRIPTS rows of one utterance; None if it is the list's version alone."""
    if all(before[name] == after[name] for name in before if name != "list_version"):
        return None
    found = [Counter(entity["display_as"] for entity in row["entities"] or ()) for row in (before, after)]
    return Change(
        utterance_id=after["utterance_id"],
        because=tuple(dict.fromkeys(entity.display_as for entity in because.entities)),
        before=before["text"],
        after=after["text"],
        gained=tuple((found[1] - found[0]).elements()),
        lost=tuple((found[0] - found[1]).elements()),
        other_words=_other_words(before, after),
        error=after["error"],
    )


def _other_words(before: Mapping[str, Any], after: Mapping[str, Any]) -> int:
    """Count the words of differing stretches that no entity accounts for.

    Of a stretch without an entity on either side, the longer side counts. Where there is one, what it replaced cannot
    be told apart, so only the words beside it, on its own side, count.
    """
    old, new = ((row["text"] or "").split() for row in (before, after))
    inside = [_inside(row["entities"] or ()) for row in (before, after)]
    changed = 0
    for kind, a, b, c, d in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind != "equal":
            sides = set(range(a, b)), set(range(c, d))
            beside = [len(side - held) for side, held in zip(sides, inside, strict=True) if side & held]
            changed += max(beside or map(len, sides))
    return changed


def _inside(entities: Iterable[Mapping[str, Any]]) -> set[int]:
    return {at for entity in entities for at in range(entity["start_word"], entity["end_word"])}


@dataclasses.dataclass
class Totals:
    """What a new version is, in counts."""

    rows: int = 0
    recomputed: int = 0
    changed: int = 0  # rows whose text or entities differ
    rescored: int = 0  # rows that differ in scores or times alone
    words: int = 0  # of the old version
    other_words: int = 0
    errors: int = 0
    gained: int = 0
    lost: int = 0

    def add(self, other: "Totals") -> None:
        """Take in the counts of another part."""
        for field in dataclasses.fields(self):
            setattr(self, field.name, getattr(self, field.name) + getattr(other, field.name))


def count(written: pa.Table, rows: pa.Table, changes: Sequence[Change], recomputed: int) -> Totals:
    """Return the totals of one part: TRANSCRIPTS before and after, and what changed between them."""
    visible = [change for change in changes if change.is_visible]
    return Totals(
        rows=len(rows),
        recomputed=recomputed,
        changed=len(visible),
        rescored=len(changes) - len(visible),
        words=sum(len((text or "").split()) for text in written["text"].to_pylist()),
        other_words=sum(change.other_words for change in changes),
        errors=len(rows) - rows["error"].null_count,
        gained=sum(len(change.gained) for change in changes),
        lost=sum(len(change.lost) for change in changes),
    )


def changes_table(changes: Sequence[Change]) -> pa.Table:
    """Return CHANGES rows."""
    return pa.Table.from_pylist([dataclasses.asdict(change) for change in changes], schema=CHANGES)


def changes_of(table: pa.Table) -> list[Change]:
    """Return the rows of a CHANGES table."""
    return [
        Change(**(row | {name: tuple(row[name]) for name in ("because", "gained", "lost")}))
        for row in table.to_pylist()
    ]
