"""The texts that the search found, before their entities are explained."""

from typing import Any, NamedTuple

from pipeline.types.hypothesis import Word


class Share(NamedTuple):
    """Nats of one word: its tokens, the language model, what is kept at its end; boosts and gains on its way."""

    acoustic: float
    lm: float
    kept: float
    boost: float
    gain: float


class Found(NamedTuple):
    """One text of the n-best before its entities are explained."""

    words: tuple[Word, ...]
    rows: list[tuple[Any, ...]]
    acoustic: float
    lm: float
    boost: float
    total: float

    def shares(self, start: int = 0, end: int | None = None) -> list[Share]:
        """Of words [start, end); most hypotheses are never asked."""
        return [Share(*row[4:]) for row in self.rows[start:end]]


def found_texts(
    scores: list[list[float]], rows: list[tuple[Any, ...]], text: str, ends: list[list[int]]
) -> list[Found]:
    """Cut the flat results of the kernel into hypotheses."""
    result, row, at = [], 0, 0
    for score, (row_end, end) in zip(scores, ends, strict=True):
        words, start = [], 0
        for first, last, stop, confidence, *_ in rows[row:row_end]:
            words.append(Word(text[at + start : at + stop], first, last, min(1.0, confidence)))
            start = stop + 1
        result.append(Found(tuple(words), rows[row:row_end], *score))
        row, at = row_end, end
    return result
