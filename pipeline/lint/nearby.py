"""Which pronunciations of many sound nearly like another: weighted edit distance down a trie.

The distance is that of pipeline.lexicon.phone_index: weighted Levenshtein over the phones of the longer side. All
pronunciations stand in one trie, so what begins alike is compared once; a branch is left as soon as no pronunciation
in it can come within the limit (Shang and Merrettal, "Tries for approximate string matching", 1996).
"""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numba
import numpy as np
import numpy.typing as npt

from pipeline.lexicon.phones import PHONE_IDS, Pronunciation, gap_costs, substitution_costs
from pipeline.trie import build_trie

_FIRST_CODE = ord("A")  # phones as characters of a trie
_MOST = 8  # nearest pronunciations that are kept of each
_PER_THREAD = 2_000  # searches, about half a second, from which a further thread is worth its start
Near = tuple[float, int]
"""Distance, 0 equal to 1 unrelated, and index of the sound."""


class SoundTrie:
    """Different pronunciations, searched together."""

    def __init__(self, pronunciations: Sequence[Pronunciation]) -> None:
        """``pronunciations`` may repeat and may be empty; results are indices into their sorted set, ``sounds``."""
        spelled = {_codes(one): one for one in pronunciations if one}
        self.sounds = [spelled[code] for code in sorted(spelled)]
        trie = build_trie(sorted(spelled))
        self._trie = (trie.first, (trie.label - _FIRST_CODE).astype(np.int32), trie.terminal, trie.depth)
        self._deepest = _deepest(trie.first, trie.terminal, trie.depth)
        self._costs = substitution_costs().astype(np.float64), gap_costs().astype(np.float64)

    def near(self, heard: Sequence[Pronunciation], limit: float) -> list[list[Near]]:
        """Return for each of ``heard`` at most 8 sounds within ``limit``, nearest first; uses all cores for many."""
        if not heard or not self.sounds:
            return [[] for _ in heard]
        threads = min(available_cores(), -(-len(heard) // _PER_THREAD))
        size = -(-len(heard) // threads)
        chunks = [heard[at : at + size] for at in range(0, len(heard), size)]
        with ThreadPoolExecutor(threads) as pool:  # the compiled search lets go of Python's lock
            return [one for chunk in pool.map(lambda part: self._search(part, limit), chunks) for one in chunk]

    def _search(self, heard: Sequence[Pronunciation], limit: float) -> list[list[Near]]:
        flat = np.array([PHONE_IDS[phone] for one in heard for phone in one], np.int64)
        starts = np.cumsum([0, *map(len, heard)])
        counts, found, apart = _near_all(*self._trie, self._deepest, flat, starts, *self._costs, limit, _MOST)
        indices, distances = found.tolist(), apart.tolist()
        return [
            sorted(zip(distances[k][:count], indices[k][:count], strict=True)) if count else []
            for k, count in enumerate(counts.tolist())
        ]


def distance(first: Pronunciation, second: Pronunciation) -> float:
    """Return how far two pronunciations are apart, 0 equal to 1 unrelated."""
    (near,) = SoundTrie([second]).near([first], 1.0)
    return near[0][0] if near else 1.0


def available_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _codes(pronunciation: Pronunciation) -> str:
    return "".join(chr(_FIRST_CODE + PHONE_IDS[phone]) for phone in pronunciation)


def _deepest(
    first: npt.NDArray[np.int32], terminal: npt.NDArray[np.int32], depth: npt.NDArray[np.int32]
) -> npt.NDArray[np.int32]:
    """[N] phones of the longest pronunciation below each node; children have higher numbers than their parents."""
    deepest = np.where(terminal >= 0, depth, 0).astype(np.int32)
    parent = np.repeat(np.arange(len(depth)), np.diff(first))
    for node in range(len(depth) - 1, 0, -1):
        deepest[parent[node - 1]] = max(deepest[parent[node - 1]], deepest[node])
    return deepest


@numba.njit(cache=True, nogil=True)
def _near(first, label, terminal, depth, deepest, heard, substitution, gap, limit, most):  # type: ignore[no-untyped-def]
    """Return (indices, distances) of the ``most`` nearest pronunciations within ``limit``; row r of ``rows`` is that of
    the node at depth r of the current path, [len(heard) + 1] costs against each beginning of ``heard``."""
    size = len(heard)
    rows = np.empty((deepest[0] + 1, size + 1))
    rows[0, 0] = 0.0
    for j in range(size):
        rows[0, j + 1] = rows[0, j] + gap[heard[j]]
    at, stop = np.empty(deepest[0] + 1, np.int64), np.empty(deepest[0] + 1, np.int64)
    at[0], stop[0], level = first[0], first[1], 0
    found, distances, count = np.empty(most, np.int64), np.empty(most), 0
    while level >= 0:
        if at[level] == stop[level]:
            level -= 1
            continue
        node = at[level]
        at[level] += 1
        below, above = rows[level + 1], rows[level]
        said = label[node]
        below[0] = above[0] + gap[said]
        lowest = below[0]
        for j in range(size):
            best = min(above[j + 1] + gap[said], below[j] + gap[heard[j]])
            below[j + 1] = min(best, above[j] + substitution[said, heard[j]])
            lowest = min(lowest, below[j + 1])
        if lowest > limit * max(deepest[node], size):
            continue
        if terminal[node] >= 0:
            apart = below[size] / max(depth[node], size)
            if apart <= limit:
                place = count if count < most else np.argmax(distances)
                if count < most or apart < distances[place]:
                    found[place], distances[place] = terminal[node], apart
                    count = min(count + 1, most)
        if first[node] < first[node + 1]:
            level += 1
            at[level], stop[level] = first[node], first[node + 1]
    return found[:count], distances[:count]


@numba.njit(cache=True, nogil=True)
def _near_all(  # type: ignore[no-untyped-def]
    first, label, terminal, depth, deepest, flat, starts, substitution, gap, limit, most
):
    """_near for every flat[starts[k] : starts[k + 1]]: (how many were found, indices [K, most], distances)."""
    size = len(starts) - 1
    counts, found, distances = np.zeros(size, np.int64), np.zeros((size, most), np.int64), np.zeros((size, most))
    for k in range(size):
        heard = flat[starts[k] : starts[k + 1]]
        if len(heard) == 0:
            continue
        some, apart = _near(first, label, terminal, depth, deepest, heard, substitution, gap, limit, most)
        counts[k] = len(some)
        found[k, : len(some)], distances[k, : len(some)] = some, apart
    return counts, found, distances
