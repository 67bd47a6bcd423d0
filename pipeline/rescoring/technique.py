"""What a technique of the rescoring stage is: a class with the steps that it takes part in."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Self

from pipeline.config import RunConfig
from pipeline.lexicon.pronunciation import ListPronouncer, Pronouncer
from pipeline.rescoring.proposals import Proposal
from pipeline.rescoring.scene import Scene
from pipeline.types.emissions import Emissions
from pipeline.types.entity import EntityList
from pipeline.types.hypothesis import Hypothesis
from pipeline.types.tokens import Tokens


@dataclasses.dataclass(frozen=True)
class Sounds:
    """What every technique may use; loaded once per worker.

    lists: the pronouncer's answers for whole lists, remembered
    knows: whether the language model's vocabulary has a word; CMUdict where there is no such list
    tokens: the model's inventory, for techniques that look at its pieces
    """

    pronouncer: Pronouncer
    lists: ListPronouncer
    knows: Callable[[str], bool]
    tokens: Tokens | None = None


class Technique:
    """One technique; a step that it leaves out does nothing. Every step is a pure function of its arguments."""

    part: ClassVar[str]
    """Field of RunConfig that turns it on."""

    def __init__(self, config: Any, sounds: Sounds) -> None:
        """``config``: its part of the configuration. Raises ModelError for files that are missing or corrupt."""

    @classmethod
    def build(cls, config: RunConfig, sounds: Sounds) -> Self:
        """Return the technique as ``config``, which turns it on, has it."""
        return cls(getattr(config, cls.part), sounds)

    def expand(self, entities: EntityList) -> EntityList:
        """Return the list that the beam search is given in place of ``entities``."""
        return entities

    def order(self, nbest: Sequence[Hypothesis], emissions: Emissions, entities: EntityList) -> list[Hypothesis]:
        """Return the n-best, best first, as this technique would have it; ``entities`` is the list before ``expand``.

        The unbiased n-best is ordered with an empty list.
        """
        return list(nbest)

    def propose(self, scene: Scene, entities: EntityList, emissions: Emissions) -> list[Proposal]:
        """Return entities in the place of words of the unbiased hypothesis, for the guard to judge."""
        return []

    def correct(self, nbest: Sequence[Hypothesis], emissions: Emissions, entities: EntityList) -> list[Hypothesis]:
        """Return the n-best with entities put in, where no guard judges them."""
        return list(nbest)
