"""s3:// over HTTP against moto's server."""

import json
import pickle
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs.ingest import main
from pipeline.errors import StorageError
from pipeline.storage import (
    Location,
    check_readable,
    check_writable,
    exists,
    list_parquet,
    open_filesystem,
    open_seekable,
    publish,
    read_bytes,
    walk_files,
    write_atomic,
)
from tests.support.audio_files import encoded, noise
from tests.support.servers import moto_endpoint, new_bucket, options_for


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with moto_endpoint() as url:
        yield url


@pytest.fixture
def bucket(endpoint: str) -> Location:
    return new_bucket(options_for(endpoint))


def test_files_come_back_as_they_went(bucket: Location, tmp_path) -> None:
    check_writable(bucket.join("run"))
    assert not list(walk_files(bucket))  # the probe is gone
    write_atomic(bucket.join("run", "a.json"), b"{}")
    (tmp_path / "part").write_bytes(b"data")
    publish(str(tmp_path / "part"), bucket.join("run", "deep", "b.parquet"))
    assert read_bytes(bucket.join("run", "a.json")) == b"{}"
    assert [[path for path, _ in files] for _, files in walk_files(bucket)] == [
        [f"{bucket.path}/run/a.json"],
        [f"{bucket.path}/run/deep/b.parquet"],
    ]
    with open_seekable(bucket.join("run", "deep", "b.parquet")) as file:
        assert file.seek(2) == 2
        assert file.read() == b"ta"


def test_parquet_is_listed_read_and_sent(bucket: Location, endpoint: str) -> None:
    table = pa.table({"utterance_id": ["a", "b"]})
    target = pickle.loads(pickle.dumps(bucket)).join("set/part-0.parquet")
    pq.write_table(table, target.path, filesystem=target.arrow())
    write_atomic(bucket.join("set/_ingest/x.parquet"), b"bookkeeping")
    [found] = list_parquet(f"{bucket.uri}/set", options_for(endpoint))
    assert found.uri == f"{bucket.uri}/set/part-0.parquet"
    assert pq.read_table(found.path, filesystem=found.arrow()).equals(table)
    assert list_parquet(f"{bucket.uri}/set/*.parquet", options_for(endpoint)) == [found]


def test_keys_that_a_disk_would_not_have_are_listed_and_read(bucket: Location) -> None:
    """``//`` in a key, and an object of a folder's name."""
    keys = ["rec", "rec/a.wav", "rec//b.wav", "rec/c//d//e.wav"]
    for key in keys:
        bucket.filesystem.pipe_file(f"{bucket.path}/{key}", key.encode())
    paths = [path for _, files in walk_files(bucket) for path, _ in files]
    assert sorted(paths) == sorted(f"{bucket.path}/{key}" for key in keys)
    assert [read_bytes(Location(bucket.filesystem, path)) for path in paths] == [
        path[len(bucket.path) + 1 :].encode() for path in paths
    ]
    assert len([path for _, files in walk_files(bucket.join("rec")) for path, _ in files]) == 4


def test_what_is_written_is_seen_at_once(bucket: Location) -> None:
    """A listing cache would hide the shards that another worker just wrote."""
    assert not exists(bucket.join("later"))
    assert not list(walk_files(bucket))
    other = pickle.loads(pickle.dumps(bucket))
    write_atomic(other.join("later"), b"x")
    assert exists(bucket.join("later"))
    assert list(walk_files(bucket))


def test_what_is_missing_or_forbidden_says_so_without_secrets(bucket: Location, endpoint: str) -> None:
    with pytest.raises(StorageError, match="does not exist"):
        check_readable(bucket.join("none"))
    with pytest.raises(StorageError, match=r"cannot write s3://no-such-bucket/"):
        check_writable(open_filesystem("s3://no-such-bucket/x", options_for(endpoint)))
    nowhere = open_filesystem("s3://bucket/x", options_for("http://127.0.0.1:9", retries=1, timeout_seconds=2))
    with pytest.raises(StorageError, match="Check the endpoint") as caught:
        check_writable(nowhere)
    assert "very-secret-42" not in str(caught.value) + repr(nowhere)


def test_settings_come_from_the_environment(bucket: Location, endpoint: str, monkeypatch) -> None:
    write_atomic(bucket.join("a"), b"1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    assert read_bytes(open_filesystem(f"{bucket.uri}/a")) == b"1"
    monkeypatch.setenv("ROLLCALL_S3_ANON", "true")
    assert open_filesystem(f"{bucket.uri}/a").filesystem.anon is True


def test_ingest_from_s3_to_s3_and_resume(bucket: Location, endpoint: str, tmp_path) -> None:
    for name, data in {"one.wav": encoded(noise(1.0)), "deep/two.wav": encoded(noise(9.0)), "bad.wav": b"x"}.items():
        write_atomic(bucket.join("corpus", name), data)
    write_atomic(bucket.join("manifest.jsonl"), b'{"audio_filepath": "corpus/one.wav", "text": "hello"}\n')
    (tmp_path / "s3.json").write_text(json.dumps(options_for(endpoint)))
    more = ["--storage-options", str(tmp_path / "s3.json"), "--max-seconds", "6"]
    source, output = f"{bucket.uri}/corpus", f"{bucket.uri}/shards"
    for _ in range(2):  # the second run finds everything done
        assert main([source, "--output", output, *more]) == 0
        rows = [row for found in list_parquet(output, options_for(endpoint)) for row in _rows(found)]
        assert [row["utterance_id"] for row in rows if row["error"]] == ["bad"]
        assert {row["recording_id"] for row in rows if row["utterance_id"].startswith("deep/two-")} == {"deep/two"}
        assert len(rows) == 4
    assert main([f"{bucket.uri}/manifest.jsonl", "--output", f"{bucket.uri}/listed", *more]) == 0
    [found] = list_parquet(f"{bucket.uri}/listed", options_for(endpoint))
    assert [(row["utterance_id"], row["text"]) for row in _rows(found)] == [("corpus/one", "hello")]


def _rows(location: Location) -> list[dict[str, object]]:
    return pq.read_table(location.path, filesystem=location.arrow()).to_pylist()
