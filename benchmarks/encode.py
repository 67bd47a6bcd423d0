"""How fast the encoder is, part by part: the network alone, the model, the encoder with its audio, the whole job.

    python -m benchmarks.encode [--audio PARQUET] [--device cpu] [--json FILE]
    python -m benchmarks.encode --against ../other_checkout     before and after, in turns
    python -m benchmarks.encode --job                           the real job too, from its run.json

Needs neither Ray nor what only searching needs (kenlm, pyctcdecode) without ``--job``. Every figure is times real time,
the median of ``--rounds`` that take turns; of processor time where one thread computes, which other work hardly
changes. The shares are of the whole encoder's time: what reads audio, what the network takes, and what lies between. On
CPUs one thread computes, as in a job's encoder; ``--decoders`` processes read audio beside one another, as a job's do.
``host beside a GPU`` is what would be left to do for a host whose GPU does all that the network and its features are:
decoded rows into one buffer per batch, results cut into rows and columns.
"""

import argparse
import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from benchmarks.table import show
from pipeline.acoustic.batching import gather, sliced
from pipeline.acoustic.features import FFT_SAMPLES, MEL_BINS
from pipeline.acoustic.interface import SAMPLE_RATE, CtcModel
from pipeline.acoustic.loading import load_model
from pipeline.acoustic.model import RollcallCtc
from pipeline.acoustic.precision import autocast, choose_device, choose_dtype
from pipeline.audio.decode import Pcm, decode_audio, to_pcm
from pipeline.config import AcousticConfig
from pipeline.recognition.encode import Encoder, pack
from pipeline.recognition.waveforms import read_audio
from pipeline.types.emissions import Emissions

EXAMPLES = Path(__file__).resolve().parents[1] / "examples" / "demo.parquet"
ROW_SECONDS = 8.0
"""Audio of one row of the network's random input: as long as utterances are."""
_CPU_SECONDS, _GPU_SECONDS = 120.0, (240.0, 960.0, 3840.0)
"""Sizes of batches that are measured; a CPU takes each row alone, whatever the size."""


def main(argv: list[str] | None = None) -> int:
    """Measure and print; exit code 0."""
    arguments = build_parser().parse_args(argv)
    if arguments.against is not None:
        rows = _compared(arguments)
    else:
        rows = measure(arguments)
        if arguments.job:
            rows += _job(arguments)
    device = choose_device(arguments.device)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else f"cpu, {arguments.threads} thread"
    show(f"encoder of {arguments.model or 'the default model'} on {name}, torch {torch.__version__}", rows,
         arguments.json)  # fmt: skip
    return 0


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--audio", type=Path, default=EXAMPLES, help="AUDIO parquet (default: the examples)")
    parser.add_argument("--utterances", type=int, default=64, help="of it (default: %(default)s)")
    parser.add_argument("--model", help="directory (default: the shipped model)")
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"))
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--batch-seconds", type=float, nargs="+", help="padded audio per batch (default: several)")
    parser.add_argument("--threads", type=int, default=1, help="of the network, on CPUs (default: %(default)s)")
    parser.add_argument("--decoders", type=int, default=len(os.sched_getaffinity(0)), help="processes that read audio")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--parts", nargs="+", metavar="PART", help="names of the table's rows (default: all)")
    parser.add_argument("--against", type=Path, help="another checkout that has this benchmark; measured in turns")
    parser.add_argument("--job", action="store_true", help="run jobs.transcribe on the same audio too")
    parser.add_argument("--preset", default="baseline", help="of the job (default: %(default)s)")
    parser.add_argument("--encoders", type=int, help="of the job (default: as the job chooses)")
    parser.add_argument("--executor", default="ray", choices=("ray", "local"), help="of the job")
    parser.add_argument("--json", type=Path)
    return parser


