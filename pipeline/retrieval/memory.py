"""The strategy ``memory``: entities that are heard as reviewers confirmed them before.

A snapshot (pipeline.retrieval.remembered) has, for each tenant, phone strings that were heard where an entity was said,
and the bounds of the probability that what sounds so is the entity. A form is confirmed if its lower bound is at least
``least``. An entity of the list is found if a confirmed form p_1..p_m of its lies somewhere in the audio at

    cost(p) <= per_phone * (m - spare)         with cost() as in pipeline.retrieval.phonetic

which is stricter than the strategy ``phonetic`` is with a dictionary's pronunciations: that is a guess of how a name is
said, this was heard. The snapshot is the same throughout a run, so membership is a property of entity, tenant and
audio. What is not on the utterance's list is never found, whatever is remembered.

Entities of a shortlist get the confirmed forms as further pronunciations, whoever found them: lookup, evidence and the
adapter then know how they may sound, and the guard has the last word.
"""

import dataclasses
from collections.abc import Sequence
from typing import ClassVar, Self

import numpy as np
import numpy.typing as npt

from pipeline.config import MemoryConfig, RunConfig, ShortlistConfig
from pipeline.errors import ConfigError
from pipeline.lexicon.phones import ARPABET
from pipeline.lexicon.pronunciation import Pronouncer
from pipeline.retrieval.kept import Kept
from pipeline.retrieval.phonetic import Phonetic
from pipeline.retrieval.remembered import Recall
from pipeline.retrieval.sound_index import SoundIndex, build_index, encode
from pipeline.retrieval.strategy import Strategy
from pipeline.types.emissions import Emissions
from pipeline.types.entity import Entity, EntityList
from pipeline.types.tokens import Tokens

_TAUGHT = 2
"""Forms that an entity is given, the surest: the adapter listens for two pronunciations, the guard looks at three."""
_MOST_TAUGHT = 50_000  # entities that are remembered, some 20 MB
_OWN_FIRST = 1  # of the entity's own pronunciations that stand before them


class Memory(Strategy):
    """Loaded once per worker; deterministic."""

    name = "memory"
    part = "memory"
    pointwise: ClassVar[bool] = True

    def __init__(self, config: MemoryConfig, pronouncer: Pronouncer, keep: int = 256) -> None:
        """``keep``: lists that are remembered as an index.

        Raises ConfigError where names are said in letters, and ConfigError or ModelError as Recall does.
        """
        if pronouncer.units is not ARPABET:
            raise ConfigError("--memory is kept in phones, and this model says names in its letters; leave it out.")
        self._recall, self._pronouncer = Recall(config), pronouncer
        self._phonetic = Phonetic(ShortlistConfig(per_phone=config.per_phone, spare=config.spare), pronouncer, keep=1)
        self._compiled = Kept[tuple[npt.NDArray[np.int32], SoundIndex]](keep)
        self._taught: dict[tuple[str, Entity], Entity] = {}

    @classmethod
    def build(cls, config: RunConfig, pronouncer: Pronouncer, tokens: Tokens) -> Self:
        assert config.memory is not None
        return cls(config.memory, pronouncer)

    def select(self, heard: Emissions, entities: EntityList) -> npt.NDArray[np.int32] | None:
        """Return the indices, ascending, of the entities that are heard as before; None where others cannot say."""
        if heard.phone_log_probs is None:
            return None
        places, index = self._compile(heard.tenant, entities)
        if not len(places):
            return places
        return places[self._phonetic.matching(heard.phone_log_probs, index).entities]

    def _compile(self, tenant: str, entities: EntityList) -> tuple[npt.NDArray[np.int32], SoundIndex]:
        """Return the indices of the entities that have confirmed forms, and the index of these forms."""
        return self._compiled.of(entities, lambda: self._index(tenant, entities), key=tenant)

    def _index(self, tenant: str, entities: EntityList) -> tuple[npt.NDArray[np.int32], SoundIndex]:
        known = self._recall.names(tenant)
        places = entities.having(known) if known else []
        forms = [self._recall.confirmed(tenant, entity) for entity in entities.at(places)]
        sure = [at for at, one in enumerate(forms) if one]
        index = build_index([encode(forms[at]) for at in sure])
        return np.array([places[at] for at in sure], np.int32), index

    def teach(self, heard: Emissions, entities: Sequence[Entity]) -> Sequence[Entity]:
        """Return the entities with the surest of their confirmed forms among their pronunciations."""
        if heard.phone_log_probs is None or not self._recall.names(heard.tenant):
            return entities
        taught = tuple(self._with_forms(heard.tenant, entity) for entity in entities)
        return entities if all(new is old for new, old in zip(taught, entities, strict=True)) else taught

    def _with_forms(self, tenant: str, entity: Entity) -> Entity:
        if not self._recall.knows(tenant, entity):
            return entity
        key = tenant, entity
        taught = self._taught.get(key)
        if taught is None:
            if len(self._taught) >= _MOST_TAUGHT:
                self._taught.clear()
            taught = self._taught[key] = self._learnt(tenant, entity)
        return taught

    def _learnt(self, tenant: str, entity: Entity) -> Entity:
        forms = self._recall.confirmed(tenant, entity)
        if not forms:
            return entity
        own = self._pronouncer.entity(entity)
        new = [one for one in forms[:_TAUGHT] if one not in own]  # so that teaching twice is teaching once
        if not new:
            return entity
        said = (*own[:_OWN_FIRST], *new, *own[_OWN_FIRST:])
        return dataclasses.replace(entity, pronunciations=tuple(map(" ".join, said)))
