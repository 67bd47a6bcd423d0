import json
import pickle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import ConfigError, StorageError
from pipeline.storage import (
    Location,
    check_readable,
    check_writable,
    list_parquet,
    open_filesystem,
    publish,
    read_bytes,
    remove,
    walk_files,
    write_atomic,
)
from pipeline.storage.s3_options import parse_options


def test_parquet_is_found_in_files_folders_and_globs_without_bookkeeping(tmp_path) -> None:
    for name in ("b.parquet", "a/c.parquet", "_ingest/x.parquet", "a/_tmp/y.parquet", ".z.parquet", "a/note.txt"):
        write_atomic(open_filesystem(str(tmp_path)).join(name), b"x")
    assert [found.uri for found in list_parquet(str(tmp_path))] == [f"{tmp_path}/b.parquet", f"{tmp_path}/a/c.parquet"]
    assert [found.name for found in list_parquet(f"{tmp_path}/*.parquet")] == ["b.parquet"]
    assert [found.name for found in list_parquet(f"{tmp_path}/a/note.txt")] == ["note.txt"]  # named, so taken
    with pytest.raises(StorageError, match=r"no .parquet file there; .*jobs.ingest"):
        list_parquet(f"{tmp_path}/a/_tmp/*.txt")
    with pytest.raises(StorageError, match="does not exist"):
        list_parquet(f"{tmp_path}/none")


def test_files_are_walked_in_order_without_hidden_ones(tmp_path) -> None:
    folder = open_filesystem(str(tmp_path))
    for name in ("b", "a/2", "a/1", ".hidden/x", "c"):
        write_atomic(folder.join(name), b"four")
    walked = [
        (Path(path).name, [(Path(file).name, size) for file, size in files]) for path, files in walk_files(folder)
    ]
    assert walked == [(tmp_path.name, [("b", 4), ("c", 4)]), ("a", [("1", 4), ("2", 4)])]


@pytest.mark.parametrize(
    "parts", [("..", "x"), ("a/../../x",), ("/etc/passwd",), ("a", "..", ".."), ("..",), ("x\0",), (".",)]
)
def test_paths_from_data_stay_below_their_folder(tmp_path, parts) -> None:
    with pytest.raises(StorageError, match="leaves its folder"):
        open_filesystem(str(tmp_path)).join(*parts)


@given(st.lists(st.text(min_size=1, max_size=5), min_size=1, max_size=4))
def test_whatever_is_joined_is_below_or_refused(parts: list[str]) -> None:
    folder = open_filesystem("/srv/data")
    try:
        joined = folder.join(*parts)
    except StorageError:
        return
    assert Path(joined.path).resolve().is_relative_to("/srv/data")


def test_a_failed_write_leaves_the_old_content_and_nothing_else(tmp_path, monkeypatch) -> None:
    target = open_filesystem(str(tmp_path)).join("latest.json")
    write_atomic(target, b"old")
    with monkeypatch.context() as broken:
        broken.setattr("os.replace", _disk_full)
        with pytest.raises(StorageError, match=r"cannot write .*latest.json: .*No space left"):
            write_atomic(target, b"new")
    assert read_bytes(target) == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["latest.json"]


def _disk_full(*_: object) -> None:
    raise OSError(28, "No space left on device")


def test_publish_moves_and_remove_removes(tmp_path) -> None:
    (tmp_path / "made").write_bytes(b"data")
    target = open_filesystem(str(tmp_path)).join("out/deep/part.parquet")
    publish(str(tmp_path / "made"), target)
    assert read_bytes(target) == b"data"
    assert not (tmp_path / "made").exists()
    remove(open_filesystem(f"{tmp_path}/out"))
    remove(open_filesystem(f"{tmp_path}/out"))  # already gone
    assert not list(tmp_path.iterdir())


def test_checks_leave_nothing_behind_and_say_what_is_wrong(tmp_path) -> None:
    check_writable(open_filesystem(f"{tmp_path}/new/folder"))
    assert not list((tmp_path / "new" / "folder").iterdir())
    (tmp_path / "file").write_text("x")
    check_readable(open_filesystem(f"{tmp_path}/file"))
    check_readable(open_filesystem(f"file://{tmp_path}"))
    for path, message in ((f"{tmp_path}/file", "is a file; needed is a folder"), ("/proc/none", "cannot write")):
        with pytest.raises(StorageError, match=message):
            check_writable(open_filesystem(path))
    with pytest.raises(StorageError, match=r"cannot read .*: it does not exist"):
        read_bytes(open_filesystem(f"{tmp_path}/none"))


