"""What to do about sounds that recur: an entity that the list lacks, or a pronunciation that an entity of it lacks."""

import dataclasses
from collections import Counter
from collections.abc import Sequence

from pipeline.entities.lists import EntitySource
from pipeline.lexicon.phone_index import PhoneIndex
from pipeline.lexicon.phones import Pronunciation
from pipeline.lexicon.pronunciation import Pronouncer
from pipeline.suggest.doubtful import Language
from pipeline.suggest.found import Heard
from pipeline.suggest.spelled import spellings
from pipeline.types.entity import Entity, EntityList

ENTITY, PRONUNCIATION, LISTED = "entity", "pronunciation", "listed"
"""Missing on the list; on it, but said otherwise; on it as it is said, and not written all the same."""
MOST_COMPARED = 20_000
"""Entities of one list, pronouncing which takes half a minute; with more, nothing is compared to the list."""
_SAME, _NEAR = 0.06, 0.2  # weighted edits per phone
_SHOWN = 5  # spellings


@dataclasses.dataclass(frozen=True)
class Suggestion:
    """``spellings``: the likeliest first; of what is listed, the listed one is ``entity``."""

    kind: str
    spellings: tuple[str, ...]
    heard: Heard
    entity: Entity | None = None

    @property
    def name(self) -> str:
        return self.spellings[0] if self.entity is None else self.entity.display_as


class Listed:
    """The run's list, or lists by utterance, by how the entities sound."""

    def __init__(self, source: EntitySource, pronouncer: Pronouncer) -> None:
        self._source, self._pronouncer = source, pronouncer
        self.is_compared = len(source.corpus) <= MOST_COMPARED
        self._shared = self._index(source.corpus.entities) if self.is_compared else None

    def nearest(self, heard: Heard) -> tuple[Entity, float] | None:
        """Return the nearest entity that is on the lists of at least half of the utterances, and how far it is."""
        found = [] if self._shared is None else self._shared.nearest(heard.phones, _NEAR, 1)
        if found:
            return self._source.corpus.by_text[found[0].key], found[0].distance
        return self._own(heard)

    def _own(self, heard: Heard) -> tuple[Entity, float] | None:
        if self._source.lists is None:
            return None
        utterances = {span.utterance_id for span in heard.spans}
        counts = Counter(one for name in sorted(utterances) for one in self._source.lists.of(name).entities)
        often = [entity for entity, count in counts.items() if 2 * count >= len(utterances)]
        found = self._index(often).nearest(heard.phones, _NEAR, 1)
        return (EntityList(tuple(often)).by_text[found[0].key], found[0].distance) if found else None

    def _index(self, entities: Sequence[Entity]) -> PhoneIndex:
        return PhoneIndex((one.text, phones) for one in entities for phones in self._pronouncer.entity(one))


def suggest(found: Sequence[Heard], listed: Listed, pronouncer: Pronouncer, language: Language) -> list[Suggestion]:
    """Return a suggestion per sound, in the same order."""
    made = []
    for heard in found:
        near = listed.nearest(heard)
        kind = ENTITY if near is None else LISTED if near[1] <= _SAME else PRONUNCIATION
        written = spellings(heard, pronouncer, language, _SHOWN)
        made.append(Suggestion(kind, written, heard, None if near is None else near[0]))
    return made


def pronunciations(suggestion: Suggestion, pronouncer: Pronouncer) -> tuple[Pronunciation, ...]:
    """Return how the suggested entity is said: as spelled, or as listed, and as it was heard."""
    entity = suggestion.entity
    known = pronouncer.pronounce(suggestion.spellings[0])[:1] if entity is None else pronouncer.entity(entity)
    return tuple(dict.fromkeys((*known, suggestion.heard.phones)))
