"""Forced alignment of words, each with several pronunciations, to the phone head's CTC output.

The words become one graph of CTC states: a blank between words, and per pronunciation the chain of its phones with
optional blanks between them (Graves et al. 2006, section 4.1). Viterbi over that graph chooses the pronunciations and
the times at once. Costs are negative log-probabilities in nats, natural units of the phone head.
"""

import dataclasses
import functools
from collections.abc import Sequence
from typing import NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from pipeline.errors import InputError
from pipeline.lexicon.phones import ARPABET, Pronunciation, Units

IMPOSSIBLE = 1e9
"""Cost of an alignment that does not fit, in nats: more phones than frames."""


class AlignedPhone(NamedTuple):
    """One phone on the best path; frames are half-open, blanks after it belong to its cost but not to its span."""

    phone: str
    start_frame: int
    end_frame: int
    cost: float


class AlignedWord(NamedTuple):
    """One word on the best path; ``cost`` is the sum over its phones. A word without sound has none and no length."""

    phones: tuple[AlignedPhone, ...]
    start_frame: int
    end_frame: int
    cost: float


class _Phones(NamedTuple):
    """The phones on a path, each field [N]."""

    word: npt.NDArray[np.int64]
    column: npt.NDArray[np.int64]
    start: npt.NDArray[np.int64]
    end: npt.NDArray[np.int64]
    cost: npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True, eq=False)
class Alignment:
    """Best path of a word sequence; ``cost`` is the negative log-probability of all frames on it.

    word_costs: [W] nats of each word. They add up to ``cost``; blanks before the first phone belong to the first word
        with sound.
    """

    cost: float
    word_costs: npt.NDArray[np.float64]
    _phones: _Phones | None = None  # None where nothing is said
    _units: Units = ARPABET

    @functools.cached_property
    def words(self) -> tuple[AlignedWord, ...]:
        """The words with their phones and times; most alignments are only asked for costs."""
        found: list[list[AlignedPhone]] = [[] for _ in self.word_costs]
        for owner, column, start, end, cost in zip(*map(np.ndarray.tolist, self._phones or ()), strict=True):
            found[owner].append(AlignedPhone(self._units.names[column - 1], start, end, cost))
        words, at = [], 0
        for said, total in zip(found, self.word_costs.tolist(), strict=True):
            begin = said[0].start_frame if said else at
            at = said[-1].end_frame if said else at
            words.append(AlignedWord(tuple(said), begin, at, total))
        return tuple(words)


@numba.njit(cache=True)
def _graph(columns_of, starts, owners):  # type: ignore[no-untyped-def]
    """CTC states of words said one after the other, each with alternative pronunciations.

    Pronunciation v has the columns columns_of[starts[v] : starts[v + 1]] and belongs to word owners[v]; those of one
    word follow one another. Returns (column of each state, 0 blank; word of each, -1 for blanks; first and
    predecessors: what may come before state s stands in predecessors[first[s] : first[s + 1]], s itself always may;
    where a path may begin; where it may end).
    """
    phones, variants = len(columns_of), len(owners)
    entering, of_word, of_word_before = 0, 0, 1  # edges between words: from every end to every beginning
    for at in range(variants):
        if at > 0 and owners[at] != owners[at - 1]:
            of_word, of_word_before = 0, of_word + 1
        of_word += 1
        entering += of_word_before
    most = 1 + 2 * phones + variants  # phones, blanks between them, a blank after each word
    columns, words = np.zeros(most, np.int64), np.full(most, -1, np.int64)
    first = np.zeros(most + 1, np.int64)
    predecessors = np.empty(3 * phones + variants + entering, np.int64)
    initial, begins = np.empty(1 + phones, np.int64), 1
    ends, following = np.zeros(variants + 1, np.int64), np.zeros(variants + 1, np.int64)
    count, edges, ending, initial[0] = 1, 0, 1, 0  # state 0 is the blank in front of everything
    at, opened = 0, True
    while at < variants:
        word, lasts = owners[at], 0
        while at < variants and owners[at] == word:
            blank = last = -1
            for place in range(starts[at], starts[at + 1]):
                if last >= 0:
                    first[count] = edges
                    predecessors[edges] = last
                    edges += 1
                    blank = count
                    count += 1
                first[count] = edges
                columns[count], words[count] = columns_of[place], word
                if last < 0:
                    for k in range(ending):
                        if columns[ends[k]] != columns[count]:
                            predecessors[edges] = ends[k]
                            edges += 1
                    if opened:
                        initial[begins] = count
                        begins += 1
                else:
                    if columns[last] != columns[count]:
                        predecessors[edges] = last
                        edges += 1
                    predecessors[edges] = blank
                    edges += 1
                last = count
                count += 1
            following[lasts] = last
            lasts += 1
            at += 1
        first[count] = edges
        for k in range(lasts):
            ends[k] = following[k]
            predecessors[edges] = following[k]
            edges += 1
        ends[lasts] = count
        ending = lasts + 1
        count += 1
        opened = False
    first[count] = edges
    return columns[:count], words[:count], first[: count + 1], predecessors[:edges], initial[:begins], ends[:ending]


