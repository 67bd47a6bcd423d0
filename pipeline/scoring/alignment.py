"""Word alignment of a reference and a hypothesis, with the costs and ties of the is21_deep_bias benchmark.

U-WER and B-WER depend on which word an error falls on, so they depend on the alignment, not only on its cost. The
benchmark's scorer (Le et al., "Contextualized Streaming End-to-End Speech Recognition with Trie-Based Deep Biasing and
Shallow Fusion", Interspeech 2021; facebookresearch/fbai-speech, is21_deep_bias) aligns with substitutions at 4 and
insertions and deletions at 3 (the weights of NIST's sclite), and on a tie prefers the diagonal, then the insertion.
jiwer aligns at unit cost with its own ties, which puts some errors on other words: its B-WER is not the benchmark's.
"""

import dataclasses
from collections.abc import Sequence

import numba
import numpy as np
from numpy.typing import NDArray

MATCH, SUBSTITUTION, INSERTION, DELETION = 0, 1, 2, 3
_SUBSTITUTION_COST, _GAP_COST = 4, 3


@dataclasses.dataclass(frozen=True)
class Step:
    """One column of an alignment. ``reference`` is None for an insertion, ``hypothesis`` for a deletion."""

    operation: int  # MATCH, SUBSTITUTION, INSERTION or DELETION
    reference: int | None  # word index
    hypothesis: int | None  # word index


def align(reference: Sequence[str], hypothesis: Sequence[str]) -> tuple[Step, ...]:
    """Return the cheapest alignment of two word sequences, left to right; time and memory are O(N * M)."""
    ids: dict[str, int] = {}
    reference_ids = np.array([ids.setdefault(word, len(ids)) for word in reference], dtype=np.int32)
    hypothesis_ids = np.array([ids.setdefault(word, len(ids)) for word in hypothesis], dtype=np.int32)
    steps, at_reference, at_hypothesis = [], 0, 0
    for operation in _operations(reference_ids, hypothesis_ids).tolist():
        takes_reference, takes_hypothesis = operation != INSERTION, operation != DELETION
        steps.append(
            Step(operation, at_reference if takes_reference else None, at_hypothesis if takes_hypothesis else None)
        )
        at_reference += takes_reference
        at_hypothesis += takes_hypothesis
    return tuple(steps)


@numba.njit(cache=True)
def _operations(reference: NDArray[np.int32], hypothesis: NDArray[np.int32]) -> NDArray[np.uint8]:
    """Operations of the cheapest path through the [N + 1, M + 1] edit lattice, left to right."""
    rows, columns = len(reference) + 1, len(hypothesis) + 1
    came_by = np.empty((rows, columns), np.uint8)
    above = np.arange(columns) * _GAP_COST
    came_by[0, :] = INSERTION
    for i in range(1, rows):
        current = np.empty_like(above)
        current[0] = above[0] + _GAP_COST
        came_by[i, 0] = DELETION
        for j in range(1, columns):
            same = reference[i - 1] == hypothesis[j - 1]
            best, operation = above[j - 1], MATCH
            if not same:
                best, operation = best + _SUBSTITUTION_COST, SUBSTITUTION
            if current[j - 1] + _GAP_COST < best:
                best, operation = current[j - 1] + _GAP_COST, INSERTION
            if above[j] + _GAP_COST < best:
                best, operation = above[j] + _GAP_COST, DELETION
            current[j], came_by[i, j] = best, operation
        above = current
    return _backtrace(came_by)


@numba.njit(cache=True)
def _backtrace(came_by: NDArray[np.uint8]) -> NDArray[np.uint8]:
    i, j = came_by.shape[0] - 1, came_by.shape[1] - 1
    path = np.empty(i + j, np.uint8)
    at = i + j
    while i > 0 or j > 0:
        at -= 1
        operation = came_by[i, j]
        path[at] = operation
        if operation != INSERTION:
            i -= 1
        if operation != DELETION:
            j -= 1
    return path[at:]
