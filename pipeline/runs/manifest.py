"""``_SUCCESS``: the manifest of a complete run, and the check of a run against it.

The file appears last and at once. A reader that finds it has every file of the run; one that does not must wait or
resume the run. It names each file below the run's folder with its bytes, SHA-256 and, for parquet, rows; names with
``_`` or ``.`` in front are bookkeeping and stand in no manifest.
"""

import dataclasses
import hashlib
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.errors import StorageError
from pipeline.runs.folder import RunFolder
from pipeline.storage import Location, attempt, exists, read_bytes, walk_files, write_atomic

FORMAT = 1
_CHUNK = 4 << 20  # bytes hashed at a time; bounds memory
_READERS = 8  # files that are read at once: enough to hide an object store's latency


@dataclasses.dataclass(frozen=True)
class FileFacts:
    """What the manifest says of one file; ``path`` is relative to the run's folder."""

    path: str
    bytes: int
    sha256: str
    rows: int | None = None


def write_manifest(folder: RunFolder) -> None:
    """Read every file of the run once and write ``_SUCCESS``; raises StorageError."""
    files = [dataclasses.asdict(facts) for facts in _read_all(folder, _present(folder))]
    content = {"format": FORMAT, "fingerprint": folder.root.name, "files": files}
    write_atomic(folder.success, (json.dumps(content, indent=1) + "\n").encode())


def read_manifest(folder: RunFolder) -> dict[str, FileFacts] | None:
    """Return what ``_SUCCESS`` says by path, None if the run has none; raises StorageError if it is broken."""
    if not exists(folder.success):
        return None
    try:
        files = [FileFacts(**entry) for entry in json.loads(read_bytes(folder.success))["files"]]
    except (ValueError, KeyError, TypeError) as error:
        raise StorageError(f"{folder.success.uri}: is no manifest ({error}); rerun the job.") from error
    return {facts.path: facts for facts in files}


def is_intact(folder: RunFolder) -> bool:
    """Whether the run has a manifest and every file of it is there with its size; opens no file."""
    manifest = read_manifest(folder)
    return manifest is not None and _present(folder) == {path: facts.bytes for path, facts in manifest.items()}


def is_complete(folder: RunFolder) -> bool:
    """Whether the run says that it is complete, and every file of it is there with its size; opens no file of rows."""
    record = folder.read_record()
    return record is not None and record.get("status") == "complete" and is_intact(folder)


def problems(folder: RunFolder) -> list[str]:
    """Return what is wrong with a run: files missing, unexpected or changed, rows lost or repeated; empty if nothing.

    Reads every byte of the run. Raises StorageError if the run has no manifest.
    """
    found = file_problems(folder)
    return found or list(_row_problems(folder, list((read_manifest(folder) or {}).values())))


def file_problems(folder: RunFolder) -> list[str]:
    """Return which files are missing, unexpected or changed; raises StorageError if there is no manifest."""
    manifest = read_manifest(folder)
    if manifest is None:
        raise StorageError(
            f"{folder.root.uri}: has no _SUCCESS; the run is not complete (rerun its command) or is no run."
        )
    there = _present(folder)
    found = [f"{path}: is missing" for path in sorted(manifest.keys() - there.keys())]
    found += [f"{path}: is not in the manifest" for path in sorted(there.keys() - manifest.keys())]
    common = {path: size for path, size in there.items() if path in manifest}
    for facts in _read_all(folder, common):
        found += _changes(manifest[facts.path], facts)
    return found


def _changes(expected: FileFacts, facts: FileFacts) -> Iterator[str]:
    for field in ("bytes", "rows", "sha256"):
        was, now = getattr(expected, field), getattr(facts, field)
        if was != now:
            yield f"{facts.path}: {field} is {now}, the manifest says {was}"
            return


def _row_problems(folder: RunFolder, manifest: list[FileFacts]) -> Iterator[str]:
    """Yield what run.json and the ids say against the rows of the manifest."""
    rows = _data_rows(folder, manifest)
    counted = (folder.read_record() or {}).get("counts", {}).get("rows_out")
    if counted != rows:
        yield f"run.json: counts {counted} rows, {folder.data.name} holds {rows}"
    distinct = len(set(_ids(folder)))
    if distinct != rows:
        yield f"{folder.data.name}: {rows} rows of {distinct} utterances; every utterance must stand there once"


def _data_rows(folder: RunFolder, manifest: list[FileFacts]) -> int:
    below = f"{folder.data.name}/"
    return sum(facts.rows or 0 for facts in manifest if facts.path.startswith(below))


def _ids(folder: RunFolder) -> Iterator[bytes]:
    """Yield a 16-byte hash of every utterance id, so that a large run's ids fit into memory."""
    for file in folder.files():
        table = pq.read_table(file.path, filesystem=file.arrow(), partitioning=None, columns=["utterance_id"])
        for name in table["utterance_id"].to_pylist():
            yield hashlib.blake2b(name.encode(), digest_size=16).digest()


def _present(folder: RunFolder) -> dict[str, int]:
    """Return path and bytes of every file that the manifest speaks of."""
    found = ((folder.root.relative(path), size) for _, files in walk_files(folder.root) for path, size in files)
    return {path: size for path, size in found if not any(part.startswith("_") for part in path.split("/"))}


def _read_all(folder: RunFolder, paths: dict[str, int]) -> Iterator[FileFacts]:
    with ThreadPoolExecutor(_READERS) as readers:
        yield from readers.map(lambda path: _read(folder.root.join(path), path), sorted(paths))


def _read(file: Location, path: str) -> FileFacts:
    digest, size = hashlib.sha256(), 0

    def read() -> None:
        nonlocal digest, size
        digest, size = hashlib.sha256(), 0  # anew, should the storage fail halfway and be asked again
        with file.filesystem.open(file.path, "rb") as stream:
            while chunk := stream.read(_CHUNK):
                digest.update(chunk)
                size += len(chunk)

    attempt(read, file, "read")
    return FileFacts(path, size, digest.hexdigest(), _rows(file) if path.endswith(".parquet") else None)


def _rows(file: Location) -> int | None:
    """Return the rows of a parquet file from its footer, None if it is broken."""
    try:
        return int(pq.read_metadata(file.path, filesystem=file.arrow()).num_rows)
    except pa.ArrowInvalid:
        return None


def summary(folder: RunFolder) -> dict[str, Any]:
    """Return files, bytes and rows of a run as its manifest states them."""
    files = list((read_manifest(folder) or {}).values())
    size = sum(facts.bytes for facts in files)
    return {"files": len(files), "bytes": size, "rows": _data_rows(folder, files)}
