"""Entities in a text: where the words of a list stand in a transcript or a reference."""

from collections.abc import Sequence

from pipeline.entities.catalog import Entity, EntityList


def find_entities(words: Sequence[str], entities: EntityList) -> list[tuple[Entity, int, int]]:
    """Return (entity, start word, end word) of every entity in normalised ``words``, in order, without overlap.

    From left to right the longest spelling wins, so "new york times" is not also "new york"; aliases count as their
    entity. Ends are one past the last word.
    """
    found = []
    start = 0
    while start < len(words):
        end = _longest_end(words, start, entities)
        if end:
            found.append((entities.by_text[" ".join(words[start:end])], start, end))
        start = end or start + 1
    return found


def _longest_end(words: Sequence[str], start: int, entities: EntityList) -> int:
    """Return one past the last word of the longest entity that begins at ``start``, or 0."""
    for end in range(min(start + entities.longest, len(words)), start, -1):
        if " ".join(words[start:end]) in entities.by_text:
            return end
    return 0
