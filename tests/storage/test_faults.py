"""Throttling, stalls and cut connections between us and two independent S3 servers."""

import json
import threading
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs.ingest import main
from pipeline.errors import StorageError
from pipeline.storage import (
    Location,
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
from tests.support.faulty_proxy import CUT_REQUEST, CUT_RESPONSE, STALL, THROTTLE, FaultyProxy, faulty_proxy
from tests.support.servers import ENDPOINTS, new_bucket, options_for

DATA = np.random.default_rng(0).bytes(300_000)


@pytest.fixture(scope="module", params=sorted(ENDPOINTS))
def endpoint(request) -> Iterator[str]:
    with ENDPOINTS[request.param]() as url:
        yield url


@pytest.fixture
def place(endpoint: str) -> Iterator[tuple[Location, Location, FaultyProxy]]:
    """A bucket as seen through the proxy, the same seen directly, and the proxy."""
    with faulty_proxy(endpoint) as (url, proxy):
        direct = new_bucket(options_for(endpoint))
        yield open_filesystem(direct.uri, _impatient(url)), direct, proxy


def test_without_faults(place) -> None:
    through, direct, _ = place
    write_atomic(through.join("a/b.bin"), DATA)
    assert read_bytes(direct.join("a/b.bin")) == DATA
    assert [[path for path, _ in files] for _, files in walk_files(through)] == [[f"{through.path}/a/b.bin"]]
    assert not exists(through.join("a/c.bin"))


@pytest.mark.parametrize("fault", [THROTTLE, STALL, CUT_RESPONSE])
def test_reading_goes_on_after(place, fault: str) -> None:
    through, direct, proxy = place
    write_atomic(direct.join("a.bin"), DATA)
    proxy.fail("GET", fault, 2)
    assert read_bytes(through.join("a.bin")) == DATA
    proxy.fail("GET", fault, 1)
    with open_seekable(through.join("a.bin")) as file:
        assert file.read() == DATA
    assert proxy.met == [fault] * 3


@pytest.mark.parametrize("fault", [THROTTLE, CUT_RESPONSE])
def test_parquet_is_read_and_listed_after(place, fault: str) -> None:
    through, direct, proxy = place
    table = pa.table({"number": np.random.default_rng(1).random(20_000)})
    target = direct.join("set/part.parquet")
    pq.write_table(table, target.path, filesystem=target.arrow())
    proxy.fail("GET", fault, 2)
    [found] = list_parquet(f"{through.uri}/set", _impatient(through.filesystem.endpoint_url))
    assert pq.read_table(found.path, filesystem=found.arrow()).equals(table)
    assert proxy.met == [fault] * 2


@pytest.mark.parametrize("fault", [THROTTLE, STALL, CUT_REQUEST])
def test_writing_goes_on_after(place, fault: str, tmp_path) -> None:
    through, direct, proxy = place
    proxy.fail("PUT", fault, 1)
    write_atomic(through.join("a.bin"), DATA)
    (tmp_path / "part").write_bytes(DATA[::-1])
    proxy.fail("PUT", fault, 1)
    publish(str(tmp_path / "part"), through.join("b.bin"))
    table = pa.table({"number": np.random.default_rng(1).random(20_000)})
    proxy.fail("PUT", fault, 1)
    pq.write_table(table, through.join("c.parquet").path, filesystem=through.arrow())
    assert read_bytes(direct.join("a.bin")) == DATA
    assert read_bytes(direct.join("b.bin")) == DATA[::-1]
    assert pq.read_table(direct.join("c.parquet").path, filesystem=direct.arrow()).equals(table)
    assert proxy.met == [fault] * 3


def test_a_reader_never_sees_a_part(place) -> None:
    """While a write is cut again and again, a reader sees nothing, then everything."""
    through, direct, proxy = place
    proxy.fail("PUT", CUT_REQUEST, 3)
    writer = threading.Thread(target=write_atomic, args=(through.join("a.bin"), DATA))
    writer.start()
    seen = set()
    while writer.is_alive():
        seen.add(len(read_bytes(direct.join("a.bin"))) if exists(direct.join("a.bin")) else 0)
    writer.join()
    assert read_bytes(direct.join("a.bin")) == DATA
    assert seen <= {0, len(DATA)}


def test_what_does_not_end_is_a_clear_error_and_leaves_nothing(place) -> None:
    through, direct, proxy = place
    proxy.fail("PUT", THROTTLE, 1000)
    impatient = open_filesystem(f"{through.uri}/a.bin", _impatient(through.filesystem.endpoint_url) | {"retries": 1})
    with pytest.raises(StorageError, match=r"cannot write s3://bucket-.*/a.bin: .*reduce your request rate"):
        write_atomic(impatient, DATA)
    assert not exists(direct.join("a.bin"))


def test_ingest_through_faults_writes_what_it_writes_without(place, tmp_path) -> None:
    through, direct, proxy = place
    for number in range(6):
        write_atomic(direct.join(f"corpus/{number}.flac"), encoded(noise(9.0, seed=number), "flac"))
    for bucket, output in ((direct, "calm"), (through, "rough")):
        (tmp_path / "s3.json").write_text(json.dumps(_impatient(bucket.filesystem.endpoint_url)))
        if bucket is through:
            for method, fault in (("GET", CUT_RESPONSE), ("GET", THROTTLE), ("PUT", CUT_REQUEST), ("PUT", THROTTLE)):
                proxy.fail(method, fault, 2)
        more = ["--storage-options", str(tmp_path / "s3.json"), "--max-seconds", "6"]
        assert main([f"{bucket.uri}/corpus", "--output", f"{bucket.uri}/{output}", *more]) == 0
    assert len(proxy.met) == 8
    calm, rough = (read_bytes(direct.join(output, "part-000000.parquet")) for output in ("calm", "rough"))
    assert calm == rough


def test_a_folder_of_many_pages_is_walked_whole(place, monkeypatch) -> None:
    through, _, _ = place
    for number in range(7):
        write_atomic(through.join(f"set/{number}.bin"), b"x" * number)
    write_atomic(through.join("set/below/a.bin"), b"")
    call = through.filesystem.call_s3
    monkeypatch.setattr(through.filesystem, "call_s3", lambda method, **more: call(method, MaxKeys=3, **more))
    pages = list(walk_files(through.join("set")))
    assert len(pages) > 2
    names = [path.rsplit("/", 1)[1] for _, files in pages for path, _ in files]
    assert names == [f"{number}.bin" for number in range(7)] + ["a.bin"]
    assert [size for _, files in pages for _, size in files] == [*range(7), 0]


def _impatient(endpoint: str) -> dict[str, object]:
    return options_for(endpoint, timeout_seconds=3, retries=4)
