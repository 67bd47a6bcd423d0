"""The matched pairs sentence segment word error test (MAPSSWE) of two systems on the same references.

Gillick and Cox, "Some statistical issues in the comparison of speech recognition algorithms", ICASSP 1989; NIST's
sc_stats does the same. Errors that lie close together depend on each other, so what is compared are segments: runs of
reference words with an error of either system, parted by at least two words that both got right, or by the end of an
utterance. The segments are taken as independent, and the mean difference of their error counts as normal.
"""

import math
from collections.abc import Iterator, Sequence

import numpy as np

from pipeline.scoring.alignment import MATCH, align
from pipeline.scoring.metrics import GROUPS
from pipeline.scoring.score import ScoreResult, UtteranceScore

_APART = 2  # words right in both systems that part two segments, as in sc_stats
_U, _B = 0, 1
_SIDES = {"wer": (_U, _B), "u_wer": (_U,), "b_wer": (_B,)}


def matched_pairs(first: ScoreResult, second: ScoreResult) -> dict[str, float | None]:
    """Return the two-sided p-value of "no difference" for WER, U-WER and B-WER; None where nothing can be said.

    Both must have been scored on the same references.
    """
    pairs = zip(first.utterances, second.utterances, strict=True)
    segments = [segment for before, after in pairs for segment in segments_of(before, after)]
    return {group: _p_value(segments, _SIDES[group]) for group in GROUPS}


Segment = tuple[tuple[int, int], tuple[int, int]]
"""Errors of the first and the second system in one segment, each as (U, B)."""


def segments_of(first: UtteranceScore, second: UtteranceScore) -> list[Segment]:
    """Return the segments of one utterance, left to right."""
    slots = _errors_by_slot(first), _errors_by_slot(second)
    wrong = sorted(set(slots[0]) | set(slots[1]))
    return [(_sum(slots[0], run), _sum(slots[1], run)) for run in _runs(wrong)]


def _errors_by_slot(utterance: UtteranceScore) -> dict[int, list[int]]:
    """Errors as [U, B] by where they are: word i of the reference is slot 2 i + 1, the gap before it slot 2 i."""
    words, biased = utterance.hypothesis.split(), utterance.biased
    slots: dict[int, list[int]] = {}
    gap = 0
    for step in align(utterance.reference.split(), words):
        if step.reference is not None:
            slot, side = 2 * step.reference + 1, step.reference in biased.positions
            gap = slot + 1
        else:
            slot, side = gap, step.hypothesis is not None and words[step.hypothesis] in biased.words
        if step.operation != MATCH:
            slots.setdefault(slot, [0, 0])[_B if side else _U] += 1
    return slots


def _runs(slots: Sequence[int]) -> Iterator[list[int]]:
    """Split sorted slots where at least _APART words, odd slots all, lie between two of them."""
    run: list[int] = []
    for slot in slots:
        if run and slot // 2 - (run[-1] + 1) // 2 >= _APART:
            yield run
            run = []
        run.append(slot)
    if run:
        yield run


def _sum(slots: dict[int, list[int]], run: Sequence[int]) -> tuple[int, int]:
    counted = [slots[slot] for slot in run if slot in slots]
    return sum(count[_U] for count in counted), sum(count[_B] for count in counted)


def _p_value(segments: Sequence[Segment], sides: Sequence[int]) -> float | None:
    """Return the p-value over the segments that have an error of these sides, from z = mean / (deviation / sqrt(n)).

    Where every segment differs alike the deviation says nothing, and the sign test is taken.
    """
    errors = [(sum(a[side] for side in sides), sum(b[side] for side in sides)) for a, b in segments]
    change = np.array([b - a for a, b in errors if a or b], dtype=np.float64)
    if len(change) < 2 or not np.any(change):
        return None
    deviation = float(np.std(change, ddof=1))
    if deviation == 0:
        return float(2.0 ** (1 - len(change)))
    return math.erfc(abs(float(np.mean(change))) * math.sqrt(len(change)) / deviation / math.sqrt(2))
