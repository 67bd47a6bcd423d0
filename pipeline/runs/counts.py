"""What the stages of a run have done so far. Apart from who counts, so that counting needs no Ray."""

import dataclasses
from collections.abc import Mapping

from pipeline.census import Census

SUMS: Mapping[str, str] = {
    "rows": "utterances done",
    "errors": "of these, with an error",
    "audio_seconds": "audio done, s",
    "busy_seconds": "worker time in batches, s",
    "cpu_seconds": "processor time in batches, s",
    "device_seconds": "time inside the acoustic model, s",
    "device_batches": "batches of the acoustic model",
    "padded_seconds": "audio in these, padding included, s",
    "bytes_in": "bytes of the tables that came",
    "bytes_out": "bytes of the tables that left",
}
"""Fields of StageCount that add up, and what each is."""
BEFORE: Mapping[str, str] = {"encode": "audio", "decode": "encode"}
"""The stage whose rows a stage waits for; where encoders read audio themselves there is no ``audio``."""
_JUDGED_FROM = 100
"""Utterances of a stage before its error rate says anything."""


@dataclasses.dataclass
class StageCount:
    """What one stage has done so far, over all of its workers."""

    rows: int = 0
    errors: int = 0
    audio_seconds: float = 0.0
    busy_seconds: float = 0.0  # summed over workers
    cpu_seconds: float = 0.0  # processor time of the workers during their batches
    device_seconds: float = 0.0  # inside the acoustic model, on a GPU or a core; 0 for stages without one
    device_batches: int = 0
    padded_seconds: float = 0.0  # of audio in these batches, each as long as its longest
    bytes_in: int = 0  # of the Arrow tables that came
    bytes_out: int = 0
    queue: int = 0  # rows that the stage before has done and this one has not
    peak_queue: int = 0
    first_start: float = 0.0  # time.time() at the start of the first batch; 0 before it
    last_end: float = 0.0
    census: Census = dataclasses.field(default_factory=Census)  # of the steps inside


class Tally:
    """The counts of every stage, and whether so many rows have an error that the run must end."""

    def __init__(self, max_error_rate: float | None = None) -> None:
        """``max_error_rate``: share of a stage's utterances with errors above which the run must end."""
        self.stages: dict[str, StageCount] = {}
        self.verdict: str | None = None
        self._most = max_error_rate
        self._peaks: dict[str, int] = {}

    def add(self, stage: str, batch: StageCount) -> str | None:
        """Add the count of one batch; return why the run must end, if it must."""
        count = self.stages.setdefault(stage, StageCount(first_start=batch.first_start))
        for name in SUMS:
            setattr(count, name, getattr(count, name) + getattr(batch, name))
        count.census.join(batch.census)
        count.first_start = min(count.first_start, batch.first_start)
        count.last_end = max(count.last_end, batch.last_end)
        self._count_queues()
        if self._most is None or count.rows < _JUDGED_FROM or count.errors <= self._most * count.rows:
            return None
        self.verdict = (
            f"{count.errors:,} of {count.rows:,} utterances have an error after '{stage}' "
            f"({count.errors / count.rows:.1%}; --max-error-rate is {self._most:.1%}). The log names each; see to the "
            "cause, then the same command with --retry-errors does them again and goes on."
        )
        return self.verdict

    def waiting(self, stage: str) -> int:
        """Return how many rows wait for a stage."""
        done, count = self.stages.get(BEFORE[stage], StageCount()), self.stages.get(stage)
        return max(0, done.rows - (count.rows if count else 0))

    def _count_queues(self) -> None:
        for stage in BEFORE:
            waiting, count = self.waiting(stage), self.stages.get(stage)
            self._peaks[stage] = max(self._peaks.get(stage, 0), waiting)
            if count:
                count.queue, count.peak_queue = waiting, self._peaks[stage]
