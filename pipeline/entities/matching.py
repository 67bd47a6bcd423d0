"""Entities in a text: where the words of a list stand in a transcript or a reference."""

import dataclasses
from collections.abc import Sequence

from pipeline.entities.catalog import Entity, EntityList


@dataclasses.dataclass(frozen=True)
class Found:
    """One entity in a text; words are half-open [start, end)."""

    entity: Entity
    start: int
    end: int


def find_entities(words: Sequence[str], entities: EntityList) -> list[Found]:
    """Return the entities that stand in normalised ``words``, in order, none inside or across another.

    Longer spellings are taken first, from left to right among equals, so "new york times" is not also "new york";
    an alias counts as its entity. Time grows with the words and the distinct lengths of the list, not with its size.
    """
    taken: set[int] = set()
    found = []
    for length in entities.lengths:
        for start in range(len(words) - length + 1):
            entity = entities.by_text.get(" ".join(words[start : start + length]))
            if entity is not None and taken.isdisjoint(range(start, start + length)):
                taken.update(range(start, start + length))
                found.append(Found(entity, start, start + length))
    return sorted(found, key=lambda one: one.start)
