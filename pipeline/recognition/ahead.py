"""Shortlists that threads make while the GPU still encodes other utterances, so that its adapter finds them ready.

The search of a list lets go of Python's lock. Which thread makes a shortlist, and when, changes nothing in it.
"""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Self

import pyarrow as pa

from pipeline.census import Census, counting, join_counts
from pipeline.types.shortlist import Shortlist

MOST_THREADS = 4
"""Making an index of a list that is new holds Python's lock most of the time, and so do threads that only add to those
who wait for it, the one that gives the GPU its work among them (benchmarks/results/encoder.md)."""
_PIECE_ROWS = 16
Made = tuple[Shortlist | None, str | None]
"""Of one utterance: its shortlist, None for one that could not be encoded, or why there is none."""


def usable_threads() -> int:
    """Return how many threads make shortlists here: one for each core of this process, as far as that helps."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(MOST_THREADS, cores)


class Ahead:
    """Used in ``with``: threads end with it. What they count is counted where ``made`` is called."""

    def __init__(self, make: Callable[[pa.Table], list[Made]], threads: int) -> None:
        """``make``: the shortlists of EMISSIONS rows, in their order."""
        self._make, self._pool = make, ThreadPoolExecutor(threads, "shortlist")
        self._begun: list[tuple[list[int], Future[tuple[list[Made], Census]]]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(cancel_futures=True)

    def take(self, rows: Sequence[int], emissions: pa.Table) -> None:
        """Begin with the EMISSIONS rows of a table of which these are the numbers; returns at once."""
        for start in range(0, len(rows), _PIECE_ROWS):
            piece = emissions.slice(start, _PIECE_ROWS)
            self._begun.append((list(rows[start : start + _PIECE_ROWS]), self._pool.submit(self._counted, piece)))

    def made(self) -> dict[int, Made]:
        """Wait, and return what was made for each row that was taken; raises what making one raised."""
        found: dict[int, Made] = {}
        for rows, future in self._begun:
            made, census = future.result()
            join_counts(census)
            found |= zip(rows, made, strict=True)
        return found

    def _counted(self, emissions: pa.Table) -> tuple[list[Made], Census]:
        with counting() as census:
            return self._make(emissions), census
