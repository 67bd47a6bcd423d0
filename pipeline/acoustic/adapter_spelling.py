"""How entities are put to the adapter: their subwords and, for a base with a phone head, their phones."""

import functools
from collections.abc import Sequence

from pipeline.errors import RowError
from pipeline.lexicon.phones import PHONE_IDS, Pronunciation
from pipeline.lexicon.pronunciation import Pronouncer
from pipeline.types.entity import Entity
from pipeline.types.tokens import Tokens

PRONUNCIATIONS = 2
"""Pronunciations of one entity that are listened for; each is a row of the catalog."""
Spelling = tuple[tuple[int, ...], tuple[int, ...]]
"""Subword ids, phone columns (none where no pronunciation is known)."""


class Speller:
    """Spells and pronounces texts and entities; remembers texts."""

    def __init__(self, tokens: Tokens, pronouncer: Pronouncer | None) -> None:
        """``pronouncer`` is None for a base without a phone head."""
        self._tokens, self._pronouncer = tokens, pronouncer
        self.spell = functools.lru_cache(maxsize=1 << 18)(self._spell)

    def _spell(self, text: str) -> Spelling | None:
        """Return the likeliest spelling and sound of a text, None if the base cannot write it."""
        ids = self.subwords(text)
        if not ids:
            return None
        if self._pronouncer is None:
            return ids, ()
        said = [self._pronouncer.pronounce(word) for word in text.split()]
        return ids, columns([phone for variants in said if variants for phone in variants[0]])

    def subwords(self, text: str) -> tuple[int, ...]:
        """Return the subwords of a text; none if the base cannot write it."""
        try:
            return tuple(self._tokens.encoder(text))
        except RowError:
            return ()

    def rows(self, entity: Entity) -> list[Spelling]:
        """Return the catalog's rows of one entity: its form and aliases, each as it is pronounced."""
        return [row for text in (entity.text, *entity.aliases) for row in self._rows_of(entity, text)]

    def _rows_of(self, entity: Entity, text: str) -> Sequence[Spelling]:
        ids = self.subwords(text)
        if not ids:
            return []
        if self._pronouncer is None:
            return [(ids, ())]
        own = text == entity.text
        said = self._pronouncer.entity(entity if own else Entity(text, text))
        return [(ids, columns(one)) for one in said[:PRONUNCIATIONS]] or [(ids, ())]


def columns(phones: Pronunciation | Sequence[str]) -> tuple[int, ...]:
    """Return the phone head's columns of ``phones``; column 0 is the blank."""
    return tuple(PHONE_IDS[phone] + 1 for phone in phones)
