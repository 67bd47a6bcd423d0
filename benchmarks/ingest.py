"""What ingest costs and what it loses: many sound files against the clock, and damaged files against their count.

    python -m benchmarks.ingest [--files 2000] [--rounds 5] [--seed 0] [--json FILE]
    python -m benchmarks.ingest --damaged 10000 [--seed 0] [--json FILE]

The files are noise of one to six seconds in five formats, made anew from the seed. To compare two commits on a busy
machine run each in turn and compare the medians. With ``--damaged`` every file is first cut, has bytes flipped or its
header swapped with another's, is joined with another or renamed; ingest must end without a crash, and each file must be
a row, a row with an error, or counted as not audio.
"""

import argparse
import contextlib
import io
import json
import statistics
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import soundfile

from benchmarks.table import show
from jobs import ingest

_FORMATS = {"wav": "PCM_16", "flac": "PCM_16", "mp3": "MPEG_LAYER_III", "ogg": "VORBIS", "opus": "OPUS"}
_KINDS = ("cut", "flipped", "header", "joined", "renamed")
_NAMES = ("", ".txt", ".wav", ".flac", ".ts", ".dat", ".mkv")  # what a renamed file may end in
_HEADER = 64  # bytes that change places
_TEMPLATES = 50  # different sounds: encoding all would take longer than ingesting them


def main(argv: list[str] | None = None) -> int:
    """Measure and print; exit code 1 if a file is lost."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--damaged", type=int, metavar="FILES", help="damage this many instead of timing")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args(argv)
    generator = np.random.default_rng(arguments.seed)
    with tempfile.TemporaryDirectory(prefix="rollcall-bench-") as name:
        sounds = _sounds(generator)
        if arguments.damaged:
            row = _damaged(Path(name), sounds, arguments.damaged, generator)
            show(f"ingest of {arguments.damaged} damaged files, seed {arguments.seed}", [row], arguments.json)
            return 0 if row["lost"] == 0 and row["exit"] in (0, 1) else 1
        rows = _timed(Path(name), sounds, arguments.files, arguments.rounds)
        show(f"ingest of {arguments.files} sound files", rows, arguments.json)
    return 0


def _sounds(generator: np.random.Generator) -> list[tuple[str, bytes]]:
    """Return (ending, encoded bytes) of different sounds in every format."""
    found = []
    for number in range(_TEMPLATES):
        ending, subtype = list(_FORMATS.items())[number % len(_FORMATS)]
        samples = 0.1 * generator.standard_normal(int(generator.uniform(1, 6) * 16_000))
        buffer = io.BytesIO()
        container = "OGG" if ending == "opus" else ending.upper()
        soundfile.write(buffer, samples, 16_000, format=container, subtype=subtype)
        found.append((ending, buffer.getvalue()))
    return found


def _timed(folder: Path, sounds: list[tuple[str, bytes]], files: int, rounds: int) -> list[dict[str, Any]]:
    source = folder / "source"
    source.mkdir()
    for number in range(files):
        ending, data = sounds[number % len(sounds)]
        (source / f"{number:06d}.{ending}").write_bytes(data)
    walls = []
    for turn in range(rounds):
        start = time.monotonic()
        _ingest(source, folder / f"out{turn}")
        walls.append(time.monotonic() - start)
    return [{"files": files, "rounds": rounds, "median_s": statistics.median(walls), "least_s": min(walls)}]


def _damaged(
    folder: Path, sounds: list[tuple[str, bytes]], files: int, generator: np.random.Generator
) -> dict[str, Any]:
    source, output = folder / "source", folder / "out"
    source.mkdir()
    for number in range(files):
        ending, data = _damage(_KINDS[number % len(_KINDS)], sounds, generator)
        (source / f"{number:06d}{ending}").write_bytes(data)
    code = _ingest(source, output)
    summary = json.loads((output / "_SUCCESS").read_text(encoding="utf-8"))
    tables = [pq.read_table(shard, columns=["utterance_id", "error"]) for shard in sorted(output.glob("*.parquet"))]
    rows = [row for table in tables for row in table.to_pylist()]
    # Ids begin with the number of their file; a long one could give several rows.
    by_file = {row["utterance_id"][:6]: row["error"] for row in rows}
    ends = Counter("error" if error else "row" for error in by_file.values())
    lost = files - len(by_file) - summary["not_audio"]
    return {
        "files": files,
        "exit": code,
        "rows": ends["row"],
        "error_rows": ends["error"],
        "not_audio": summary["not_audio"],
        "lost": lost,
    }


def _damage(kind: str, sounds: list[tuple[str, bytes]], generator: np.random.Generator) -> tuple[str, bytes]:
    """Return the ending and the bytes of a sound after what ``kind`` says was done to it."""
    ending, data = sounds[generator.integers(len(sounds))]
    _, other = sounds[generator.integers(len(sounds))]
    name = f".{ending}"
    if kind == "cut":
        data = data[: generator.integers(len(data))]
    elif kind == "flipped":
        changed = bytearray(data)
        for at in generator.integers(len(data), size=generator.integers(1, 200)):
            changed[at] ^= int(generator.integers(1, 256))
        data = bytes(changed)
    elif kind == "header":
        data = other[:_HEADER] + data[_HEADER:]
    elif kind == "joined":
        data += other
    else:
        name = _NAMES[generator.integers(len(_NAMES))]
    return name, data


def _ingest(source: Path, output: Path) -> int:
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        return ingest.main([str(source), "--output", str(output)])


if __name__ == "__main__":
    raise SystemExit(main())