@numba.njit(cache=True)
def _viterbi(log_probs, columns, first, predecessors, initial, final):  # type: ignore[no-untyped-def]
    """Return (cost, state per frame); ties go to the state itself, then to the earlier predecessor."""
    frames, states = log_probs.shape[0], len(columns)
    score = np.full(states, -np.inf)
    come = np.zeros((frames, states), np.int32)
    path = np.zeros(frames, np.int64)
    for state in initial:
        score[state] = log_probs[0, columns[state]]
    for t in range(1, frames):
        following = np.empty(states)
        for state in range(states):
            best, source = score[state], state
            for k in range(first[state], first[state + 1]):
                if score[predecessors[k]] > best:
                    best, source = score[predecessors[k]], predecessors[k]
            following[state] = best + log_probs[t, columns[state]]
            come[t, state] = source
        score = following
    state = final[0]
    for other in final:
        if score[other] > score[state]:
            state = other
    cost = -score[state]
    for t in range(frames - 1, -1, -1):
        path[t] = state
        state = come[t, state]
    return cost, path


def align_words(
    log_probs: npt.NDArray[np.float32], words: Sequence[Sequence[Pronunciation]], units: Units = ARPABET
) -> Alignment:
    """Align ``words``, each a sequence of alternative pronunciations, to [T, 40] log-probs (column 0 blank).

    With other ``units`` than phones there are as many columns as these are, and one.

    A word with no pronunciation takes no time. Where the words do not fit into T frames the cost is IMPOSSIBLE.
    Raises InputError if the log-probs do not have the columns of a phone head.
    """
    if log_probs.ndim != 2 or log_probs.shape[1] != len(units.names) + 1:
        raise InputError(f"phone log-probs must be [T, {len(units.names) + 1}], got {list(log_probs.shape)}.")
    flat, starts, owners = _flat(words, units)
    if not len(log_probs):
        return _nothing(words, IMPOSSIBLE if len(owners) else 0.0)
    values = np.ascontiguousarray(log_probs, np.float32)
    columns, of_word, first, predecessors, initial, final = _graph(flat, starts, owners)
    cost, path = _viterbi(values, columns, first, predecessors, initial, final)
    if not np.isfinite(cost):
        return _nothing(words, IMPOSSIBLE)
    phones = _Phones(*_read_phones(values, columns, of_word, path))
    return Alignment(float(cost), np.bincount(phones.word, phones.cost, len(words)).astype(np.float64), phones, units)


def _nothing(words: Sequence[Sequence[Pronunciation]], cost: float) -> Alignment:
    return Alignment(cost, np.zeros(len(words)))


def _flat(words: Sequence[Sequence[Pronunciation]], units: Units) -> tuple[npt.NDArray[np.int64], ...]:
    """Return (columns of all phones, where each pronunciation starts [V + 1], the word of each [V])."""
    columns, starts, owners, ids = [], [0], [], units.ids
    for number, variants in enumerate(words):
        for pronunciation in variants:
            if pronunciation:
                columns += [ids[phone] + 1 for phone in pronunciation]
                starts.append(len(columns))
                owners.append(number)
    return np.array(columns, np.int64), np.array(starts, np.int64), np.array(owners, np.int64)


@numba.njit(cache=True)
def _read_phones(log_probs, columns, words, path):  # type: ignore[no-untyped-def]
    """Return (word, column, first frame, frame after the last, cost) of each phone on the path, each [N]."""
    frames = len(path)
    owner, column = np.empty(frames, np.int64), np.empty(frames, np.int64)
    start, end, cost = np.empty(frames, np.int64), np.empty(frames, np.int64), np.zeros(frames, np.float64)
    count, before = 0, np.float64(0.0)  # costs of blanks in front of the first phone
    for t in range(frames):
        state, spent = path[t], -np.float64(log_probs[t, columns[path[t]]])
        if words[state] >= 0 and (t == 0 or path[t - 1] != state):
            owner[count], column[count], start[count] = words[state], columns[state], t
            cost[count] = before if count == 0 else 0.0
            count += 1
        if count == 0:
            before += spent
            continue
        cost[count - 1] += spent
        if words[state] >= 0:
            end[count - 1] = t + 1
    return owner[:count], column[:count], start[:count], end[:count], cost[:count]
