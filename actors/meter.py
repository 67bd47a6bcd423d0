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

    def add(self, stage: str, batch: StageCount) -> None:
        """Add the count of one batch."""
        count = self._stages.setdefault(stage, StageCount(first_start=batch.first_start))
        count.rows += batch.rows
        count.errors += batch.errors
        count.audio_seconds += batch.audio_seconds
        count.busy_seconds += batch.busy_seconds
        count.cpu_seconds += batch.cpu_seconds
        count.first_start = min(count.first_start, batch.first_start)
        count.last_end = max(count.last_end, batch.last_end)

    def read(self) -> dict[str, StageCount]:
        """Return the counts of every stage that has done something."""
        return self._stages


class Batch:
    """One batch of a worker: reports its time and rows to the meter, without waiting for an answer."""

    def __init__(self, meter: Any, stage: str) -> None:
        self._meter, self._stage = meter, stage

    def __enter__(self) -> "Batch":
        self._began, self._cpu = time.time(), time.process_time()
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to undo: a batch that raises is not counted, and is done again."""

    def done(self, table: pa.Table) -> pa.Table:
        """Count the batch's output rows (columns ``error`` and ``duration_seconds``) and return them."""
        ended = time.time()
        count = StageCount(
            rows=table.num_rows,
            errors=table.num_rows - table["error"].null_count,
            audio_seconds=pc.sum(table["duration_seconds"]).as_py() or 0.0,
            busy_seconds=ended - self._began,
            cpu_seconds=time.process_time() - self._cpu,
            first_start=self._began,
            last_end=ended,
        )
        self._meter.add.remote(self._stage, count)
        return table
