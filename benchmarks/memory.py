"""Peak memory of jobs.transcribe against the size of the corpus: it must not grow.

    python -m benchmarks.memory --audio corpus.parquet [--copies 1 5] [--json FILE] [options of jobs.transcribe]

Sums the proportional set size (shared pages counted once) of the driver and all its descendants, Ray's shared object
store included, twice a second. Beside the peak of the whole run stands what it consists of, and the peak of each fifth
of the time: a run whose last fifths are no higher than its second would not grow with any larger corpus either.
"""

import argparse
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from benchmarks.corpora import repeat
from benchmarks.table import show
from tests.support.processes import PARTS, family, part, set_size

_EVERY_SECONDS = 0.5


def main(argv: list[str] | None = None) -> int:
    """Measure and print; exit code 0."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--audio", required=True)
    parser.add_argument("--copies", type=int, nargs="+", default=[1, 5])
    parser.add_argument("--json", type=Path)
    arguments, options = parser.parse_known_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        rows = []
        for copies in arguments.copies:
            rows.append(_measure(arguments.audio, copies, options, Path(folder)))
            print(rows[-1], flush=True)  # the larger ones take long
    show(f"peak memory of jobs.transcribe {' '.join(options)}", rows, arguments.json)
    return 0


def _measure(source: str, copies: int, options: list[str], folder: Path) -> dict[str, Any]:
    audio = repeat(source, folder / f"x{copies}.parquet", copies)
    command = [sys.executable, "-m", "jobs.transcribe", "--audio", str(audio), "--output", str(folder / "out")]
    process = subprocess.Popen([*command, *options])
    samples: list[Counter[str]] = []
    stop = threading.Event()
    watcher = threading.Thread(target=_watch, args=(process.pid, samples, stop))
    watcher.start()
    code = process.wait()
    stop.set()
    watcher.join()
    if code != 0:
        raise RuntimeError("jobs.transcribe failed; its message stands above.")
    facts = {"copies": copies, "utterances": pq.read_metadata(audio).num_rows}
    return facts | {"corpus_megabytes": audio.stat().st_size / 1e6} | summary(samples)


def summary(samples: Sequence[Counter[str]]) -> dict[str, Any]:
    """Return the peak, what it consists of, and the peak of each fifth of the samples; in megabytes."""
    peak = max(samples, key=Counter.total)
    parts = {f"{name} at peak": peak[name] // 10**6 for name in (*PARTS, "store")}
    size = -(-len(samples) // 5)
    fifths = [samples[start : start + size] for start in range(0, len(samples), size)]
    peaks = " ".join(str(max(sample.total() for sample in fifth) // 10**6) for fifth in fifths)
    return {"peak_megabytes": peak.total() // 10**6, **parts, "by fifths": peaks}


def _watch(driver: int, samples: list[Counter[str]], stop: threading.Event) -> None:
    while not stop.wait(_EVERY_SECONDS):
        sample: Counter[str] = Counter()
        for pid in family(driver):
            shared = set_size(pid, "Pss_Shmem")
            sample["store"] += shared
            sample[part(pid, driver)] += set_size(pid) - shared
        samples.append(sample)


if __name__ == "__main__":
    raise SystemExit(main())
