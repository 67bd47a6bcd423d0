"""The shortlist of an utterance: what any strategy finds of its list goes on to adapter, search and rescoring.

With a policy (pipeline.retrieval.policy) each strategy looks as wide as the policy says of the utterance.

STRATEGIES names them all. A new one is a class in a file of its own, a part of the configuration and a line there.
"""

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.census import step
from pipeline.config import RunConfig
from pipeline.errors import ConfigError
from pipeline.lexicon.pronunciation import Pronouncer
from pipeline.retrieval.context import ContextReader
from pipeline.retrieval.lexical import Lexical
from pipeline.retrieval.memory import Memory
from pipeline.retrieval.phonetic import Phonetic
from pipeline.retrieval.pilot import Pilot
from pipeline.retrieval.ranked import Ranked
from pipeline.retrieval.strategy import DEFAULT, Strategy
from pipeline.retrieval.tree import Tree
from pipeline.types.emissions import Emissions
from pipeline.types.entity import EMPTY, Entity, EntityList
from pipeline.types.shortlist import Shortlist, whole
from pipeline.types.tokens import Tokens

STRATEGIES: tuple[type[Strategy], ...] = (Phonetic, Ranked, Tree, Lexical, Memory)


class Shortlister:
    """Holds the strategies that a run uses; without any, every entity of a list is plausible everywhere."""

    def __init__(self, strategies: Sequence[Strategy] = (), pilot: Pilot | None = None) -> None:
        """``pilot``: decides how wide each strategy looks; without one they are as they are configured."""
        self.strategies, self.pilot = tuple(strategies), pilot
        self._at: dict[tuple[str, int], Strategy] = {}

    @property
    def pointwise(self) -> bool:
        """Whether an entity is on the shortlist or not whatever else is on the list."""
        return all(strategy.pointwise for strategy in self.strategies)

    def sized(self, size: int) -> "Shortlister":
        """Return the shortlister for lists that are parts of one with so many entities."""
        return Shortlister([one.sized(size) for one in self.strategies], self.pilot)

    def kind_of_size(self, size: int) -> tuple[int, ...]:
        """Return what of a list's size decides what is on the shortlist."""
        return tuple(one.kind_of_size(size) for one in self.strategies)

    def size_class(self, size: int) -> int:
        """Return the power of two of the size of lists that are ranked, and 0 for smaller ones."""
        return max((one.size_class(size) for one in self.strategies), default=0)

    def reason(self, heard: Emissions, entity: Entity, size: int) -> str:
        """Return in words how an entity of a list of ``size`` fits the audio, by every strategy that decides."""
        levels = self._levels(heard)
        said = [_reason(self._look(one, levels[one.name]), levels[one.name], heard, entity, size)
                for one in self.strategies]  # fmt: skip
        return "; ".join(one for one in said if one)

    def clear(self, heard: Emissions, entities: EntityList, text: str) -> frozenset[str]:
        """Return the names that are clear by any strategy, for later utterances of the recording.

        text: the unbiased transcript
        """
        return frozenset(name for one in self.strategies for name in one.clear(heard, entities, text))

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
        found: list[tuple[str, npt.NDArray[np.int32] | None]] = []
        if len(entities):
            levels = self._levels(heard)
            looks = [(self._look(one, levels[one.name]), levels[one.name]) for one in self.strategies]
            found = [(one.name, _selected(one, level, heard, entities)) for one, level in looks]
        said = [(name, indices) for name, indices in found if indices is not None]
        if not said:
            return whole(entities)
        names: dict[int, list[str]] = {}
        for name, indices in said:
            for index in indices.tolist():
                names.setdefault(index, []).append(name)
        chosen = sorted(names)
        return Shortlist(_kept(entities, chosen), tuple(tuple(names[at]) for at in chosen), entities.version)

    def _levels(self, heard: Emissions) -> Mapping[str, int]:
        names = [one.name for one in self.strategies]
        if self.pilot is None:
            return dict.fromkeys(names, DEFAULT)
        return {one.strategy: one.level for one in self.pilot.decisions(heard, names)}

    def _look(self, strategy: Strategy, level: int) -> Strategy:
        """Return the strategy at a level; off is asked as the strictest one whether it could say anything."""
        key = strategy.name, max(1, level)
        kept = self._at.get(key)  # and so is what it remembers of lists
        return self._at.setdefault(key, strategy.at(key[1])) if kept is None else kept

    def decided(
        self, heard: Emissions, entities: EntityList, shortlist: Shortlist, written: Collection[str]
    ) -> list[dict[str, Any]]:
        """Return DECISIONS of one utterance, without its id; nothing without a policy.

        entities:  the list of which ``shortlist`` was made
        written:   canonical forms of the entities in the transcript
        """
        if self.pilot is None:
            return []
        decisions = self.pilot.decisions(heard, [one.name for one in self.strategies])
        return [
            dataclasses.asdict(decision) | self._found(strategy, decision.level, heard, entities, shortlist, written)
            for strategy, decision in zip(self.strategies, decisions, strict=True)
        ]

    def _found(
        self,
        strategy: Strategy,
        level: int,
        heard: Emissions,
        entities: EntityList,
        shortlist: Shortlist,
        written: Collection[str],
    ) -> dict[str, Any]:
        """Return how many entities each level up to the drawn one finds, and which level finds those written first.

        Levels nest, so only what the drawn one found is looked at. Null where the strategy could not say anything.
        """
        pairs = zip(shortlist.entities.entities, shortlist.strategies, strict=True)
        names = [entity.text for entity, strategies in pairs if strategy.name in strategies]
        if not len(entities) or not strategy.can_say(heard, len(entities)):
            return {"candidates": None, "found": []}
        own = EntityList(tuple(entities.by_text[name] for name in names))
        first = dict.fromkeys(names, level)
        for lower in range(level - 1, 0, -1) if names else ():
            said = self._look(strategy, lower).sized(len(entities)).select(heard, own)
            first |= {own.entities[at].text: lower for at in (said if said is not None else ())}
        counts = [sum(at <= one for at in first.values()) for one in range(1, level + 1)]
        found = [{"entity": name, "level": first[name]} for name in names if name in written]
        return {"candidates": counts, "found": found}