def measure(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Return a row for every part: what, batch_seconds, x_real_time, share of the encoder's time."""
    torch.set_num_threads(arguments.threads)
    fields = {} if arguments.model is None else {"model": arguments.model}
    config = AcousticConfig(device=arguments.device, dtype=arguments.dtype, **fields)
    model, table = load_model(config), _audio(arguments.audio, arguments.utterances)
    read = _Reading(table)
    device = choose_device(config.device)
    sizes = arguments.batch_seconds or ([_CPU_SECONDS] if device.type == "cpu" else list(_GPU_SECONDS))
    waveforms = read.waveforms()
    seconds = sum(map(len, waveforms)) / SAMPLE_RATE
    parts: dict[tuple[str, float | None], tuple[float, Callable[[], object]]] = {}
    parts["reading audio, one thread", None] = seconds, read.waveforms
    for size in sizes:
        batches = [[waveforms[i] for i in batch] for batch in pack([len(w) / SAMPLE_RATE for w in waveforms], size)]
        if isinstance(model, RollcallCtc):
            rows = max(1, int(size / ROW_SECONDS))
            parts["network alone", size] = rows * ROW_SECONDS, _network(model, config, rows)
        parts["model", size] = seconds, _model(model, batches)
        parts["encoder with audio", size] = seconds, _encoder(model, size, table)
    beside, decoded = Encoder(_Hosted(model), config.batch_seconds), read_audio(table)  # type: ignore[arg-type]
    parts["host beside a GPU", None] = seconds, lambda: beside.encode(decoded)
    parts = {name: part for name, part in parts.items() if arguments.parts is None or name[0] in arguments.parts}
    alone = device.type == "cpu" and arguments.threads == 1
    rows = _medians(parts, arguments.rounds, time.process_time if alone else time.perf_counter)
    for row in rows:
        row["ms an utterance"] = round(1000 * seconds / len(waveforms) / row["x_real_time"], 3)
    if arguments.decoders > 1 and arguments.parts is None:
        rows.append(_row(f"reading audio, {arguments.decoders} processes", None, read.together(arguments.decoders)))
    return _with_shares(rows)


def _audio(path: Path, utterances: int) -> pa.Table:
    """Return the first rows of a parquet file, with what the encoder reads."""
    file = pq.ParquetFile(path)
    names = [name for name in ("utterance_id", "audio", "audio_sha256", "error") if name in file.schema_arrow.names]
    return pa.Table.from_batches([next(file.iter_batches(utterances, columns=names))])


class _Reading:
    """The audio of a table, decoded here or by several processes."""

    def __init__(self, table: pa.Table) -> None:
        self._files = [(row["audio"]["bytes"], row["utterance_id"]) for row in table.to_pylist()]

    def waveforms(self) -> list[Pcm]:
        """Decode all of it, one after the other."""
        return [to_pcm(decode_audio(data, name).samples) for data, name in self._files]

    def together(self, processes: int) -> float:
        """Return times real time of so many processes that take one file after the other."""
        with multiprocessing.get_context("spawn").Pool(processes, _warm) as pool:
            pool.map(_seconds, self._files[:processes], 1)
            began = time.perf_counter()
            seconds = sum(pool.imap_unordered(_seconds, self._files, 4))
            return float(seconds / (time.perf_counter() - began))


def _warm() -> None:
    torch.set_num_threads(1)


def _seconds(file: tuple[bytes, str]) -> float:
    return len(to_pcm(decode_audio(*file).samples)) / SAMPLE_RATE


def _network(model: RollcallCtc, config: AcousticConfig, rows: int) -> Callable[[], object]:
    """Return one forward pass of the network over random features, which ends when its device has ended."""
    device = choose_device(config.device)
    mel = torch.randn(rows, MEL_BINS, int(100 * ROW_SECONDS), device=device)
    lengths = torch.full((rows,), mel.shape[2] // 2, device=device)

    def once() -> object:
        with torch.inference_mode(), autocast(device, choose_dtype(config.dtype, device)):
            for number in range(rows if device.type == "cpu" else 1):  # a row at a time, as the model computes there
                part = slice(number, number + 1) if device.type == "cpu" else slice(None)
                output = model.network(mel[part], lengths[part])
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return output

    return once


def _model(model: CtcModel, batches: Sequence[Sequence[Pcm]]) -> Callable[[], object]:
    return lambda: [model.encode(batch) for batch in batches]


def _encoder(model: CtcModel, size: float, table: pa.Table) -> Callable[[], object]:
    encoder = Encoder(model, size)
    return lambda: encoder.encode(table)


class _Hosted:
    """Does what a host does for a batch of ``model``'s, and has results of the right shapes from nowhere."""

    together = True

    def __init__(self, model: CtcModel) -> None:
        self._model = model
        (one,) = model.encode([np.zeros(SAMPLE_RATE, np.int16)], with_states=True)
        self._columns: dict[str, tuple[int, type[np.generic]]] = {
            "ids": (one.tokens.ids.shape[1], np.int16),
            "values": (one.tokens.values.shape[1], np.float16),
        }
        if one.phone_log_probs is not None:
            self._columns["phone_log_probs"] = one.phone_log_probs.shape[1], np.float16
        self._arrays: dict[str, npt.NDArray[np.generic]] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def begin(self, waveforms: Sequence[Pcm], query: object = None) -> Callable[[], list[Emissions]]:
        frames = [max(1, int(len(one) / SAMPLE_RATE / self._model.frame_seconds)) for one in waveforms]
        gather(waveforms, FFT_SAMPLES, 0)
        shape = (len(frames), max(frames))
        for name, (columns, kind) in self._columns.items():
            there = self._arrays.get(name)
            if there is None or there.shape[0] < shape[0] or there.shape[1] < shape[1]:
                self._arrays[name] = np.zeros((*shape, columns), kind)
        return lambda: sliced(self._arrays, frames)


def _medians(
    parts: dict[tuple[str, float | None], tuple[float, Callable[[], object]]], rounds: int, clock: Callable[[], float]
) -> list[dict[str, Any]]:
    """Measure the parts in turns, after one round that is not counted."""
    found: dict[tuple[str, float | None], list[float]] = {name: [] for name in parts}
    for turn in range(rounds + 1):
        for name, (seconds, work) in parts.items():
            began = clock()
            work()
            if turn:
                found[name].append(seconds / max(clock() - began, 1e-9))
    return [_row(*name, statistics.median(speeds)) for name, speeds in found.items()]


def _row(what: str, size: float | None, speed: float) -> dict[str, Any]:
    return {"what": what, "batch_seconds": size or "", "x_real_time": speed}


def _with_shares(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Add to each part of the encoder with audio its share of that one's time, at the same batch size."""
    whole = {row["batch_seconds"]: row["x_real_time"] for row in rows if row["what"] == "encoder with audio"}
    for row in rows:
        size = row["batch_seconds"] or next(iter(whole), None)
        if size in whole and "processes" not in row["what"] and "host" not in row["what"]:
            row["share"] = f"{whole[size] / row['x_real_time']:.0%}"
    return rows


def _compared(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Measure another checkout and this one in turns, each in a process of its own; return both medians."""
    here, there = Path(__file__).resolve().parents[1], arguments.against.resolve()
    runs: dict[Path, list[list[dict[str, Any]]]] = {there: [], here: []}
    for _ in range(arguments.rounds):
        for checkout in runs:
            runs[checkout].append(_elsewhere(checkout, arguments))
    rows = []
    speeds = [
        {_named(row): statistics.median(_speeds(runs[c], _named(row))) for row in runs[c][0]} for c in (there, here)
    ]
    for row in runs[here][0]:
        if _named(row) not in speeds[0]:
            continue  # the other checkout does not measure it
        before, after = (found[_named(row)] for found in speeds)
        facts = {"before": before, "after": after, "times": after / before}
        rows.append({"what": row["what"], "batch_seconds": row["batch_seconds"], **facts})
    return rows


def _named(row: dict[str, Any]) -> tuple[str, object]:
    return row["what"], row["batch_seconds"]


def _speeds(rounds: Sequence[Sequence[dict[str, Any]]], name: tuple[str, object]) -> list[float]:
    return [row["x_real_time"] for rows in rounds for row in rows if _named(row) == name]


def _elsewhere(checkout: Path, arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Return one round of a checkout's own benchmark."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "rows.json"
        command = [sys.executable, "-m", "benchmarks.encode", *_passed_on(arguments), "--json", str(target)]
        subprocess.run(
            command, cwd=checkout, check=True, stdout=subprocess.DEVNULL,
            env=os.environ | {"PYTHONPATH": str(checkout)},
        )  # fmt: skip
        rows: list[dict[str, Any]] = json.loads(target.read_text(encoding="utf-8"))["rows"]
    return rows


def _passed_on(arguments: argparse.Namespace) -> Iterator[str]:
    """Yield the options of one round elsewhere."""
    yield from ("--audio", str(arguments.audio.resolve()), "--rounds", "1")
    for name in ("utterances", "device", "dtype", "threads", "decoders"):
        yield from (f"--{name}", str(getattr(arguments, name)))
    if arguments.model is not None:
        yield from ("--model", str(Path(arguments.model).resolve()))
    if arguments.batch_seconds:
        yield from ("--batch-seconds", *map(str, arguments.batch_seconds))


def _job(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Run jobs.transcribe and return what its stages did: speed, share of the time at work, what they waited for."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        corpus, summary = folder / "corpus.parquet", folder / "summary.json"
        pq.write_table(_audio(arguments.audio, arguments.utterances), corpus)
        command = [sys.executable, "-m", "jobs.transcribe", "--audio", str(corpus), "--output", str(folder / "out")]
        command += ["--preset", arguments.preset, "--executor", arguments.executor, "--summary", str(summary)]
        command += [] if arguments.model is None else ["--model", arguments.model]
        command += [] if arguments.encoders is None else ["--num-encoders", str(arguments.encoders)]
        if arguments.device != "auto" or arguments.dtype != "auto":
            settings = {"acoustic": {"device": arguments.device, "dtype": arguments.dtype}}
            (folder / "run.yaml").write_text(json.dumps(settings), encoding="utf-8")  # which is YAML, too
            command += ["--config", str(folder / "run.yaml")]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        return job_rows(json.loads(summary.read_text(encoding="utf-8")))


def job_rows(record: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a row for each stage of a run.json, and one for the whole: audio hours in an hour, from start to end."""
    rows = [
        {
            "what": "job: whole, with its start",
            "batch_seconds": "",
            "x_real_time": round(3600 * record["audio_hours"] / record["wall_seconds"], 1),
        },
        {
            "what": "job: whole, from its first batch",
            "batch_seconds": "",
            "x_real_time": round(3600 * record["audio_hours"] / max(record["work_seconds"], 1e-9), 1),
        },
    ]
    for name, stage in record["stages"].items():
        row = {"what": f"job: {name}", "batch_seconds": stage.get("batch_seconds") or ""}
        row |= {"x_real_time": stage["x_real_time"], "workers": stage["workers"]}
        row["x of its processor time"] = round(stage["audio_seconds"] / max(stage["cpu_seconds"], 1e-9), 1)
        row |= {"at work": f"{stage['busy_share']:.0%}", "waited": f"{1 - stage['busy_share']:.0%}"}
        row["most rows waiting for it"] = stage["peak_queue_rows"]
        if stage.get("gpu_busy_share") is not None:
            row["gpu_busy"] = f"{stage['gpu_busy_share']:.0%}"
            row["audio h per GPU h"] = round(stage["x_real_time"] / stage["workers"], 1)
        rows.append(row)
    return rows


if __name__ == "__main__":
    raise SystemExit(main())
