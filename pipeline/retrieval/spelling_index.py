"""The spellings of a list as subwords in arrays, and what each costs in what the subword head heard.

cost(w_1..w_n) is the least sum over frames of how far the symbol on a CTC path through the subwords stays below the
best symbol of its frame, at most CLIP each. The path begins and ends anywhere in the audio.
"""

import dataclasses
from collections.abc import Iterable
from pathlib import Path
from typing import Self

import numba
import numpy as np
import numpy.typing as npt

from pipeline.errors import RowError
from pipeline.retrieval.array_files import fixed, open_arrays, save_arrays
from pipeline.types.emissions import SparseLogProbs
from pipeline.types.entity import Entity
from pipeline.types.tokens import Tokens

CLIP = np.float32(12.0)
"""Nats that one frame counts at most."""


@dataclasses.dataclass(frozen=True)
class Spelled:
    """How the best spelling of each of E entities lies in what was heard; the best one costs least per letter.

    costs: [E] nats; 0 where there is no spelling, which then counts as one letter and one subword
    subwords, letters: [E] of that spelling
    begins, ends: [E] the frames in which its first subword begins and its last one ends; -1 where there is none
    """

    costs: npt.NDArray[np.float32]
    subwords: npt.NDArray[np.int64]
    letters: npt.NDArray[np.int64]
    begins: npt.NDArray[np.int64]
    ends: npt.NDArray[np.int64]

    def only(self, kept: npt.NDArray[np.bool_]) -> Self:
        """Return those of ``kept`` [E]."""
        return type(self)(*(getattr(self, field.name)[kept] for field in dataclasses.fields(self)))


@dataclasses.dataclass(frozen=True)
class SpellingIndex:
    """Spellings of N entities: canonical form and aliases, each as the model's own best segmentation.

    tokens, starts: spelling s is tokens[starts[s] : starts[s + 1]]
    letters: [S] characters of each spelling
    spellings: [N + 1] the spellings of entity n are spellings[n] to spellings[n + 1]; none if no subwords spell it
    """

    tokens: npt.NDArray[np.int16]
    starts: npt.NDArray[np.int32]
    letters: npt.NDArray[np.uint16]
    spellings: npt.NDArray[np.int32]

    def save(self, folder: Path) -> None:
        """Write a file per array into ``folder``, which must be there."""
        save_arrays(self, folder)

    def spelled(self, gaps: npt.NDArray[np.float32], entities: npt.NDArray[np.int32], blank: int) -> Spelled:
        """Return how each of ``entities`` is spelled in what the subword head heard; ``gaps``: of ``subword_gaps``."""
        return Spelled(*_spelled(gaps, self.tokens, self.starts, self.letters, self.spellings, entities, blank))


def subword_gaps(heard: SparseLogProbs, pieces: int) -> npt.NDArray[np.float32]:
    """Return [T, pieces] nats by which each subword stays below the best symbol of each frame, at most CLIP."""
    dense = heard.dense(pieces)
    gaps: npt.NDArray[np.float32] = np.minimum(dense.max(1, keepdims=True) - dense, CLIP)
    return gaps


def open_spellings(folder: Path) -> SpellingIndex:
    """Return the index whose files lie in ``folder``, mapped into memory; raises InputError if it is not whole."""
    return open_arrays(SpellingIndex, folder, "index of spellings")


def build_spellings(entities: Iterable[Entity], tokens: Tokens) -> SpellingIndex:
    """Return the index of ``entities``, whose spellings no subwords of ``tokens`` can write are left out."""
    flat, starts, letters, spellings = list[int](), [0], list[int](), [0]
    for entity in entities:
        for text in (entity.text, *entity.aliases):
            try:
                ids = tokens.encoder(text)
            except RowError:
                continue
            if ids and len(text) < 2**16:
                flat += ids
                starts.append(len(flat))
                letters.append(len(text))
        spellings.append(len(letters))
    arrays = (
        np.array(flat, np.int16), np.array(starts, np.int32), np.array(letters, np.uint16),
        np.array(spellings, np.int32),
    )  # fmt: skip
    fixed(*arrays)
    return SpellingIndex(*arrays)


@numba.njit(cache=True, nogil=True)
def _spelled(gaps, tokens, starts, letters, spellings, entities, blank):  # type: ignore[no-untyped-def]
    costs = np.zeros(len(entities), np.float32)
    subwords, sizes = np.ones(len(entities), np.int64), np.ones(len(entities), np.int64)
    begins, ends = np.full(len(entities), -1), np.full(len(entities), -1)
    for at in range(len(entities)):
        lowest = np.float32(np.inf)
        for spelling in range(spellings[entities[at]], spellings[entities[at] + 1]):
            said = tokens[starts[spelling] : starts[spelling + 1]]
            cost, begin, end = _cost(gaps, said, blank)
            if cost / letters[spelling] < lowest:
                lowest = cost / letters[spelling]
                costs[at], subwords[at], sizes[at] = cost, len(said), letters[spelling]
                begins[at], ends[at] = begin, end
    return costs, subwords, sizes, begins, ends


@numba.njit(cache=True, nogil=True)
def _cost(gaps, said, blank):  # type: ignore[no-untyped-def]
    """Least sum of gaps [T, V] on a path through ``said``, and the frames in which it begins and ends.

    ``on`` is a subword, ``behind`` the blank after it; ``on_from`` and ``behind_from`` are where their paths began.
    """
    count, best, begin, end = len(said), np.float32(1e4), -1, -1
    on, behind = np.full(count, np.float32(1e4)), np.full(count, np.float32(1e4))
    on_from, behind_from = np.full(count, -1), np.full(count, -1)
    for frame in range(len(gaps)):
        silence = gaps[frame, blank]
        before_on, before_behind = np.float32(1e4), np.float32(0.0)  # before the first subword anything may have been
        before_on_from, before_behind_from = -1, frame
        for place in range(count):
            own, after, own_from, after_from = on[place], behind[place], on_from[place], behind_from[place]
            least, least_from = own, own_from
            if before_behind < least:
                least, least_from = before_behind, before_behind_from
            if place > 0 and said[place] != said[place - 1] and before_on < least:
                least, least_from = before_on, before_on_from
            on[place], on_from[place] = least + gaps[frame, said[place]], least_from
            behind[place] = min(after, own) + silence
            behind_from[place] = own_from if own < after else after_from
            before_on, before_behind, before_on_from, before_behind_from = own, after, own_from, after_from
        if on[count - 1] < best:
            best, begin, end = on[count - 1], on_from[count - 1], frame
    return best, begin, end