@pytest.mark.parametrize("uri", ["", "s3://", "s3:///", "gs://bucket/x", "https://host/x"])
def test_what_is_no_place_is_refused(uri: str) -> None:
    with pytest.raises(StorageError, match=r"needed is a local path|is not supported"):
        open_filesystem(uri)


def test_storage_options_come_as_json_or_from_a_file(tmp_path) -> None:
    (tmp_path / "s3.json").write_text(json.dumps({"anon": True}))
    assert parse_options(None) == {}
    assert parse_options('{"endpoint": "http://x"}') == {"endpoint": "http://x"}
    assert parse_options(str(tmp_path / "s3.json")) == {"anon": True}
    for text in ('{"secret": "abc"', "[1]", "nowhere.json"):
        with pytest.raises(ConfigError, match="must be a JSON object") as caught:
            parse_options(text)
        assert "abc" not in str(caught.value)


@pytest.mark.parametrize(("key", "value"), [("retries", "many"), ("retries", 0), ("timeout_seconds", -1)])
def test_storage_options_must_make_sense(key: str, value: object) -> None:
    with pytest.raises(ConfigError, match=f"storage option '{key}' must be"):
        open_filesystem("s3://bucket", {key: value})


def test_a_location_can_be_sent_to_a_worker(tmp_path) -> None:
    write_atomic(open_filesystem(str(tmp_path)).join("a"), b"1")
    sent = pickle.loads(pickle.dumps(open_filesystem(f"{tmp_path}/a")))
    assert read_bytes(sent) == b"1"
    with sent.arrow().open_input_file(sent.path) as file:
        assert file.read() == b"1"


def test_links_are_followed_and_loops_are_not(tmp_path) -> None:
    folder, elsewhere = tmp_path / "set", tmp_path / "elsewhere"
    (elsewhere / "deep").mkdir(parents=True)
    folder.mkdir()
    (elsewhere / "deep" / "a.parquet").write_bytes(b"abc")
    (folder / "linked").symlink_to(elsewhere)
    (folder / "file.parquet").symlink_to(elsewhere / "deep" / "a.parquet")
    (folder / "gone.wav").symlink_to(tmp_path / "nowhere")
    (elsewhere / "deep" / "up").symlink_to(folder)
    (folder / "self").symlink_to(folder / "self")
    found = [(path[len(str(folder)) + 1 :], size) for _, files in walk_files(_at(folder)) for path, size in files]
    assert found == [("file.parquet", 3), ("gone.wav", 0), ("self", 0), ("linked/deep/a.parquet", 3)]
    assert len(list_parquet(str(folder))) == 2


def test_a_hugging_face_cache_is_read_through_its_snapshots(tmp_path) -> None:
    blobs, snapshot = tmp_path / "datasets--a--b" / "blobs", tmp_path / "datasets--a--b" / "snapshots" / "0f"
    blobs.mkdir(parents=True)
    snapshot.mkdir(parents=True)
    (blobs / "c0ffee").write_bytes(b"abc")
    (snapshot / "train.PARQUET").symlink_to("../../blobs/c0ffee")
    assert [path for _, files in walk_files(_at(tmp_path)) for path, _ in files] == [f"{snapshot}/train.PARQUET"]
    assert [found.name for found in list_parquet(str(tmp_path))] == ["train.PARQUET"]


def test_a_path_that_is_there_is_no_pattern(tmp_path) -> None:
    folder = tmp_path / "show [2020]"
    folder.mkdir()
    (folder / "x.parquet").write_bytes(b"")
    assert [found.name for found in list_parquet(str(folder))] == ["x.parquet"]
    assert [found.name for found in list_parquet(f"{folder}/x.parquet")] == ["x.parquet"]
    assert [found.name for found in list_parquet(f"{tmp_path}/show*/*.parquet")] == ["x.parquet"]


def _at(folder: Path) -> Location:
    return open_filesystem(str(folder))
