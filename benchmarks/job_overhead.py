"""What Ray costs: jobs.transcribe against the same work in one plain process, start-up not counted on either side.

    python -m benchmarks.job_overhead --audio librispeech_test_clean_dev.parquet --entities lists.tsv [--json FILE]

The plain process reads, encodes (PyTorch on all cores), decodes and writes block by block, with the same functions and
blocks. Wall time is what the bar is about. Processor time, of the plain process and of the driver, Ray and all workers
together, says what Ray adds where other work on the machine makes wall times incomparable.
"""

import argparse
import json
import os
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import torch

from benchmarks.corpora import repeat
from benchmarks.processes import cpu_seconds, family
from benchmarks.table import show
from jobs import transcribe
from pipeline.acoustic.loading import load_model
from pipeline.config import PRESETS
from pipeline.decoding.build import build_decoder
from pipeline.encode import Encoder
from pipeline.entities.lists import load_entities
from pipeline.fingerprint import config_fingerprint
from pipeline.phonetics.second_pass import build_phonetics
from pipeline.transcribe import Transcriber

_EVERY_SECONDS = 0.5


def main(argv: list[str] | None = None) -> int:
    """Measure and print; exit code 0."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--audio", required=True)
    parser.add_argument("--entities")
    parser.add_argument("--preset", default="joint", choices=sorted(PRESETS))
    parser.add_argument("--utterances", type=int, default=1000)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), help="of the plain process")
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
    torch.set_num_threads(arguments.threads)
    config = PRESETS[arguments.preset]()
    model = load_model(config.acoustic)
    encoder = Encoder(model, config.acoustic.batch_seconds)
    decoder, phonetics = build_decoder(config, model.tokens), build_phonetics(config)
    transcriber = Transcriber(decoder, load_entities(arguments.entities), config_fingerprint(config), phonetics)
    output.mkdir()
    seconds, began, cpu = 0.0, time.time(), cpu_seconds(os.getpid())
    for number, batch in enumerate(pq.ParquetFile(audio).iter_batches(transcribe.BLOCK_ROWS)):
        table = transcriber.transcribe(encoder.encode(pa.Table.from_batches([batch])))
        pq.write_table(table, output / f"{number}.parquet", compression="zstd")
        seconds += sum(table["duration_seconds"].to_pylist())
    return _row(
        f"one plain process, {arguments.threads} thread(s)",
        seconds,
        time.time() - began,
        cpu_seconds(os.getpid()) - cpu,
    )


def _job(audio: Path, arguments: argparse.Namespace, output: Path) -> dict[str, Any]:
    summary = output.with_suffix(".json")
    command = ["--audio", str(audio), "--output", str(output), "--preset", arguments.preset, "--summary", str(summary)]
    samples: list[tuple[float, float]] = []
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
    return _row("jobs.transcribe", 3600 * record["audio_hours"], record["work_seconds"], window[-1] - window[0])


def _watch(samples: list[tuple[float, float]], stop: threading.Event) -> None:
    """Record (time, processor time of the driver, Ray and all workers) twice a second."""
    while True:
        samples.append((time.time(), sum(cpu_seconds(pid) for pid in family(os.getpid()))))
        if stop.wait(_EVERY_SECONDS):
            return


def _row(system: str, audio: float, wall: float, cpu: float) -> dict[str, Any]:
    facts = {"audio_hours": audio / 3600, "wall_seconds": wall, "cpu_seconds": cpu, "x_real_time": audio / wall}
    return {"system": system, **facts}


if __name__ == "__main__":
    raise SystemExit(main())
