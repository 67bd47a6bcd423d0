"""Many-to-many alignment of letters and phones by expectation maximisation.

A graphone is one or two letters that say up to two phones (Bisani and Ney 2008; the restriction that not both sides
are longer than one is that of Phonetisaurus, Novak et al. 2012).
"""

import dataclasses

import numba
import numpy as np
import numpy.typing as npt

from pipeline.lexicon.g2p import LETTERS

NO_LETTER = len(LETTERS)
NO_PHONE = 39
_LETTER_SPANS = (NO_LETTER + 1) ** 2
_PHONE_SPANS = (NO_PHONE + 1) ** 2


@dataclasses.dataclass(frozen=True)
class Pairs:
    """Words and pronunciations, flat: pair i has letters[letter_starts[i] : letter_starts[i + 1]], likewise phones."""

    letters: npt.NDArray[np.int64]
    letter_starts: npt.NDArray[np.int64]
    phones: npt.NDArray[np.int64]
    phone_starts: npt.NDArray[np.int64]


def flatten(words: list[npt.NDArray[np.int64]], pronunciations: list[npt.NDArray[np.int64]]) -> Pairs:
    """Put arrays of letter ids and phone ids end to end."""
    letter_starts = np.cumsum([0, *map(len, words)])
    phone_starts = np.cumsum([0, *map(len, pronunciations)])
    return Pairs(np.concatenate(words), letter_starts, np.concatenate(pronunciations), phone_starts)


@numba.njit(cache=True)
def _letter_span(letters, i, di):  # type: ignore[no-untyped-def]
    """Id of the span of ``di`` letters that ends before ``i``."""
    first = letters[i - di]
    second = letters[i - 1] if di == 2 else 27
    return first * 28 + second


@numba.njit(cache=True)
def _phone_span(phones, j, dj):  # type: ignore[no-untyped-def]
    if dj == 0:
        return 39 * 40 + 39
    first = phones[j - dj]
    second = phones[j - 1] if dj == 2 else 39
    return first * 40 + second


@numba.njit(cache=True)
def _allowed(di, dj):  # type: ignore[no-untyped-def]
    return di == 1 or dj == 1


@numba.njit(cache=True)
def _expect(letters, phones, table, counts):  # type: ignore[no-untyped-def]
    """Add one pair's expected graphone counts (forward-backward over the alignment lattice); return its likelihood."""
    n, m = len(letters), len(phones)
    forward = np.zeros((n + 1, m + 1))
    backward = np.zeros((n + 1, m + 1))
    forward[0, 0] = backward[n, m] = 1.0
    for i in range(1, n + 1):
        for j in range(m + 1):
            for di in range(1, min(2, i) + 1):
                for dj in range(min(2, j) + 1):
                    if _allowed(di, dj):
                        weight = table[_letter_span(letters, i, di), _phone_span(phones, j, dj)]
                        forward[i, j] += forward[i - di, j - dj] * weight
    total = forward[n, m]
    if total <= 0.0:
        return total
    for i in range(n, 0, -1):
        for j in range(m, -1, -1):
            if backward[i, j] == 0.0:
                continue
            for di in range(1, min(2, i) + 1):
                for dj in range(min(2, j) + 1):
                    if _allowed(di, dj):
                        s, p = _letter_span(letters, i, di), _phone_span(phones, j, dj)
                        flow = backward[i, j] * table[s, p]
                        backward[i - di, j - dj] += flow
                        counts[s, p] += forward[i - di, j - dj] * flow / total
    return total


@numba.njit(cache=True)
def _pass(letters, letter_starts, phones, phone_starts, table, counts):  # type: ignore[no-untyped-def]
    log_likelihood = 0.0
    for k in range(len(letter_starts) - 1):
        word = letters[letter_starts[k] : letter_starts[k + 1]]
        sound = phones[phone_starts[k] : phone_starts[k + 1]]
        total = _expect(word, sound, table, counts)
        if total > 0.0:
            log_likelihood += np.log(total)
    return log_likelihood


def estimate(pairs: Pairs, rounds: int = 12) -> npt.NDArray[np.float64]:
    """Return the joint probability of every letter span and phone span, [784, 1600]."""
    table = np.full((_LETTER_SPANS, _PHONE_SPANS), 1.0 / _PHONE_SPANS)
    for _ in range(rounds):
        counts = np.zeros_like(table)
        _pass(pairs.letters, pairs.letter_starts, pairs.phones, pairs.phone_starts, table, counts)
        table = counts / counts.sum()
    return table


@numba.njit(cache=True)
def _best_path(letters, phones, table):  # type: ignore[no-untyped-def]
    """Most probable alignment as rows (letter span, phone span); empty if there is none."""
    n, m = len(letters), len(phones)
    best = np.full((n + 1, m + 1), -np.inf)
    step = np.zeros((n + 1, m + 1), np.int64)
    best[0, 0] = 0.0
    for i in range(1, n + 1):
        for j in range(m + 1):
            for di in range(1, min(2, i) + 1):
                for dj in range(min(2, j) + 1):
                    weight = table[_letter_span(letters, i, di), _phone_span(phones, j, dj)]
                    if _allowed(di, dj) and weight > 0.0 and best[i - di, j - dj] + np.log(weight) > best[i, j]:
                        best[i, j] = best[i - di, j - dj] + np.log(weight)
                        step[i, j] = di * 3 + dj
    path = np.zeros((n, 2), np.int64)
    if best[n, m] == -np.inf:
        return path[:0]
    i, j, count = n, m, 0
    while i > 0:
        di, dj = step[i, j] // 3, step[i, j] % 3
        path[count, 0], path[count, 1] = _letter_span(letters, i, di), _phone_span(phones, j, dj)
        i, j, count = i - di, j - dj, count + 1
    return path[:count][::-1]


def align(pairs: Pairs, table: npt.NDArray[np.float64]) -> list[npt.NDArray[np.int64]]:
    """Return each pair's best alignment as rows (letter span, phone span); empty where none exists."""
    paths = []
    for k in range(len(pairs.letter_starts) - 1):
        word = pairs.letters[pairs.letter_starts[k] : pairs.letter_starts[k + 1]]
        sound = pairs.phones[pairs.phone_starts[k] : pairs.phone_starts[k + 1]]
        paths.append(_best_path(word, sound, table))
    return paths


def phones_of(span: int) -> tuple[int, ...]:
    """Phone ids of a phone span."""
    return tuple(part for part in divmod(span, NO_PHONE + 1) if part != NO_PHONE)
