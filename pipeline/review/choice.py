"""Which utterances are worth a person's time: by what a look at them should teach, and by a stated share of chance.

An utterance i of n is among the N chosen with probability

    p_i = share * N / n  +  factor * w_i,    at most 1,

where w_i is its expected information and ``factor`` makes the probabilities sum to N. The draw is systematic: N points
one apart on the line of all p_i, in an order that a hash decides, so that exactly N are chosen, each with exactly its
p_i. Whoever learns from the reviews divides by it.
"""

import dataclasses
import hashlib
import math
from collections.abc import Iterable, Mapping
from sqlite3 import Connection
from typing import Any

from pipeline.errors import ConfigError
from pipeline.storage.disk_table import insert

RANDOM_SHARE = 0.2
"""Of the choice that is left to chance: with less, what the run is sure of, and wrong about, is hardly ever seen."""
OTHER_WORD = 0.05
"""What the doubt of a word outside of names counts: most such words are ordinary ones, but a name that the run missed
stands in their place, and a judgement of a proposed name is worth more than that of twenty words."""
_HASH_BITS = 64


def bits(probability: float) -> float:
    """Return the entropy of a yes or no, in bits.

    >>> bits(0.5)
    1.0
    """
    if not 0.0 < probability < 1.0:  # NaN too: nothing is known
        return 0.0
    rest = 1.0 - probability
    return -(probability * math.log2(probability) + rest * math.log2(rest))


def information(row: Mapping[str, Any]) -> float:
    """Return the bits that a look at a TRANSCRIPTS row should bring: of each proposed name, and a little of each word.

    A name is as doubtful as the most doubtful of its words.
    """
    confidences = [word["confidence"] or 0.0 for word in row["words"] or ()]
    named = [range(found["start_word"], found["end_word"]) for found in row["entities"] or ()]
    inside = {at for span in named for at in span}
    names = sum(bits(confidence_of(row["words"], span.start, span.stop)) for span in named)
    return names + OTHER_WORD * sum(bits(one) for at, one in enumerate(confidences) if at not in inside)


def confidence_of(words: Iterable[Mapping[str, Any]] | None, first: int, last: int) -> float:
    """Return the confidence of words [first, last), which is that of the least sure one; 0 where there is none."""
    return min((word["confidence"] or 0.0 for word in list(words or ())[first:last]), default=0.0)


@dataclasses.dataclass(frozen=True)
class Scale:
    """From weight to probability: 1 from the weight ``sure`` on, else ``base + factor * weight``."""

    base: float
    factor: float
    sure: float = math.inf

    def probability(self, weight: float) -> float:
        return 1.0 if weight >= self.sure else min(1.0, self.base + self.factor * weight)


class Choice:
    """Takes the weight of every utterance and draws. The weights lie in a table on disk, so memory does not grow."""

    def __init__(self, connection: Connection, seed: int) -> None:
        self._connection, self._seed = connection, seed
        connection.execute("CREATE TABLE weighed (place INTEGER, id TEXT, weight REAL)")

    def add(self, weights: Iterable[tuple[str, float]]) -> None:
        """Take utterances with their weights, which are finite and not negative."""
        rows = ((self._hash(name), name, weight) for name, weight in weights)
        insert(self._connection, "INSERT INTO weighed VALUES (?, ?, ?)", rows)

    def _hash(self, text: str) -> int:
        digest = hashlib.sha256(f"{self._seed}\0{text}".encode()).digest()
        return int.from_bytes(digest[: _HASH_BITS // 8], "big", signed=True)

    def draw(self, count: int, share: float = RANDOM_SHARE) -> dict[str, float]:
        """Return ``count`` utterances with the probability with which each was chosen; all where there are no more.

        share: of the choice that is left to chance, from 0 to 1. Raises ConfigError.
        """
        if count < 1:
            raise ConfigError(f"--utterances must be at least 1, got {count}.")
        if not 0.0 <= share <= 1.0:
            raise ConfigError(f"--random-share must be from 0 to 1, got {share:g}.")
        rows, _ = self._sums(math.inf)
        count = min(count, rows)
        return self._systematic(count, self._scale(rows, count, share)) if rows else {}

    def _sums(self, below: float) -> tuple[int, float]:
        """Return the number and the weight of utterances of less weight than ``below``."""
        query = "SELECT COUNT(*), TOTAL(weight) FROM weighed WHERE weight < ?"
        rows, weight = self._connection.execute(query, (below,)).fetchone()
        return int(rows), float(weight)

    def _scale(self, rows: int, count: int, share: float) -> Scale:
        """Find the factor with which probabilities that are at most 1 sum to ``count``.

        Those above 1 become 1 and what they leave goes to the others, again and again: their number only grows.
        """
        base, sure, capped = share * count / rows, math.inf, 0
        while True:
            left_rows, left_weight = self._sums(sure)
            left = count - capped - base * left_rows
            if left <= 0.0 or not left_rows:
                return Scale(base, 0.0, sure)
            if left_weight <= 0.0:  # nothing tells the others apart
                return Scale((count - capped) / left_rows, 0.0, sure)
            factor = left / left_weight
            sure = min(sure, (1.0 - base) / factor)
            above = rows - self._sums(sure)[0]
            if above == capped:
                return Scale(base, factor, sure)
            capped = above

    def _systematic(self, count: int, scale: Scale) -> dict[str, float]:
        start = (self._hash("where the draw starts") + 2 ** (_HASH_BITS - 1)) / 2**_HASH_BITS
        chosen: dict[str, float] = {}
        reached = 0.0
        last: tuple[str, float] | None = None
        for name, weight in self._connection.execute("SELECT id, weight FROM weighed ORDER BY place, id"):
            probability = scale.probability(weight)
            reached += probability
            if start + len(chosen) < reached:
                chosen[name] = probability
            elif probability:
                last = (name, probability)
        if len(chosen) < count and last is not None:  # the sum of many probabilities is a hair below ``count``
            chosen[last[0]] = last[1]
        return chosen
