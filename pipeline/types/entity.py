"""Entities, entity lists and their content versions."""

import dataclasses
import functools
import hashlib
import json
from collections.abc import Mapping, Sequence, Set

_quoted = json.encoder.encode_basestring  # what json.dumps writes of a text with ensure_ascii=False


@dataclasses.dataclass(frozen=True, slots=True)
class Entity:
    """One entity as the pipeline uses it.

    text:           normalised canonical form (pipeline.text.normalise), the identity of the entity
    display_as:     as the user wrote it, with its casing and accents
    aliases:        other normalised spellings that mean the same entity
    pronunciations: ARPAbet phone strings given by the user, e.g. "Z EH L EH N S K IY"
    weight:         multiplies every boost; 1 is normal, 0 switches the entity off, negative suppresses it
    tags:           free labels that reports group by
    """

    text: str
    display_as: str
    aliases: tuple[str, ...] = ()
    pronunciations: tuple[str, ...] = ()
    weight: float = 1.0
    tags: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Rejected:
    """One entry that cannot be used, or that was merged with another, kept for the run's report."""

    row: int  # 1-based line or row in the source
    entry: str  # as it came, shortened to 200 characters
    reason: str


@dataclasses.dataclass(frozen=True)
class EntityList:
    """An entity list: sorted by ``text``, each entity once, so that equal content has equal versions."""

    entities: Sequence[Entity] = ()
    rejected: tuple[Rejected, ...] = ()
    merged: tuple[Rejected, ...] = ()

    @functools.cached_property
    def version(self) -> str:
        """Content hash of the entities, 16 hex digits; the order and the file format do not matter."""
        digest = hashlib.sha256()
        for entity in self.entities:
            digest.update(_content(entity).encode())
        return digest.hexdigest()[:16]

    @functools.cached_property
    def by_text(self) -> Mapping[str, Entity]:
        """Every spelling, canonical or alias, to its entity; a canonical form wins over an alias."""
        aliases = {alias: entity for entity in self.entities for alias in entity.aliases}
        return aliases | {entity.text: entity for entity in self.entities}

    @functools.cached_property
    def lengths(self) -> tuple[int, ...]:
        """Numbers of words that spellings have, the longest first."""
        return tuple(sorted({spelling.count(" ") + 1 for spelling in self.by_text}, reverse=True))

    def having(self, spellings: Set[str]) -> list[int]:
        """Return the indices, ascending, of the entities that have one of ``spellings`` as canonical form or alias."""
        return [
            index
            for index, entity in enumerate(self.entities)
            if entity.text in spellings or not spellings.isdisjoint(entity.aliases)
        ]

    def at(self, indices: Sequence[int]) -> tuple[Entity, ...]:
        """Return the entities at ``indices``."""
        return tuple(self.entities[index] for index in indices)

    def __len__(self) -> int:
        return len(self.entities)


def _content(e: Entity) -> str:
    """Return an entity in JSON; bare names, which most are, are written out here: that takes a tenth of the time."""
    if e.aliases or e.pronunciations or e.tags or e.weight.__class__ is not float or e.weight != 1.0:
        return json.dumps((e.text, e.display_as, e.aliases, e.pronunciations, e.weight, e.tags), ensure_ascii=False)
    return f"[{_quoted(e.text)}, {_quoted(e.display_as)}, [], [], 1.0, []]"


EMPTY = EntityList()
