"""The entities of a list that are plausible in one utterance."""

import dataclasses

from pipeline.types.entity import EntityList


@dataclasses.dataclass(frozen=True)
class Shortlist:
    """What was retrieved from one list for one utterance.

    entities:     in the order of the list
    strategies:   for each of them, the names of the strategies that found it; empty where the whole list was handed on
    list_version: of the list that they are from
    """

    entities: EntityList
    strategies: tuple[tuple[str, ...], ...]
    list_version: str

    def strategies_of(self, text: str) -> tuple[str, ...]:
        """Return the strategies that found the entity ``text`` (its canonical form)."""
        at = next(at for at, entity in enumerate(self.entities.entities) if entity.text == text)
        return self.strategies[at]


def whole(entities: EntityList) -> Shortlist:
    """Return the shortlist that is the list itself."""
    return Shortlist(entities, ((),) * len(entities), entities.version)
