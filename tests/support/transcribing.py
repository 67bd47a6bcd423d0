"""What the tests of jobs.transcribe share: small corpora, a tiny model, and reading what a run wrote."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.schemas import TRANSCRIPTS
from tests.support.audio_files import encoded, noise, tone

GREEDY = "language_model: null\nbeam: {decoder: greedy}\n"
"""A configuration that needs no language model."""


def write_corpus(path: Path, rows: dict[str, bytes | None], **columns: list[Any]) -> Path:
    """Write utterance ids and encoded audio as AUDIO parquet, with more ``columns`` beside them."""
    audio = [{"bytes": data, "path": None} for data in rows.values()]
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    table = pa.table({"utterance_id": list(rows), "audio": pa.array(audio, kind), **columns})
    pq.write_table(table, path, row_group_size=32)
    return path


def noises(count: int, seconds: float = 1.0) -> dict[str, bytes | None]:
    """``count`` utterances of different noise, ids n000, n001, ..."""
    return {f"n{seed:03d}": encoded(noise(seconds + seed % 5 / 10, seed=seed), "flac") for seed in range(count)}


def odd_audio() -> dict[str, bytes | None]:
    """Audio of every odd kind; the ids of those that cannot be transcribed begin with ``bad``."""
    good = encoded(tone(1.0), "flac")
    return {
        "plain": good,
        "silent": encoded(np.zeros(16_000, np.float32)),
        "8 kHz": encoded(tone(1.0, 8_000), rate=8_000),
        "96 kHz": encoded(tone(1.0, 96_000), rate=96_000),
        "stereo": encoded(np.stack([tone(1.0), noise(1.0)], axis=1)),
        "bad truncated": good[: len(good) // 2],
        "bad text": b"this is not audio" * 100,
        "bad empty file": b"",
        "bad no bytes": None,
        "bad zero-length": encoded(np.zeros(0, np.float32)),
        "bad NaN": encoded(np.full(16_000, np.nan, np.float32), subtype="FLOAT"),
        "longer than 30 s": encoded(noise(40.0, level=0.01), "flac"),
        "bad hour": encoded(np.zeros(16_000 * 3600, np.float32), "flac"),
    }


def transcripts(folder: str | Path) -> list[dict[str, Any]]:
    """Return the rows of a transcripts folder by utterance id, after checking the schema of every file."""
    rows: list[dict[str, Any]] = []
    for file in sorted(Path(folder).iterdir()):
        table = pq.read_table(file)
        assert table.schema.equals(TRANSCRIPTS), f"{file.name} has another schema"
        rows += table.to_pylist()
    return sorted(rows, key=lambda row: str(row["utterance_id"]))


def read_json(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def command(audio: Path, output: Path, tiny: Path, *more: str) -> list[str]:
    """Return arguments of jobs.transcribe, which works in this process."""
    config = str(tiny.parent / "greedy.yaml")
    fixed = ["--audio", str(audio), "--output", str(output), "--model", str(tiny)]
    return [*fixed, "--config", config, "--executor", "local", "--block-rows", "4", *more]


def write_rows(path: Path, ids: list[str]) -> None:
    rows = [{"utterance_id": name, "text": "a b"} for name in ids]
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows, schema=TRANSCRIPTS), path)
