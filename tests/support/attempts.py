"""Runs that are killed and begun again, what a reader sees meanwhile, and how two runs differ."""

import contextlib
import subprocess
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

_ATTEMPTS = 5  # of one command, before the round counts as failed


PATIENCE = 600.0  # seconds for one attempt on a loaded machine


_SHOWN = 10_000  # last characters of what a command said that failed


class Attempt:
    """A run of the command, started again for as long as it fails and attempts are left.

    start: starts the command with its stderr in the file that is given
    """

    def __init__(self, start: Callable[[IO[bytes]], subprocess.Popen[bytes]]) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115, closed with this object
        self._start, self._process, self.number = start, start(self._errors), 1

    def kill(self) -> None:
        """SIGKILL the driver, and start the command again."""
        self._process.kill()
        self._ended()

    def wait(self, condition: Callable[[], bool]) -> None:
        """Wait until ``condition`` holds while the command runs."""
        deadline = time.monotonic() + PATIENCE
        while not condition():
            if self._process.poll() is not None and not self._ended():
                raise RuntimeError("the run was complete before the moment of the kill; give it a larger corpus.")
            if time.monotonic() > deadline:
                raise RuntimeError(f"nothing came within {PATIENCE:.0f} s. It said {self._said()!r}")
            time.sleep(0.02)

    def finish(self) -> None:
        """Wait until the command has succeeded."""
        while self._ended():
            pass

    def _ended(self) -> bool:
        """Wait for the end of the process; return whether it failed and another was started."""
        if self._process.wait(timeout=PATIENCE) == 0:
            return False
        if self.number == _ATTEMPTS:
            raise RuntimeError(f"{_ATTEMPTS} attempts failed, the last with {self._said()!r}")
        self._process, self.number = self._start(self._errors), self.number + 1
        return True

    def _said(self) -> str:
        self._errors.seek(0)
        return self._errors.read().decode(errors="replace")[-_SHOWN:]


def compare(expected: list[dict[str, Any]], rows: list[dict[str, Any]], texts: bool = False) -> dict[str, int]:
    """Return how many rows are lost, repeated and differing; those that nobody expected count as differing.

    texts: only their texts and errors are compared, as on GPUs the last bits may differ
    """
    if texts:
        kept = ("utterance_id", "text", "error")
        expected, rows = ([{name: row[name] for name in kept} for row in table] for table in (expected, rows))
    wanted = {row["utterance_id"]: row for row in expected}
    counts = Counter(row["utterance_id"] for row in rows)
    return {
        "lost": len(wanted.keys() - counts.keys()),
        "repeated": len(rows) - len(counts),
        "differing": sum(row != wanted.get(row["utterance_id"]) for row in rows),
    }


def read_rows(output: Path) -> list[dict[str, Any]]:
    """Return all transcripts of the one run below ``output``."""
    return [row for file in transcript_files(output) for row in pq.read_table(file).to_pylist()]


def transcript_files(output: Path) -> list[Path]:
    """Return what a reader finds there now."""
    return sorted(output.glob("*/transcripts/*.parquet"))


@contextlib.contextmanager
def watched(output: Path) -> Iterator[Counter[str]]:
    """Read every file that appears until the block is left; counts ``whole`` and ``partial`` ones."""
    seen: Counter[str] = Counter()
    stop = threading.Event()
    reader = threading.Thread(target=_read_until, args=(stop, output, seen))
    reader.start()
    try:
        yield seen
    finally:
        stop.set()
        reader.join()


def _read_until(stop: threading.Event, output: Path, seen: Counter[str]) -> None:
    known: set[Path] = set()
    while not stop.wait(0.02):
        for file in set(transcript_files(output)) - known:
            known.add(file)
            with contextlib.suppress(FileNotFoundError):  # a new attempt takes back what was not committed
                seen["whole" if _is_whole(file) else "partial"] += 1


def _is_whole(file: Path) -> bool:
    try:
        return bool(pq.read_table(file).num_rows)
    except (pa.ArrowInvalid, OSError) as error:
        if isinstance(error, FileNotFoundError):
            raise
        return False
