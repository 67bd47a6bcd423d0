"""What a user names stands for one run, and what a run says of itself is read in one way."""

from pathlib import Path

import pytest

from pipeline.errors import ConfigError, InputError
from pipeline.runs.find import find_run, transcripts_of
from pipeline.runs.folder import RunFolder
from pipeline.runs.manifest import is_complete, write_manifest
from pipeline.runs.pointer import Pointer
from pipeline.storage import open_filesystem


def run(path: Path, record: str = '{"status": "complete", "counts": {"rows_out": 0}}') -> RunFolder:
    """A run without rows, whole as its manifest says."""
    (path / "transcripts").mkdir(parents=True)
    (path / "run.json").write_text(record)
    folder = RunFolder(open_filesystem(str(path)))
    write_manifest(folder)
    return folder


def test_a_run_is_found_by_its_folder_its_transcripts_or_the_folder_that_holds_it_alone(tmp_path: Path) -> None:
    one = run(tmp_path / "out" / "f00d")
    for named in (tmp_path / "out", tmp_path / "out" / "f00d", tmp_path / "out" / "f00d" / "transcripts"):
        assert find_run(str(named)) == one
    assert transcripts_of(str(tmp_path / "out")) == str(tmp_path / "out" / "f00d" / "transcripts")


def test_files_that_lie_alone_are_of_no_run(tmp_path: Path) -> None:
    (tmp_path / "rows.parquet").write_bytes(b"")
    assert find_run(str(tmp_path / "rows.parquet")) is None
    assert find_run(str(tmp_path)) is None
    assert find_run(str(tmp_path / "not there")) is None


def test_of_several_runs_one_must_be_named(tmp_path: Path) -> None:
    run(tmp_path / "beef")
    run(tmp_path / "f00d")
    with pytest.raises(InputError, match=r"holds 2 runs \['beef', 'f00d'\]; name the one to score, e.g. .*/beef"):
        find_run(str(tmp_path))


@pytest.mark.parametrize(
    ("record", "reason"), [("{", "is not JSON"), ("[1]", "must hold a JSON object, got list")], ids=["cut", "list"]
)
def test_a_broken_record_is_named_with_the_remedy(tmp_path: Path, record: str, reason: str) -> None:
    folder = run(tmp_path / "f00d", record)
    with pytest.raises(InputError, match=rf"f00d/run\.json: {reason}.*run the same command again"):
        folder.read_record()


def test_a_run_is_complete_if_it_says_so_and_is_whole(tmp_path: Path) -> None:
    assert is_complete(run(tmp_path / "whole"))
    assert not is_complete(run(tmp_path / "rows lost", '{"status": "incomplete"}'))
    cut = run(tmp_path / "cut")
    (tmp_path / "cut" / "run.json").write_text('{"status": "complete"}')
    assert not is_complete(cut)


def test_a_pointer_moves_and_goes_back_as_far_as_its_runs_are_whole(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        run(tmp_path / name)
    pointer = Pointer(open_filesystem(str(tmp_path)))
    assert pointer.run is None
    for name in ("a", "b", "c"):
        pointer.move(name)
    pointer.roll_back()
    assert pointer.run == "b"
    (tmp_path / "a" / "_SUCCESS").unlink()
    with pytest.raises(InputError, match="no longer whole"):
        pointer.roll_back()
    assert pointer.run == "b"
    assert Pointer(open_filesystem(str(tmp_path)), "acme").run is None
    with pytest.raises(ConfigError, match="must be a plain name"):
        Pointer(open_filesystem(str(tmp_path)), "../other")
