"""What was clear earlier in a recording speaks for the names of an utterance.

A name is clear in an utterance if the unbiased transcript has it and the first pass gives it log odds
(pipeline.retrieval.ranked) of at least ``clear``, for the size of its list. A name that only sounds like what is said
does so again and again: on test-clean-dev high log odds alone said nothing of the next mention, standing in the text
much. In later utterances of the recording

    log odds + again      of the same name
    log odds + related    of another one that shares a word of at least four letters or a tag with it

Only what is heard without the list counts: what biasing wrote never speaks for itself.
"""

import dataclasses
from collections.abc import Sequence
from typing import Self

import numpy as np
import numpy.typing as npt

from pipeline.config import SessionConfig
from pipeline.types.entity import Entity, EntityList

_LETTERS = 4  # of a word that is shared; shorter ones ("de", "van", "st") stand in too many names


@dataclasses.dataclass(frozen=True)
class Earlier:
    """What was clear earlier: names, and the words and tags that they have on the list of the utterance."""

    names: frozenset[str]
    words: frozenset[str]
    tags: frozenset[str]

    @classmethod
    def of(cls, names: Sequence[str], entities: EntityList) -> Self:
        """Return it for an utterance with the list ``entities``; names of other lists have words only."""
        known = [entities.by_text[name] for name in names if name in entities.by_text]
        words = {word for name in names for word in _words(name)}
        return cls(frozenset(names), frozenset(words), frozenset(tag for entity in known for tag in entity.tags))

    def gains(self, entities: Sequence[Entity], config: SessionConfig) -> npt.NDArray[np.float64]:
        """Return [E] nats that are added to the log odds of each entity."""
        return np.array([self._gain(entity, config) for entity in entities], np.float64)

    def _gain(self, entity: Entity, config: SessionConfig) -> float:
        if entity.text in self.names:
            return config.again
        related = not self.words.isdisjoint(_words(entity.text)) or not self.tags.isdisjoint(entity.tags)
        return config.related if related else 0.0


def _words(name: str) -> list[str]:
    return [word for word in name.split() if len(word) >= _LETTERS]
