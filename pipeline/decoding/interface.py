"""What every decoder takes and returns."""

import dataclasses
from typing import NamedTuple, Protocol

from pipeline.acoustic.emissions import SparseLogProbs
from pipeline.entities.catalog import EntityList


class Word(NamedTuple):
    """One word of a hypothesis; frames are half-open [start_frame, end_frame)."""

    text: str
    start_frame: int
    end_frame: int
    confidence: float  # 0 to 1


@dataclasses.dataclass(frozen=True)
class EntitySpan:
    """One entity inside a hypothesis; words are half-open [start_word, end_word)."""

    entity: str  # normalised canonical form
    start_word: int
    end_word: int
    techniques: tuple[str, ...] = ()
    acoustic: float | None = None  # nats
    lm: float | None = None
    boost: float | None = None
    phone_cost: float | None = None
    alternative: str | None = None
    alternative_phone_cost: float | None = None


@dataclasses.dataclass(frozen=True)
class Hypothesis:
    """One entry of an n-best list; scores in nats, ``total`` is what the list is sorted by."""

    words: tuple[Word, ...]
    acoustic: float
    lm: float
    boost: float
    total: float
    entities: tuple[EntitySpan, ...] = ()
    phone_cost: float | None = None

    @property
    def text(self) -> str:
        return " ".join(word.text for word in self.words)


class Decoder(Protocol):
    """Loaded once per worker; deterministic; an empty list gives exactly the unbiased output."""

    def decode(self, emissions: SparseLogProbs, entities: EntityList, judged: bool = False) -> list[Hypothesis]:
        """Return the n-best hypotheses, best first, never an empty list (silence is one with no words).

        judged: whether the guard will judge the entities found, so that the search may go further for them
        """
        ...
