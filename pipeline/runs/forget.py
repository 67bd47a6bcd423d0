"""Rows with errors are forgotten, so that the run does them again as if they had never been done."""

import io
import json
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline import storage
from pipeline.runs.emission_cache import write_emissions
from pipeline.runs.folder import RunFolder
from pipeline.storage import Location


def forget_errors(folder: RunFolder, wanted: bool) -> int:
    """Remove rows with errors from the files and from the checkpoints if ``wanted``; return how many were removed.

    Safe to break off and to begin again: what an earlier attempt had begun to forget is forgotten even if not
    ``wanted``, as such rows may be gone from the files and still count as done. Raises StorageError.
    """
    intent = folder.forgetting
    ids = json.loads(storage.read_bytes(intent)) if storage.exists(intent) else []
    if wanted:
        ids = sorted({*ids, *(name for file in folder.files() for name in _with_errors(file))})
    if not ids:
        return 0
    storage.write_atomic(intent, json.dumps(ids).encode())
    storage.remove(folder.success)
    for file in (*folder.files(), *_checkpoints(folder)):
        _remove_rows(file, ids)
    storage.remove(intent)
    return len(ids)


def _with_errors(file: Location) -> list[str]:
    def read() -> pa.Table:
        return pq.read_table(file.path, filesystem=file.arrow(), partitioning=None, columns=["utterance_id", "error"])

    table = storage.attempt(read, file, "read")
    names: list[str] = table.filter(pc.is_valid(table["error"]))["utterance_id"].to_pylist()
    return names


def _checkpoints(folder: RunFolder) -> Iterator[Location]:
    if storage.exists(folder.checkpoint):
        for _, files in storage.walk_files(folder.checkpoint):
            yield from (Location(folder.root.filesystem, path) for path, _ in files if path.endswith(".parquet"))


def _remove_rows(file: Location, ids: list[str]) -> None:
    """Write the file without these rows, at once. One that has none of them stays, one that has no other goes."""
    table = storage.read_table(file)
    kept = table.filter(pc.invert(pc.is_in(table["utterance_id"], pa.array(ids, pa.string()))))
    if len(kept) == len(table):
        return
    if not len(kept):
        storage.remove(file)
        return
    if "token_ids" in kept.column_names:
        buffer = io.BytesIO()
        write_emissions(kept, buffer)
        storage.write_atomic(file, buffer.getvalue())
    else:
        storage.write_atomic(file, storage.parquet_bytes(kept))