WHOLE_LISTS = Shortlister()
"""Without any strategy: every entity of a list is plausible everywhere."""


def _selected(
    strategy: Strategy, level: int, heard: Emissions, entities: EntityList
) -> npt.NDArray[np.int32] | None:  # fmt: skip
    with step(strategy.name) as one:
        if level == 0 and strategy.can_say(heard, len(entities)):
            indices: npt.NDArray[np.int32] | None = np.zeros(0, np.int32)
        else:
            indices = strategy.select(heard, entities)
        one.kept = None if indices is None else len(indices)
    return indices


def _reason(strategy: Strategy, level: int, heard: Emissions, entity: Entity, size: int) -> str | None:
    said = strategy.reason(heard, entity, size)
    return said if said is None or level else f"the policy has the strategy {strategy.name} off here"


def _kept(entities: EntityList, chosen: Sequence[int]) -> EntityList:
    """Return the list of the chosen entities; the list itself if they are all, as what was compiled of it is kept."""
    if len(chosen) == len(entities):
        return entities
    return EntityList(entities.at(chosen)) if chosen else EMPTY


def build_shortlister(config: RunConfig, pronouncer: Pronouncer, tokens: Tokens) -> Shortlister:
    """Return the shortlister with the strategies that ``config`` turns on; ``tokens``: of the run's model.

    Raises ConfigError for a tree without a cut.
    """
    turned_on = [one for one in STRATEGIES if config.shortlist is not None and getattr(config, one.part) is not None]
    if Tree in turned_on:
        if config.cut is None:
            raise ConfigError("tree leads to names that the cut judges, and there is none; set cut, or leave out tree.")
        turned_on.remove(Ranked)  # it would find what the tree finds, and more
    pilot = None
    if config.policy is not None and config.shortlist is not None:
        pilot = Pilot(config.policy, ContextReader(config.shortlist, pronouncer, tokens))
    return Shortlister([one.build(config, pronouncer, tokens) for one in turned_on], pilot)
