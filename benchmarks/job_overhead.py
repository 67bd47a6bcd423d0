"""What Ray costs: jobs.transcribe against the same stages in plain processes, start-up not counted on either side.

    python -m benchmarks.job_overhead --audio librispeech_test_clean_dev.parquet --entities lists.tsv [--json FILE]

The plain processes, one per core, read, encode (on one thread each), decode and write block by block, with the same
functions and blocks, each taking the next block that is left. Wall time is what the bars are about. Processor time, of
the plain processes and of the driver, Ray and all workers together, says what Ray adds where other work on the machine
makes wall times incomparable, and by which part of the job.
"""

import argparse
import json
import multiprocessing
import os
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import torch

from benchmarks.corpora import repeat
from benchmarks.table import show
from jobs import transcribe
from pipeline.config import PRESETS
from pipeline.config.fingerprint import config_fingerprint
from pipeline.entities.lists import load_entities
from pipeline.recognition.recogniser import Recogniser
from tests.support.processes import PARTS, cpu_seconds, family, part

_EVERY_SECONDS = 0.5


def main(argv: list[str] | None = None) -> int:
    """Measure and print; exit code 0."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--audio", required=True)
    parser.add_argument("--entities")
    parser.add_argument("--preset", default="joint", choices=sorted(PRESETS))
    parser.add_argument("--utterances", type=int, default=1000)
    parser.add_argument("--processes", type=int, default=len(os.sched_getaffinity(0)), help="plain ones, and encoders")
    parser.add_argument("--rounds", type=int, default=1, help="the two take turns; a busy machine needs several")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args(argv)
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        audio = repeat(arguments.audio, folder / "corpus.parquet", 1, arguments.utterances)
        for turn in range(arguments.rounds):
            rows.append({"round": turn, **_plain(audio, arguments, folder / f"plain{turn}")})
            rows.append({"round": turn, **_job(audio, arguments, folder / f"job{turn}")})
    show(f"job overhead, {arguments.utterances} utterances, {arguments.preset}", rows, arguments.json)
    return 0


def _plain(audio: Path, arguments: argparse.Namespace, output: Path) -> dict[str, Any]:
    output.mkdir()
    context = multiprocessing.get_context("spawn")
    ready, results = context.Barrier(arguments.processes), context.Queue()
    following = context.Value("i", 0)
    work = (audio, arguments.preset, arguments.entities, output, ready, following, results)
    processes = [context.Process(target=_work, args=work) for _ in range(arguments.processes)]
    for process in processes:
        process.start()
    done = [results.get() for _ in processes]
    for process in processes:
        process.join()
    audio_seconds, began, ended, cpu = zip(*done, strict=True)
    return _row(f"{len(done)} plain processes", sum(audio_seconds), max(ended) - min(began), {"all": sum(cpu)})


def _work(
    audio: Path, preset: str, entities: str | None, output: Path, ready: Any, following: Any, results: Any
) -> None:
    """Load everything, wait for the others, then do one block after the other until none is left."""
    torch.set_num_threads(1)
    config = PRESETS[preset]()
    recogniser = Recogniser.load(config, load_entities(entities), config_fingerprint=config_fingerprint(config))
    ready.wait()
    seconds, began, cpu = 0.0, time.time(), cpu_seconds(os.getpid())
    for number, batch in enumerate(pq.ParquetFile(audio).iter_batches(transcribe.BLOCK_ROWS)):
        with following.get_lock():
            if number < following.value:
                continue  # another process has it
            following.value = number + 1
        table = recogniser.transcribe(recogniser.encode(pa.Table.from_batches([batch])))
        pq.write_table(table, output / f"{number}.parquet", compression="zstd")
        seconds += sum(table["duration_seconds"].to_pylist())
    results.put((seconds, began, time.time(), cpu_seconds(os.getpid()) - cpu))


def _job(audio: Path, arguments: argparse.Namespace, output: Path) -> dict[str, Any]:
    summary = output.with_suffix(".json")
    command = ["--audio", str(audio), "--output", str(output), "--preset", arguments.preset, "--summary", str(summary)]
    command += ["--num-encoders", str(arguments.processes), "--executor", "ray"]
    samples: list[tuple[float, Counter[str]]] = []
    stop = threading.Event()
    watcher = threading.Thread(target=_watch, args=(samples, stop))
    watcher.start()
    code = transcribe.main([*command, *(["--entities", arguments.entities] if arguments.entities else [])])
    stop.set()
    watcher.join()
    if code != 0:
        raise RuntimeError("jobs.transcribe failed; its message stands above.")
    record = json.loads(summary.read_text(encoding="utf-8"))
    first = samples[0][0] + record["startup_seconds"]
    window = [cpu for moment, cpu in samples if first <= moment <= first + record["work_seconds"]]
    spent = {name: window[-1][name] - window[0][name] for name in PARTS}
    name = f"jobs.transcribe, {arguments.processes} encoders"
    return _row(name, 3600 * record["audio_hours"], record["work_seconds"], {"all": sum(spent.values()), **spent})


def _watch(samples: list[tuple[float, Counter[str]]], stop: threading.Event) -> None:
    """Record (time, processor time by part of the job) twice a second; what has ended keeps its last figure."""
    latest: dict[int, tuple[str, float]] = {}
    while True:
        latest |= {pid: (part(pid, os.getpid()), cpu_seconds(pid)) for pid in family(os.getpid())}
        spent: Counter[str] = Counter()
        for name, seconds in latest.values():
            spent[name] += seconds  # type: ignore[assignment]
        samples.append((time.time(), spent))
        if stop.wait(_EVERY_SECONDS):
            return


def _row(system: str, audio: float, wall: float, cpu: dict[str, float]) -> dict[str, Any]:
    facts = {"audio_hours": audio / 3600, "wall_seconds": wall, "x_real_time": audio / wall}
    return {"system": system, **facts, **{f"cpu_{name}": seconds for name, seconds in cpu.items()}}


if __name__ == "__main__":
    raise SystemExit(main())
