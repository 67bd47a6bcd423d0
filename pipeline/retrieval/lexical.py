"""The strategy ``lexical``: entities whose letters stand together in what the first pass writes by itself.

Names and what is written are cut into groups of three letters, spaces left out, since a name is often broken into
words. A spelling with the groups g_1..g_m is found if in some window of m + ``slack`` groups of the text

    sum of weight(g) over those of its groups in the window  >=  bound * sum of weight(g) over all of them

weight(g) = ln(1 + (N - n + 0.5) / (n + 0.5)) for a group in n of the N words of the dictionary: BM25 with the name as
the query, a window as the document and k1 = 0, as a group is there or not. Weights come from the dictionary and never
from the list, so that membership is a property of the entity and the audio.
"""

import copy
import dataclasses
from collections.abc import Iterable
from typing import ClassVar, Self

import numba
import numpy as np
import numpy.typing as npt

from pipeline.config import PRONUNCIATIONS, LexicalConfig, RunConfig
from pipeline.lexicon.pronunciation import Pronouncer, read_dictionary
from pipeline.retrieval.kept import Kept
from pipeline.retrieval.strategy import DEFAULT, Strategy
from pipeline.types.emissions import Emissions, SparseLogProbs
from pipeline.types.entity import Entity, EntityList
from pipeline.types.tokens import Tokens

_LETTERS = 3  # of a group
_LEVELS = (1.6, 1.3, 1.0, 0.8)
"""Times the bound at each level (Strategy.at)."""


@dataclasses.dataclass(frozen=True)
class LexicalIndex:
    """Spellings of N entities as groups.

    groups, starts: spelling s is groups[starts[s] : starts[s + 1]], each group once
    owners: [S] the entity of each spelling, ascending
    """

    groups: npt.NDArray[np.int32]
    starts: npt.NDArray[np.int64]
    owners: npt.NDArray[np.int32]


class Lexical(Strategy):
    """Loaded once per worker; deterministic."""

    name = "lexical"
    part = "lexical"
    pointwise: ClassVar[bool] = True

    def __init__(self, config: LexicalConfig, tokens: Tokens, keep: int = 256) -> None:
        """``keep``: lists that are remembered as groups."""
        self._config, self._tokens = config, tokens
        self._number = {letter: at for at, letter in enumerate(tokens.alphabet.letters + "0123456789")}
        words = read_dictionary(PRONUNCIATIONS / "cmudict.txt.gz") if tokens.alphabet.writes_english else {}
        self._weights = self._weigh(words)
        self._compiled = Kept[LexicalIndex](keep)

    @classmethod
    def build(cls, config: RunConfig, pronouncer: Pronouncer, tokens: Tokens) -> Self:
        assert config.lexical is not None
        return cls(config.lexical, tokens)

    def at(self, level: int) -> "Lexical":
        if level == DEFAULT:
            return self
        other = copy.copy(self)
        other._config = dataclasses.replace(self._config, bound=_LEVELS[level - 1] * self._config.bound)
        return other

    def select(self, heard: Emissions, entities: EntityList) -> npt.NDArray[np.int32] | None:
        """Return the indices, ascending, of the entities that are written; None where other strategies cannot say.

        Without phones every entity is plausible, and this one must not be the only one to choose.
        """
        if heard.phone_log_probs is None:
            return None
        index = self._compile(entities)
        text = self._groups(written(heard.tokens, self._tokens))
        found = _found(text, index.groups, index.starts, self._weights, self._config.bound, self._config.slack)
        owners: npt.NDArray[np.int32] = np.unique(index.owners[found])
        return owners

    def _compile(self, entities: EntityList) -> LexicalIndex:
        return self._compiled.of(entities, lambda: self._index(entities.entities))

    def _index(self, entities: Iterable[Entity]) -> LexicalIndex:
        flat, owners, starts = [np.zeros(0, np.int32)], list[int](), [0]
        for at, entity in enumerate(entities):
            for text in (entity.text, *entity.aliases):
                groups = np.unique(self._groups(text))
                if len(groups):
                    flat.append(groups)
                    owners.append(at)
                    starts.append(starts[-1] + len(groups))
        return LexicalIndex(np.concatenate(flat), np.array(starts, np.int64), np.array(owners, np.int32))

    def _groups(self, text: str) -> npt.NDArray[np.int32]:
        """Return the groups of a text in their order; a text of fewer letters has none."""
        size = len(self._number)
        ids = np.array([self._number[letter] for letter in text if letter in self._number], np.int32)
        return (ids[:-2] * size + ids[1:-1]) * size + ids[2:] if len(ids) >= _LETTERS else np.zeros(0, np.int32)

    def _weigh(self, words: Iterable[str]) -> npt.NDArray[np.float32]:
        """Return the weight of every group by the words that it stands in; the same for all where there are none."""
        counts = np.zeros(len(self._number) ** _LETTERS, np.int64)
        total = 0
        for word in words:
            counts[np.unique(self._groups(word))] += 1
            total += 1
        return np.log1p((total - counts + 0.5) / (counts + 0.5)).astype(np.float32)


def written(heard: SparseLogProbs, tokens: Tokens) -> str:
    """Return what the first pass writes without search or list: the best token of each frame, repeats once."""
    best = heard.ids[:, 0].astype(np.int64)
    first = np.flatnonzero(np.diff(best, prepend=-1) != 0)
    return tokens.decode(best[first].tolist())


@numba.njit(cache=True, nogil=True)
def _found(text, groups, starts, weights, bound, slack):  # type: ignore[no-untyped-def]
    """Return the spellings, ascending, that a window of ``text`` holds enough of; every group counts once."""
    there = np.zeros(len(weights), np.bool_)
    there[text] = True
    found = np.zeros(len(starts) - 1, np.int64)
    size = 0
    counts = np.zeros(len(weights), np.int16)  # of each group in the window; 0 again after each spelling
    own = np.zeros(len(weights), np.bool_)
    for spelling in range(len(starts) - 1):
        said = groups[starts[spelling] : starts[spelling + 1]]
        needed, anywhere = np.float32(0.0), np.float32(0.0)
        for group in said:
            needed += weights[group]
            anywhere += weights[group] if there[group] else np.float32(0.0)
        needed *= np.float32(bound)
        if anywhere < needed:
            continue
        own[said] = True
        width, inside, best = len(said) + slack, np.float32(0.0), np.float32(0.0)
        for end in range(len(text)):
            if own[text[end]]:
                counts[text[end]] += 1
                if counts[text[end]] == 1:
                    inside += weights[text[end]]
            leaving = end - width
            if leaving >= 0 and own[text[leaving]]:
                counts[text[leaving]] -= 1
                if counts[text[leaving]] == 0:
                    inside -= weights[text[leaving]]
            best = max(best, inside)
        own[said] = False
        counts[said] = 0
        if best >= needed * np.float32(0.9999):  # sums in another order differ in their last digits
            found[size] = spelling
            size += 1
    return found[:size]
