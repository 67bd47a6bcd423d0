"""Files of rows come whole or not at all, and their ids stand in the checkpoint once they are there."""

import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.errors import StorageError
from pipeline.runs.checkpoint import Committer, begin_attempt, finished_ids
from pipeline.runs.folder import RunFolder
from pipeline.storage import open_filesystem
from tests.support.servers import moto_endpoint, new_bucket, options_for


def folder_in(path: Path) -> RunFolder:
    return RunFolder(open_filesystem(str(path / "run")))


def rows(*ids: str) -> pa.Table:
    return pa.table({"utterance_id": list(ids), "text": [f"text of {name}" for name in ids]})


def written(folder: RunFolder) -> list[str]:
    return sorted(name for file in folder.files() for name in pq.read_table(file.path)["utterance_id"].to_pylist())


def checkpoints(folder: RunFolder) -> list[Path]:
    return sorted(Path(folder.checkpoint.path).iterdir())


def committed(folder: RunFolder) -> None:
    files = Committer(begin_attempt(folder), pq.write_table)
    files.commit(rows("a", "b"))
    files.commit(rows("c"))


def test_what_is_committed_is_there_and_done(tmp_path: Path) -> None:
    folder = folder_in(tmp_path)
    committed(folder)
    assert written(folder) == ["a", "b", "c"]
    assert finished_ids(folder) == {"a", "b", "c"}
    assert [file.name for file in checkpoints(folder)] == sorted(file.name for file in folder.files())
    assert {pq.read_schema(file).to_string() for file in checkpoints(folder)} == {"utterance_id: string"}


@pytest.mark.parametrize("written_already", [True, False])
def test_what_was_half_done_is_taken_back(tmp_path: Path, written_already: bool) -> None:
    folder = folder_in(tmp_path)
    committed(folder)
    last = checkpoints(folder)[-1]
    last.rename(last.with_name(f"{last.stem}.pending.parquet"))
    if not written_already:
        os.unlink(folder.data.join(last.name).path)
    assert finished_ids(folder) == {"a", "b"}
    begin_attempt(folder)
    assert written(folder) == ["a", "b"]
    assert len(checkpoints(folder)) == 1


def test_a_rename_that_was_cut_off_is_one(tmp_path: Path) -> None:
    """On s3 a rename is a copy, and then the old name goes."""
    folder = folder_in(tmp_path)
    committed(folder)
    last = checkpoints(folder)[-1]
    last.with_name(f"{last.stem}.pending.parquet").write_bytes(last.read_bytes())
    begin_attempt(folder)
    assert written(folder) == ["a", "b", "c"]
    assert finished_ids(folder) == {"a", "b", "c"}
    assert len(checkpoints(folder)) == 2


def test_an_older_attempt_can_write_no_more(tmp_path: Path) -> None:
    folder = folder_in(tmp_path)
    older = Committer(begin_attempt(folder), pq.write_table)
    begin_attempt(folder)
    with pytest.raises(FileNotFoundError):
        older.commit(rows("a"))
    assert written(folder) == []


def test_an_older_attempt_can_write_no_more_to_a_store() -> None:
    with moto_endpoint() as endpoint:
        folder = RunFolder(new_bucket(options_for(endpoint)).join("run"))
        older = Committer(begin_attempt(folder), pq.write_table)
        newer = Committer(begin_attempt(folder), pq.write_table)
        with pytest.raises(StorageError, match="has taken over"):
            older.commit(rows("a"))
        assert folder.files() == []
        newer.commit(rows("b"))
        assert len(folder.files()) == 1
        assert finished_ids(folder) == {"b"}
        begin_attempt(folder)
        assert len(folder.files()) == 1, "what is done stays"
