"""The shortlist of an utterance: what any strategy finds of its list goes on to adapter, search and rescoring.

STRATEGIES names them all. A new one is a class in a file of its own, a part of the configuration and a line there.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from pipeline.census import step
from pipeline.config import RunConfig
from pipeline.lexicon.pronunciation import Pronouncer
from pipeline.retrieval.lexical import Lexical
from pipeline.retrieval.memory import Memory
from pipeline.retrieval.phonetic import Phonetic
from pipeline.retrieval.ranked import Ranked
from pipeline.retrieval.strategy import Strategy
from pipeline.types.emissions import Emissions
from pipeline.types.entity import EMPTY, Entity, EntityList
from pipeline.types.shortlist import Shortlist, whole
from pipeline.types.tokens import Tokens

STRATEGIES: tuple[type[Strategy], ...] = (Phonetic, Ranked, Lexical, Memory)


class Shortlister:
    """Holds the strategies that a run uses; without any, every entity of a list is plausible everywhere."""

    def __init__(self, strategies: Sequence[Strategy] = ()) -> None:
        self.strategies = tuple(strategies)

    @property
    def pointwise(self) -> bool:
        """Whether an entity is on the shortlist or not whatever else is on the list."""
        return all(strategy.pointwise for strategy in self.strategies)

    def sized(self, size: int) -> "Shortlister":
        """Return the shortlister for lists that are parts of one with so many entities."""
        return Shortlister([one.sized(size) for one in self.strategies])

    def kind_of_size(self, size: int) -> tuple[int, ...]:
        """Return what of a list's size decides what is on the shortlist."""
        return tuple(one.kind_of_size(size) for one in self.strategies)

    def size_class(self, size: int) -> int:
        """Return the power of two of the size of lists that are ranked, and 0 for smaller ones."""
        return max((one.size_class(size) for one in self.strategies), default=0)

    def reason(self, heard: Emissions, entity: Entity, size: int) -> str:
        """Return in words how an entity of a list of ``size`` fits the audio, by every strategy that decides."""
        return "; ".join(said for one in self.strategies if (said := one.reason(heard, entity, size)))

    def shortlist(self, heard: Emissions, entities: EntityList) -> Shortlist:
        """Return the entities that any strategy finds, in their order; all where none can say of this audio."""
        with step("listed") as listed:
            listed.kept = len(entities)
        with step("shortlist") as kept:
            shortlist = self._shortlist(heard, entities)
            kept.kept = len(shortlist.entities)
        return self.taught(heard, shortlist)

    def taught(self, heard: Emissions, shortlist: Shortlist) -> Shortlist:
        """Return the shortlist with what any strategy knows of its entities besides; the same one if that is nothing.

        ``shortlist`` does so itself; for shortlists that come from elsewhere, by name.
        """
        entities = shortlist.entities.entities
        for one in self.strategies:
            entities = one.teach(heard, entities)
        if entities is shortlist.entities.entities:
            return shortlist
        return dataclasses.replace(shortlist, entities=EntityList(tuple(entities)))

    def _shortlist(self, heard: Emissions, entities: EntityList) -> Shortlist:
        found = [(one.name, _selected(one, heard, entities)) for one in self.strategies] if len(entities) else []
        said = [(name, indices) for name, indices in found if indices is not None]
        if not said:
            return whole(entities)
        names: dict[int, list[str]] = {}
        for name, indices in said:
            for index in indices.tolist():
                names.setdefault(index, []).append(name)
        chosen = sorted(names)
        return Shortlist(_kept(entities, chosen), tuple(tuple(names[at]) for at in chosen), entities.version)


WHOLE_LISTS = Shortlister()
"""Without any strategy: every entity of a list is plausible everywhere."""


def _selected(strategy: Strategy, heard: Emissions, entities: EntityList) -> npt.NDArray[np.int32] | None:
    with step(strategy.name) as one:
        indices = strategy.select(heard, entities)
        one.kept = None if indices is None else len(indices)
    return indices


def _kept(entities: EntityList, chosen: Sequence[int]) -> EntityList:
    """Return the list of the chosen entities; the list itself if they are all, as what was compiled of it is kept."""
    if len(chosen) == len(entities):
        return entities
    return EntityList(entities.at(chosen)) if chosen else EMPTY


def build_shortlister(config: RunConfig, pronouncer: Pronouncer, tokens: Tokens) -> Shortlister:
    """Return the shortlister with the strategies that ``config`` turns on; ``tokens``: of the run's model."""
    turned_on = [one for one in STRATEGIES if config.shortlist is not None and getattr(config, one.part) is not None]
    return Shortlister([one.build(config, pronouncer, tokens) for one in turned_on])
