"""What a search finds: words, entities and hypotheses with their scores."""

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple


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


def distinct(nbest: Sequence[Hypothesis]) -> list[Hypothesis]:
    """Return each text once, where it stands first."""
    first: dict[str, Hypothesis] = {}
    for hypothesis in nbest:
        first.setdefault(hypothesis.text, hypothesis)
    return list(first.values())
