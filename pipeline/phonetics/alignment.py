"""Forced alignment of words, each with several pronunciations, to the phone head's CTC output.

The words become one graph of CTC states: a blank between words, and per pronunciation the chain of its phones with
optional blanks between them (Graves et al. 2006, section 4.1). Viterbi over that graph chooses the pronunciations and
the times at once. Costs are negative log-probabilities in nats, natural units of the phone head.
"""

import dataclasses
from collections.abc import Sequence

import numba
import numpy as np
import numpy.typing as npt

from pipeline.errors import InputError
from pipeline.phonetics.phones import PHONE_IDS, Pronunciation

IMPOSSIBLE = 1e9
"""Cost of an alignment that does not fit, in nats: more phones than frames."""


@dataclasses.dataclass(frozen=True)
class AlignedPhone:
    """One phone on the best path; frames are half-open, blanks after it belong to its cost but not to its span."""

    phone: str
    start_frame: int
    end_frame: int
    cost: float


@dataclasses.dataclass(frozen=True)
class AlignedWord:
    """One word on the best path; ``cost`` is the sum over its phones. A word without sound has none and no length."""

    phones: tuple[AlignedPhone, ...]
    start_frame: int
    end_frame: int
    cost: float


@dataclasses.dataclass(frozen=True)
class Alignment:
    """Best path of a word sequence; ``cost`` is the negative log-probability of all frames on it.

    The costs of the words add up to ``cost``; blanks before the first phone belong to the first word with sound.
    """

    cost: float
    words: tuple[AlignedWord, ...]


@dataclasses.dataclass(frozen=True)
class _Graph:
    """CTC states. Rows of ``predecessors`` for state s are first[s] to first[s + 1]; a state follows itself too."""

    columns: npt.NDArray[np.int64]  # column of the log-probs, 0 blank
    words: npt.NDArray[np.int64]  # word of a phone state, -1 for blanks
    first: npt.NDArray[np.int64]
    predecessors: npt.NDArray[np.int64]
    initial: npt.NDArray[np.int64]
    final: npt.NDArray[np.int64]


class _Builder:
    def __init__(self) -> None:
        self.columns: list[int] = [0]
        self.words: list[int] = [-1]
        self.before: list[list[int]] = [[]]

    def add(self, column: int, word: int, before: list[int]) -> int:
        self.columns.append(column)
        self.words.append(word)
        self.before.append([state for state in before if column == 0 or self.columns[state] != column])
        return len(self.columns) - 1

    def chain(self, word: int, pronunciation: Pronunciation, before: list[int]) -> int:
        """Add one pronunciation after the states ``before``; return its last phone's state."""
        for number, phone in enumerate(pronunciation):
            if number:
                before = [before[0], self.add(0, -1, [before[0]])]
            before = [self.add(PHONE_IDS[phone] + 1, word, before)]
        return before[0]


def _build(words: Sequence[Sequence[Pronunciation]]) -> _Graph:
    builder = _Builder()
    ends = [0]  # states that a next word may follow: first the leading blank
    initial = [0]
    for number, variants in enumerate(words):
        said = [pronunciation for pronunciation in variants if pronunciation]
        if not said:
            continue
        size = len(builder.columns)
        lasts = [builder.chain(number, pronunciation, ends) for pronunciation in said]
        if ends == [0]:
            initial += [state for state in range(size, len(builder.columns)) if 0 in builder.before[state]]
        ends = [*lasts, builder.add(0, -1, lasts)]
    first = np.cumsum([0, *map(len, builder.before)])
    flat = np.array([state for before in builder.before for state in before], np.int64)
    columns, owners = np.array(builder.columns, np.int64), np.array(builder.words, np.int64)
    return _Graph(columns, owners, first, flat, np.array(initial, np.int64), np.array(ends, np.int64))


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


def align_words(log_probs: npt.NDArray[np.float32], words: Sequence[Sequence[Pronunciation]]) -> Alignment:
    """Align ``words``, each a sequence of alternative pronunciations, to [T, 40] log-probs (column 0 blank).

    A word with no pronunciation takes no time. Where the words do not fit into T frames the cost is IMPOSSIBLE.
    Raises InputError if the log-probs do not have the columns of a phone head.
    """
    if log_probs.ndim != 2 or log_probs.shape[1] != len(PHONE_IDS) + 1:
        raise InputError(f"phone log-probs must be [T, {len(PHONE_IDS) + 1}], got {list(log_probs.shape)}.")
    graph = _build(words)
    if not len(log_probs):
        return _nothing(words, 0.0 if len(graph.columns) == 1 else IMPOSSIBLE)
    values = np.ascontiguousarray(log_probs, np.float32)
    cost, path = _viterbi(values, graph.columns, graph.first, graph.predecessors, graph.initial, graph.final)
    if not np.isfinite(cost):
        return _nothing(words, IMPOSSIBLE)
    return Alignment(float(cost), _read_words(values, graph, path, len(words)))


def _nothing(words: Sequence[Sequence[Pronunciation]], cost: float) -> Alignment:
    return Alignment(cost, tuple(AlignedWord((), 0, 0, 0.0) for _ in words))


def _read_words(
    log_probs: npt.NDArray[np.float32], graph: _Graph, path: npt.NDArray[np.int64], count: int
) -> tuple[AlignedWord, ...]:
    names = {id_ + 1: phone for phone, id_ in PHONE_IDS.items()}
    frame_costs = -log_probs[np.arange(len(path)), graph.columns[path]].astype(np.float64)
    owners = graph.words[path]
    starts = [t for t in range(len(path)) if owners[t] >= 0 and (t == 0 or path[t] != path[t - 1])]
    phones: list[list[AlignedPhone]] = [[] for _ in range(count)]
    for number, start in enumerate(starts):
        following = starts[number + 1] if number + 1 < len(starts) else len(path)
        end = start + int((path[start:following] == path[start]).sum())
        cost = float(frame_costs[0 if number == 0 else start : following].sum())
        phones[owners[start]].append(AlignedPhone(names[int(graph.columns[path[start]])], start, end, cost))
    return _place_words(phones)


def _place_words(phones: list[list[AlignedPhone]]) -> tuple[AlignedWord, ...]:
    words, at = [], 0
    for found in phones:
        start = found[0].start_frame if found else at
        at = found[-1].end_frame if found else at
        words.append(AlignedWord(tuple(found), start, at, sum(phone.cost for phone in found)))
    return tuple(words)
