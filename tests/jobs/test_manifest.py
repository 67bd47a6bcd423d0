"""The manifest of a finished run, and what `jobs.verify` finds when a run is not what it was."""

import json
from pathlib import Path

import pytest

from jobs.verify import main
from pipeline.runs.folder import RunFolder
from pipeline.runs.manifest import is_intact, read_manifest, write_manifest
from pipeline.storage import open_filesystem
from tests.support.transcribing import write_rows


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A complete run of three rows in two files."""
    root = tmp_path / "f00d"
    write_rows(root / "transcripts" / "one.parquet", ["a", "b"])
    write_rows(root / "transcripts" / "two.parquet", ["c"])
    (root / "_checkpoint").mkdir()
    (root / "_checkpoint" / "ids.parquet").write_bytes(b"bookkeeping")
    (root / "run.json").write_text(json.dumps({"counts": {"rows_out": 3}}))
    write_manifest(RunFolder(open_filesystem(str(root))))
    return root


def test_the_manifest_names_every_file_of_the_run_and_nothing_else(run: Path) -> None:
    manifest = read_manifest(RunFolder(open_filesystem(str(run))))
    assert manifest is not None
    assert sorted(manifest) == ["run.json", "transcripts/one.parquet", "transcripts/two.parquet"]
    assert [manifest[f"transcripts/{name}.parquet"].rows for name in ("one", "two")] == [2, 1]
    assert main([str(run)]) == 0


def flip_a_byte(run: Path) -> None:
    file = run / "transcripts" / "one.parquet"
    data = bytearray(file.read_bytes())
    data[10] ^= 1
    file.write_bytes(bytes(data))


def say_a_row_twice(run: Path) -> None:
    write_rows(run / "transcripts" / "two.parquet", ["a"])
    write_manifest(RunFolder(open_filesystem(str(run))))


@pytest.mark.parametrize(
    ("damage", "said", "sizes_tell"),
    [
        (flip_a_byte, "transcripts/one.parquet: sha256 is", False),
        (lambda run: (run / "transcripts" / "two.parquet").unlink(), "two.parquet: is missing", True),
        (lambda run: write_rows(run / "transcripts" / "x.parquet", ["z"]), "x.parquet: is not in the manifest", True),
        (lambda run: (run / "transcripts" / "one.parquet").write_bytes(b"PAR1"), "bytes is 4, the manifest says", True),
        (say_a_row_twice, "3 rows of 2 utterances", False),
    ],
)
def test_damage_is_found_and_named(
    run: Path, damage: object, said: str, sizes_tell: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    assert callable(damage)
    damage(run)
    assert main([str(run), "--json"]) == 1
    found = json.loads(capsys.readouterr().out)["problems"]
    assert len(found) == 1
    assert said in found[0]
    assert is_intact(RunFolder(open_filesystem(str(run)))) is not sizes_tell


def test_an_attempt_takes_the_manifest_away_before_it_writes(run: Path) -> None:
    folder = RunFolder(open_filesystem(str(run)))
    folder.start_attempt()
    assert not (run / "_SUCCESS").exists()
    assert not is_intact(folder)
    assert main([str(run)]) == 2


def test_a_broken_manifest_is_an_error_a_user_can_act_on(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (run / "_SUCCESS").write_text("{")
    assert main([str(run)]) == 2
    assert "rerun the job" in capsys.readouterr().err
