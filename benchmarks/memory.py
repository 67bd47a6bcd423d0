"""Peak memory of jobs.transcribe against the size of the corpus: it must not grow.

    python -m benchmarks.memory --audio librispeech_test_clean_dev.parquet [--copies 1 5] [--json FILE]

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
from benchmarks.table import show
from pipeline.config import PRESETS

_EVERY_SECONDS = 0.5


def main(argv: list[str] | None = None) -> int:
    """Measure and print; exit code 0."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--audio", required=True)
    parser.add_argument("--entities", help="one list for the corpus")
    parser.add_argument("--preset", default="joint", choices=sorted(PRESETS))
    parser.add_argument("--copies", type=int, nargs="+", default=[1, 5])
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        rows = [_measure(arguments, copies, Path(folder)) for copies in arguments.copies]
    show(f"peak memory of the job, {arguments.preset}", rows, arguments.json)
    return 0


def _measure(arguments: argparse.Namespace, copies: int, folder: Path) -> dict[str, Any]:
    audio = repeat(arguments.audio, folder / f"x{copies}.parquet", copies)
    command = [sys.executable, "-m", "jobs.transcribe", "--audio", str(audio), "--output", str(folder / "out")]
    command += ["--preset", arguments.preset, *(["--entities", arguments.entities] if arguments.entities else [])]
    process = subprocess.Popen(command)
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
        peaks.append(sum(_set_size(pid) for pid in _family(driver)))


def _family(driver: int) -> list[int]:
    """Return the driver and all its descendants."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            parents.setdefault(_parent(entry), []).append(int(entry.name))
    found = [driver]
    for pid in found:  # grows while it is read
        found += parents.get(pid, [])
    return found


def _parent(process: Path) -> int:
    try:
        return int((process / "stat").read_text().rpartition(")")[2].split()[1])
    except (OSError, IndexError):
        return 0  # it has just ended


def _set_size(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)


if __name__ == "__main__":
    raise SystemExit(main())
