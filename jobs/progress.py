"""Progress bars of a run; nothing moves where there is no terminal."""

import contextlib
import threading
from collections.abc import Iterator, Mapping
from typing import Any

import ray
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from actors.counts import StageCount

STAGES = ("encode", "decode")
_POLL_SECONDS = 0.5


@contextlib.contextmanager
def progress_bars(meter: Any, rows: int, console: Console) -> Iterator[None]:
    """Show one bar per stage out of ``rows`` until the block is left."""
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
        bars = {stage: progress.add_task(stage, total=rows, speed="starting") for stage in STAGES}
        watcher = threading.Thread(target=_watch, args=(meter, progress, bars, stop), daemon=True)
        watcher.start()
        try:
            yield
        finally:
            stop.set()
            watcher.join(timeout=5)


def _watch(meter: Any, progress: Progress, bars: Mapping[str, Any], stop: threading.Event) -> None:
    while True:
        last = stop.wait(_POLL_SECONDS)
        with contextlib.suppress(ray.exceptions.RayError):  # a busy or restarting meter is asked again
            for stage, count in ray.get(meter.read.remote(), timeout=5).items():
                progress.update(bars[stage], completed=count.rows, speed=_speed(count))
        if last:
            return


def _speed(count: StageCount) -> str:
    wall = count.last_end - count.first_start
    return f"{count.audio_seconds / wall:,.0f} x real time" if wall > 0 else ""
