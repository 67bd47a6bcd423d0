"""Progress bars of a run; nothing moves where there is no terminal."""

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from pipeline.runs.counts import StageCount

STAGES = ("audio", "encode", "decode")
_POLL_SECONDS = 0.5
Counts = Callable[[], Mapping[str, StageCount] | None]
"""Returns the counts of every stage at present; None where there is no answer now, which is asked for again."""


@contextlib.contextmanager
def progress_bars(
    read: Counts, rows: int, console: Console, workers: Mapping[str, int] | None = None
) -> Iterator[None]:
    """Show one bar per stage out of ``rows`` until the block is left; ``workers`` of each stage, where known."""
    if not console.is_terminal:
        yield
        return
    columns = [
        TextColumn("{task.description:>7}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[speed]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    ]
    stop = threading.Event()
    with Progress(*columns, console=console) as progress:
        shown = [stage for stage in STAGES if stage != "audio" or stage in (workers or {})]
        bars = {stage: progress.add_task(stage, total=rows, speed="starting") for stage in shown}
        watcher = threading.Thread(target=_watch, args=(read, progress, bars, stop, workers or {}), daemon=True)
        watcher.start()
        try:
            yield
        finally:
            stop.set()
            watcher.join(timeout=5)


def _watch(
    read: Counts, progress: Progress, bars: Mapping[str, TaskID], stop: threading.Event, workers: Mapping[str, int]
) -> None:
    while True:
        last = stop.wait(_POLL_SECONDS)
        for stage, count in (read() or {}).items():
            progress.update(bars[stage], completed=count.rows, speed=speed(count, workers.get(stage, 1)))
        if last:
            return


def speed(count: StageCount, workers: int) -> str:
    """Return what a stage does at present, in as many words as fit beside a bar."""
    wall = count.last_end - count.first_start
    if wall <= 0 or not count.first_start:
        return "starting"
    parts = [f"{count.audio_seconds / wall:,.0f} x real time", f"{count.rows / wall:,.1f} rows/s"]
    parts.append(f"{count.audio_seconds / 3600 / wall:.3f} audio h/s")
    parts.append(f"busy {min(1.0, count.busy_seconds / (wall * workers)):.0%}")
    if count.queue:
        parts.append(f"{count.queue:,} rows waiting")
    return ", ".join([*parts, f"{count.bytes_in / 1e6:,.0f} MB in"])
