"""Rows with errors, forgotten and done again; and a run that ends because it fails at large."""

import io
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs import transcribe
from pipeline.runs.folder import RunFolder
from pipeline.runs.manifest import problems
from pipeline.storage import open_filesystem
from tests.support.transcribing import noises, read_json, transcripts, write_corpus


def run(folder: Path, tiny: Path, audio: Path, *more: str, executor: str = "local") -> int:
    config = str(tiny.parent / "greedy.yaml")
    fixed = ["--audio", str(audio), "--output", str(folder / "out"), "--model", str(tiny), "--config", config]
    fixed += ["--executor", executor, "--block-rows", "4", "--summary", str(folder / "s.json"), "--cache-emissions"]
    return transcribe.main([*fixed, *more])


def spoil(folder: Path, ids: set[str]) -> None:
    """Put errors into rows as if a worker had failed on them, without a trace elsewhere."""
    for file in [*folder.rglob("transcripts/*.parquet"), *folder.rglob("emissions/*/emissions/*.parquet")]:
        table = pq.read_table(file)
        errors = [f"{name}: broke." if name in ids else None for name in table["utterance_id"].to_pylist()]
        place = table.schema.get_field_index("error")
        buffer = io.BytesIO()
        pq.write_table(table.set_column(place, table.schema.field(place), pa.array(errors, pa.string())), buffer)
        file.write_bytes(buffer.getvalue())


def test_only_rows_with_errors_are_done_again(tmp_path: Path, tiny: Path) -> None:
    audio = write_corpus(tmp_path / "a.parquet", noises(10) | {"bad": b"no audio"})
    assert run(tmp_path, tiny, audio) == 0
    good = read_json(tmp_path / "s.json")
    rows = transcripts(good["transcripts"])
    assert list(good["counts"]["errors"].values()) == [1]
    spoil(tmp_path / "out", {"bad", "n002", "n003", "n007"})
    assert run(tmp_path, tiny, audio, "--retry-errors") == 0
    again = read_json(tmp_path / "s.json")
    assert transcripts(again["transcripts"]) == rows
    assert again["counts"] == good["counts"]
    assert {stage: facts["rows"] for stage, facts in again["stages"].items()} == {"encode": 4, "decode": 4}
    folder = RunFolder(open_filesystem(again["transcripts"]).parent)
    assert problems(folder) == []
    assert again["emissions"]["rows"] == 11


@pytest.mark.usefixtures("ray_running")
def test_a_run_that_fails_at_large_ends(tmp_path: Path, tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    audio = write_corpus(tmp_path / "a.parquet", {f"bad{at:04d}": b"no audio" for at in range(2000)})
    assert run(tmp_path, tiny, audio, "--max-error-rate", "0.1", "--block-rows", "50", executor="ray") == 1
    assert "utterances have an error after 'encode' (100.0%; --max-error-rate is 10.0%)" in capsys.readouterr().err
    assert not list(tmp_path.rglob("run.json")), "it ended before it was through"


def test_few_rows_are_judged_at_the_end(tmp_path: Path, tiny: Path) -> None:
    audio = write_corpus(tmp_path / "a.parquet", noises(2) | {"bad": b"no audio"})
    assert run(tmp_path, tiny, audio, "--max-error-rate", "0.1") == 1
    assert run(tmp_path, tiny, audio, "--max-error-rate", "0.5") == 0
    assert run(tmp_path, tiny, audio, "--max-error-rate", "7") == 2
