"""Counts what the workers of a run have done, for the progress display, run.json and Ray's metrics."""

import contextlib
import time
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import ray
from ray.util.metrics import Counter, Gauge

from actors.log import log_row
from pipeline.errors import RollcallError
from pipeline.runs.counts import StageCount

_SUMS = {
    "rows": "utterances done",
    "errors": "of these, with an error",
    "audio_seconds": "audio done, s",
    "busy_seconds": "worker time in batches, s",
    "cpu_seconds": "processor time in batches, s",
    "device_seconds": "time inside the acoustic model, s",
    "bytes_in": "bytes of the tables that came",
    "bytes_out": "bytes of the tables that left",
}
"""Fields of StageCount that add up; each is a metric, ``ray_rollcall_<field>_total`` in Prometheus, tagged by stage."""
_BEFORE = {"decode": "encode"}
"""The stage whose rows a stage waits for."""
_JUDGED_FROM = 100
"""Utterances of a stage before its error rate says anything."""
_answers: dict[str, Any] = {}
"""What the meter answers to this process' last batch of each stage; not waited for."""


class TooManyErrors(RollcallError):
    """The run is failing at large, and was told to end then."""

    exit_code = 1


class RunMeter:
    """The counts of one run."""

    def __init__(self, max_error_rate: float | None = None) -> None:
        """``max_error_rate``: share of a stage's utterances with errors above which ``add`` tells workers to stop."""
        self._most = max_error_rate
        self._verdict: str | None = None
        self._stages: dict[str, StageCount] = {}
        self._peaks: dict[str, int] = {}
        tags = ("stage",)
        self._totals = {name: Counter(f"rollcall_{name}_total", about, tags) for name, about in _SUMS.items()}
        self._queue = Gauge("rollcall_queue_rows", "utterances that wait for the stage", tags)

    def add(self, stage: str, batch: StageCount) -> str | None:
        """Add the count of one batch; return why the run must end, if it must."""
        count = self._stages.setdefault(stage, StageCount(first_start=batch.first_start))
        for name, total in self._totals.items():
            value = getattr(batch, name)
            setattr(count, name, getattr(count, name) + value)
            if value > 0:
                total.inc(value, {"stage": stage})
        count.first_start = min(count.first_start, batch.first_start)
        count.last_end = max(count.last_end, batch.last_end)
        self._count_queues()
        if self._most is None or count.rows < _JUDGED_FROM or count.errors <= self._most * count.rows:
            return None
        self._verdict = (
            f"{count.errors:,} of {count.rows:,} utterances have an error after '{stage}' "
            f"({count.errors / count.rows:.1%}; --max-error-rate is {self._most:.1%}). The log names each; see to the "
            "cause, then the same command with --retry-errors does them again and goes on."
        )
        return self._verdict

    def verdict(self) -> str | None:
        """Return why the run had to end, if it had to."""
        return self._verdict

    def _count_queues(self) -> None:
        for stage, before in _BEFORE.items():
            done, count = self._stages.get(before, StageCount()), self._stages.get(stage)
            waiting = max(0, done.rows - (count.rows if count else 0))
            self._peaks[stage] = max(self._peaks.get(stage, 0), waiting)
            self._queue.set(waiting, {"stage": stage})
            if count:
                count.queue, count.peak_queue = waiting, self._peaks[stage]

    def read(self) -> dict[str, StageCount]:
        """Return the counts of every stage that has done something."""
        return self._stages


Meter = ray.remote(num_cpus=0, max_restarts=-1)(RunMeter)
"""The actor, one per run. If its node dies the counts begin anew; the work does not depend on them.

Ray types no method of a handle (``ActorHandle.__getattr__`` returns Never), so that handles are Any.
"""


class Batch:
    """One batch of a worker: reports its time, rows and bytes to the meter, without waiting for an answer.

    Rows that come out with an error and did not come in with one are logged.
    """

    def __init__(self, meter: Any, stage: str, table: pa.Table) -> None:
        self._meter, self._stage, self._table = meter, stage, table

    def __enter__(self) -> "Batch":
        """Begin; raises TooManyErrors if the meter answered so to an earlier batch."""
        _stop_if_told(self._stage)
        self._began, self._cpu = time.time(), time.process_time()
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to undo: a batch that raises is not counted, and is done again."""

    def done(self, table: pa.Table, device_seconds: float = 0.0) -> pa.Table:
        """Count the batch's output rows (columns ``error`` and ``duration_seconds``) and return them."""
        ended = time.time()
        count = StageCount(
            rows=table.num_rows,
            errors=table.num_rows - table["error"].null_count,
            audio_seconds=pc.sum(table["duration_seconds"]).as_py() or 0.0,
            busy_seconds=ended - self._began,
            cpu_seconds=time.process_time() - self._cpu,
            device_seconds=device_seconds,
            bytes_in=self._table.nbytes,
            bytes_out=table.nbytes,
            first_start=self._began,
            last_end=ended,
        )
        _answers[self._stage] = self._meter.add.remote(self._stage, count)
        self._log_errors(table)
        return table

    def _log_errors(self, table: pa.Table) -> None:
        if table["error"].null_count == table.num_rows:
            return
        came = set()
        if self._stage in _BEFORE:
            failed = self._table.filter(pc.is_valid(self._table["error"]))
            came = set(failed["utterance_id"].to_pylist())
        for row in table.filter(pc.is_valid(table["error"])).select(["utterance_id", "error"]).to_pylist():
            if row["utterance_id"] not in came:
                log_row(self._stage, row["utterance_id"], row["error"])


def _stop_if_told(stage: str) -> None:
    answer = _answers.get(stage)
    if answer is None or not ray.wait([answer], timeout=0)[0]:
        return
    reason = None
    with contextlib.suppress(ray.exceptions.RayError):  # a meter that died says nothing
        reason = ray.get(answer)
    if reason is not None:
        raise TooManyErrors(reason)
