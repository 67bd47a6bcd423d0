"""What a retrieval strategy is: one way to find the entities of a list that are plausible in an utterance."""

from collections.abc import Sequence
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from pipeline.config import RunConfig
from pipeline.lexicon.pronunciation import Pronouncer
from pipeline.types.emissions import Emissions
from pipeline.types.entity import Entity, EntityList
from pipeline.types.tokens import Tokens

LEVELS = 4
"""How wide a strategy can look, beside not at all; a policy chooses (pipeline.retrieval.policy)."""
DEFAULT = 3
"""The level that is the strategy as it is configured: the first two are stricter, the last one finds more."""


class Strategy:
    """Loaded once per worker; deterministic.

    name:      what TRANSCRIPTS says of entities that it found
    part:      field of RunConfig that turns it on
    pointwise: whether it is a property of the entity and the audio alone that an entity is found, and never of the
               others on the list: then a changed list is brought into a run by looking at what changed
    """

    name: ClassVar[str]
    part: ClassVar[str]
    pointwise: ClassVar[bool]

    def __init__(self, config: Any, pronouncer: Pronouncer) -> None:
        """``config``: its part of the configuration."""

    @classmethod
    def build(cls, config: RunConfig, pronouncer: Pronouncer, tokens: Tokens) -> Self:
        """Return the strategy as ``config``, which turns it on, has it; ``tokens``: of the run's model."""
        return cls(getattr(config, cls.part), pronouncer)

    def sized(self, size: int) -> "Strategy":
        """Return the strategy for lists that are parts of one with so many entities."""
        return self

    def at(self, level: int) -> "Strategy":
        """Return the strategy at a level from 1 to LEVELS: itself at DEFAULT, and whatever a level finds every wider
        one finds too.

        One without thresholds is the same at every level.
        """
        return self

    def can_say(self, heard: Emissions, size: int) -> bool:
        """Whether ``select`` says anything of this audio and a list of ``size``."""
        return heard.phone_log_probs is not None

    def kind_of_size(self, size: int) -> int:
        """Return what of a list's size decides what is found; equal numbers stand for sizes that make no difference."""
        return 0

    def size_class(self, size: int) -> int:
        """Return the power of two that a list's size is known by, where it is chosen by rank; 0 elsewhere.

        Between two sizes with one ``kind_of_size`` it is the same.
        """
        return 0

    def reason(self, heard: Emissions, entity: Entity, size: int) -> str | None:
        """Return in words how an entity of a list of ``size`` fits the audio; None where others decide."""
        return None

    def teach(self, heard: Emissions, entities: Sequence[Entity]) -> Sequence[Entity]:
        """Return the entities of a shortlist with what the strategy knows of them besides; teaching twice is once.

        What it adds follows from each entity and the audio alone.
        """
        return entities

    def clear(self, heard: Emissions, entities: EntityList, text: str) -> tuple[str, ...]:
        """Return the names that later utterances of the recording should know; ``text``: the unbiased transcript."""
        return ()

    def select(self, heard: Emissions, entities: EntityList) -> npt.NDArray[np.int32] | None:
        """Return the indices, ascending, of the entities that are plausible; None if it cannot say of this audio."""
        raise NotImplementedError
