"""Entities in a text: where the words of a list stand in a transcript or a reference."""

import dataclasses
from collections.abc import Sequence

from pipeline.types.entity import Entity, EntityList


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
    known = entities.by_text
    taken: set[int] = set()
    found: list[Found] = []
    for length in entities.lengths:
        spellings = words
        if length > 1:
            spellings = [" ".join(words[start : start + length]) for start in range(len(words) - length + 1)]
        if known.keys().isdisjoint(spellings):  # as in most texts
            continue
        for start, spelling in enumerate(spellings):
            if spelling in known and taken.isdisjoint(range(start, start + length)):
                taken.update(range(start, start + length))
                found.append(Found(known[spelling], start, start + length))
    return sorted(found, key=lambda one: one.start)
