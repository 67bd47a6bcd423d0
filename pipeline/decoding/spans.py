"""Entity spans of a hypothesis: where the words of the list stand in it."""

from pipeline.entities.matching import find_entities
from pipeline.types.entity import EntityList
from pipeline.types.hypothesis import EntitySpan, Word


def entity_spans(words: tuple[Word, ...], entities: EntityList) -> tuple[EntitySpan, ...]:
    """Return the spans of ``entities`` in ``words``, in order; longer spellings win, aliases count."""
    if not entities.entities or not words:
        return ()
    found = find_entities([word.text for word in words], entities)
    return tuple(EntitySpan(one.entity.text, one.start, one.end) for one in found)
