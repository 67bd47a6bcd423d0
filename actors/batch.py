"""One batch of one stage, counted: the same wherever the stage runs. Needs no Ray."""

import threading
import time
from collections.abc import Mapping
from typing import Protocol

import pyarrow as pa
import pyarrow.compute as pc

from actors.log import log_row
from pipeline.census import counting
from pipeline.errors import RollcallError
from pipeline.recognition.encode import DeviceWork
from pipeline.runs.counts import BEFORE, StageCount, Tally

_NONE = DeviceWork()


class TooManyErrors(RollcallError):
    """The run is failing at large, and was told to end then."""

    exit_code = 1


class Meter(Protocol):
    """What a stage tells of its batches, and asks before each: an object of this process, or an actor's client."""

    def add(self, stage: str, count: StageCount) -> None:
        """Add the count of one batch."""

    def reason_to_stop(self, stage: str) -> str | None:
        """Return why the run must end, if that is known by now."""

    def cpu_seconds(self) -> float:
        """Return the processor time that the worker has used so far, to be held against a later answer."""


class LocalMeter:
    """Counts the batches of the threads of this process, each of which is a worker."""

    def __init__(self, max_error_rate: float | None = None) -> None:
        self._tally, self._lock = Tally(max_error_rate), threading.Lock()

    def add(self, stage: str, count: StageCount) -> None:
        """Add the count of one batch."""
        with self._lock:
            self._tally.add(stage, count)

    def reason_to_stop(self, stage: str) -> str | None:
        """Return why the run must end, whatever stage it failed in."""
        return self._tally.verdict

    def cpu_seconds(self) -> float:
        """Of the calling thread."""
        return time.thread_time()

    def read(self) -> Mapping[str, StageCount]:
        """Return the counts of every stage that has done something."""
        with self._lock:
            return dict(self._tally.stages)


class Batch:
    """One batch of a worker: reports its time, rows and bytes to the meter, without waiting for an answer.

    Rows that come out with an error and did not come in with one are logged.
    """

    def __init__(self, meter: Meter, stage: str, table: pa.Table) -> None:
        self._meter, self._stage, self._table = meter, stage, table

    def __enter__(self) -> "Batch":
        """Begin; raises TooManyErrors if the meter has a reason to stop."""
        reason = self._meter.reason_to_stop(self._stage)
        if reason is not None:
            raise TooManyErrors(reason)
        self._began, self._cpu = time.time(), self._meter.cpu_seconds()
        self._counting = counting()
        self._census = self._counting.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        """A batch that raises is not counted, and is done again."""
        self._counting.__exit__(None, None, None)

    def done(self, table: pa.Table, device: DeviceWork = _NONE) -> pa.Table:
        """Count the batch's output rows (columns ``error`` and ``duration_seconds``) and return them."""
        ended = time.time()
        count = StageCount(
            rows=table.num_rows,
            errors=table.num_rows - table["error"].null_count,
            audio_seconds=pc.sum(table["duration_seconds"]).as_py() or 0.0,
            busy_seconds=ended - self._began,
            cpu_seconds=self._meter.cpu_seconds() - self._cpu,
            device_seconds=device.seconds,
            device_batches=device.batches,
            padded_seconds=device.padded_seconds,
            bytes_in=self._table.nbytes,
            bytes_out=table.nbytes,
            first_start=self._began,
            last_end=ended,
            census=self._census,
        )
        self._meter.add(self._stage, count)
        self._log_errors(table)
        return table

    def _log_errors(self, table: pa.Table) -> None:
        if table["error"].null_count == table.num_rows:
            return
        came = set()
        if self._stage in BEFORE and "audio" not in self._table.column_names:  # of AUDIO rows nobody has told yet
            failed = self._table.filter(pc.is_valid(self._table["error"]))
            came = set(failed["utterance_id"].to_pylist())
        for row in table.filter(pc.is_valid(table["error"])).select(["utterance_id", "error"]).to_pylist():
            if row["utterance_id"] not in came:
                log_row(self._stage, row["utterance_id"], row["error"])
