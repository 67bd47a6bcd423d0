"""Peak memory of jobs.transcribe against the size of the corpus: it must not grow.

    python -m benchmarks.memory --audio corpus.parquet [--copies 1 5] [--json FILE] [options of jobs.transcribe]

Sums the proportional set size (shared pages counted once) of the driver and all its descendants, Ray's shared object
store included, twice a second.
"""

import argparse
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from benchmarks.corpora import repeat
from benchmarks.processes import family, set_size
from benchmarks.table import show

_EVERY_SECONDS = 0.5


def main(argv: list[str] | None = None) -> int:
    """Measure and print; exit code 0."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--audio", required=True)
    parser.add_argument("--copies", type=int, nargs="+", default=[1, 5])
    parser.add_argument("--json", type=Path)
    arguments, options = parser.parse_known_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        rows = [_measure(arguments.audio, copies, options, Path(folder)) for copies in arguments.copies]
    show(f"peak memory of jobs.transcribe {' '.join(options)}", rows, arguments.json)
    return 0


def _measure(source: str, copies: int, options: list[str], folder: Path) -> dict[str, Any]:
    audio = repeat(source, folder / f"x{copies}.parquet", copies)
    command = [sys.executable, "-m", "jobs.transcribe", "--audio", str(audio), "--output", str(folder / "out")]
    process = subprocess.Popen([*command, *options])
    peaks: list[int] = [0]
    stop = threading.Event()
    watcher = threading.Thread(target=_watch, args=(process.pid, peaks, stop))
    watcher.start()
    code = process.wait()
    stop.set()
    watcher.join()
    if code != 0:
        raise RuntimeError("jobs.transcribe failed; its message stands above.")
    megabytes = {"corpus_megabytes": audio.stat().st_size / 1e6, "peak_megabytes": max(peaks) / 1e6}
    return {"copies": copies, "utterances": pq.read_metadata(audio).num_rows, **megabytes}


def _watch(driver: int, peaks: list[int], stop: threading.Event) -> None:
    while not stop.wait(_EVERY_SECONDS):
        peaks.append(sum(set_size(pid) for pid in family(driver)))


if __name__ == "__main__":
    raise SystemExit(main())
