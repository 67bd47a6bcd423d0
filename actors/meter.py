"""Counts what the workers of a run have done, for the progress display and run.json."""

import time
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import ray

from actors.counts import StageCount


@ray.remote(num_cpus=0, max_restarts=-1)
class Meter:
    """One per run. If its node dies the counts begin anew; the work does not depend on them."""

    def __init__(self) -> None:
        self._stages: dict[str, StageCount] = {}

    def add(self, stage: str, rows: int, errors: int, audio_seconds: float, busy: tuple[float, float]) -> None:
        """Count a batch; ``busy`` is when it began and ended (time.time())."""
        count = self._stages.setdefault(stage, StageCount())
        count.rows += rows
        count.errors += errors
        count.audio_seconds += audio_seconds
        count.busy_seconds += busy[1] - busy[0]
        count.first_start = min(count.first_start or busy[0], busy[0])
        count.last_end = max(count.last_end, busy[1])

    def read(self) -> dict[str, StageCount]:
        """Return the counts of every stage that has done something."""
        return self._stages


class Batch:
    """One batch of a worker: reports its time and rows to the meter, without waiting for an answer."""

    def __init__(self, meter: Any, stage: str) -> None:
        self._meter, self._stage = meter, stage

    def __enter__(self) -> "Batch":
        self._began = time.time()
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to undo: a batch that raises is not counted, and is done again."""

    def done(self, table: pa.Table) -> pa.Table:
        """Count the batch's output rows (columns ``error`` and ``duration_seconds``) and return them."""
        errors = table.num_rows - table["error"].null_count
        seconds = pc.sum(table["duration_seconds"]).as_py() or 0.0
        self._meter.add.remote(self._stage, table.num_rows, errors, seconds, (self._began, time.time()))
        return table
