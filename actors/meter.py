"""Counts what the workers of a run on Ray have done, for the progress display, run.json and Ray's metrics."""

import contextlib
import time
from collections.abc import Mapping
from typing import Any

import ray
from ray.util.metrics import Counter, Gauge

from pipeline.runs.counts import BEFORE, SUMS, StageCount, Tally

_ANSWER_SECONDS = 30.0
_answers: dict[str, Any] = {}
"""What the meter answers to this process' last batch of each stage; not waited for."""


class RunMeter:
    """The counts of one run, in an actor.

    Each sum is a metric too, ``ray_rollcall_<field>_total`` in Prometheus, tagged by stage.
    """

    def __init__(self, max_error_rate: float | None = None) -> None:
        """``max_error_rate``: share of a stage's utterances with errors above which ``add`` tells workers to stop."""
        self._tally = Tally(max_error_rate)
        tags = ("stage",)
        self._totals = {name: Counter(f"rollcall_{name}_total", about, tags) for name, about in SUMS.items()}
        self._queue = Gauge("rollcall_queue_rows", "utterances that wait for the stage", tags)

    def add(self, stage: str, batch: StageCount) -> str | None:
        """Add the count of one batch; return why the run must end, if it must."""
        for name, total in self._totals.items():
            if getattr(batch, name) > 0:
                total.inc(getattr(batch, name), {"stage": stage})
        verdict = self._tally.add(stage, batch)
        for waits in BEFORE:
            self._queue.set(self._tally.waiting(waits), {"stage": waits})
        return verdict

    def verdict(self) -> str | None:
        """Return why the run had to end, if it had to."""
        return self._tally.verdict

    def read(self) -> dict[str, StageCount]:
        """Return the counts of every stage that has done something."""
        return self._tally.stages


_Actor = ray.remote(num_cpus=0, max_restarts=-1)(RunMeter)
"""One per run. If its node dies the counts begin anew; the work does not depend on them.

Ray types no method of a handle (``ActorHandle.__getattr__`` returns Never), so that handles are Any.
"""


class RayMeter:
    """The meter of a run as its driver and its workers hold it; can be sent to them."""

    def __init__(self, max_error_rate: float | None = None) -> None:
        self._actor: Any = _Actor.remote(max_error_rate)

    def add(self, stage: str, count: StageCount) -> None:
        """Add the count of one batch, without waiting."""
        _answers[stage] = self._actor.add.remote(stage, count)

    def reason_to_stop(self, stage: str) -> str | None:
        """Return what the meter answered to an earlier batch of this process."""
        answer = _answers.get(stage)
        if answer is None or not ray.wait([answer], timeout=0)[0]:
            return None
        with contextlib.suppress(ray.exceptions.RayError):  # a meter that died says nothing
            reason: str | None = ray.get(answer)
            return reason
        return None

    def cpu_seconds(self) -> float:
        """Of the process: each worker has one of its own."""
        return time.process_time()

    def read(self, seconds: float = _ANSWER_SECONDS) -> Mapping[str, StageCount] | None:
        """Return the counts of every stage that has done something, None if no answer came in ``seconds``."""
        counts: Mapping[str, StageCount] | None = _answer(self._actor.read, seconds)
        return counts

    def verdict(self) -> str | None:
        """Return why the run had to end, if it had to; None too if no answer came."""
        reason: str | None = _answer(self._actor.verdict, _ANSWER_SECONDS)
        return reason


def _answer(method: Any, seconds: float) -> Any:
    """Return what an actor's method returns, or None if it does not answer in time."""
    try:
        return ray.get(method.remote(), timeout=seconds)
    except ray.exceptions.RayError:
        return None
