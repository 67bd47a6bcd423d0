"""Which rows of a run are done, and how a file of rows is added to it: whole or not at all, in two steps.

The format is Ray Data's (ray.data.checkpoint, of Ray 2.60), so that a run begun with Ray is finished without it and the
other way round. ``_checkpoint/NAME.parquet`` holds the ids (column ``utterance_id``) of the rows in the data file
``NAME.parquet``. Before that file is written the ids stand in ``_checkpoint/NAME.pending.parquet``, and once it is
there they are renamed. What is still pending was never finished: its data file goes, and its rows are done again.
"""

import dataclasses
import io
import os
import uuid
from collections.abc import Callable
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline import storage
from pipeline.errors import StorageError
from pipeline.runs.folder import RunFolder
from pipeline.runs.transcript_files import has_decisions, write_decisions
from pipeline.storage import Location

ID_COLUMN = "utterance_id"
_PENDING = ".pending.parquet"
_DONE = ".parquet"


@dataclasses.dataclass(frozen=True)
class Attempt:
    """The attempt that may write into a run's folder now, from ``begin_attempt``; can be sent to workers."""

    folder: RunFolder
    name: str

    def put(self, file: str, write: Callable[[BinaryIO], object], folder: Location | None = None) -> None:
        """Write ``file`` below ``folder``, by default the run's data; readers see the whole of it or nothing.

        Objects on s3 appear when their upload is complete; local files are written elsewhere on the same disk and
        renamed. Raises StorageError if a newer attempt has taken over.
        """
        if self.folder.root.is_local:
            self._write_and_rename(file, write, folder or self.folder.data)
            return
        buffer, place = io.BytesIO(), (folder or self.folder.data).join(file)
        write(buffer)
        self._check()
        storage.write_atomic(place, buffer.getvalue())
        try:
            self._check()
        except StorageError:
            storage.remove(place)  # a newer attempt began meanwhile; it does these rows itself
            raise

    def _check(self) -> None:
        """Raise StorageError if this attempt is no longer the one that may write."""
        current = storage.read_bytes(self.folder.fence).decode()
        if current != self.name:
            raise StorageError(f"{self.folder.root.uri}: attempt {current} has taken over from {self.name}.")

    def put_rows(self, file: str, rows: pa.Table, write: Callable[[pa.Table, BinaryIO], object]) -> None:
        """Write a file of rows; what a policy decided of them, if they carry it, comes before them.

        Decisions without rows are those of an attempt that broke off between the two: ``begin_attempt`` removes them.
        """
        if has_decisions(rows):
            self.put(file, lambda opened: write_decisions(rows, opened), self.folder.decisions)
        self.put(file, lambda opened: write(rows, opened))

    def _write_and_rename(self, file: str, write: Callable[[BinaryIO], object], folder: Location) -> None:
        unfinished = os.path.join(self.folder.writing.join(self.name).path, file)
        _write_synced(unfinished, write)  # fails if a newer attempt has removed the folder
        os.makedirs(folder.path, exist_ok=True)
        os.replace(unfinished, folder.join(file).path)


class Committer:
    """Adds blocks of rows to a run's folder, each with its ids in the checkpoint."""

    def __init__(self, attempt: Attempt, write: Callable[[pa.Table, BinaryIO], object]) -> None:
        """``write``: how rows become a parquet file."""
        self._attempt, self._write = attempt, write
        self._run, self._files = uuid.uuid4().hex, 0
        folder = attempt.folder
        if folder.root.is_local:
            for place in (folder.data, folder.checkpoint):
                os.makedirs(place.path, exist_ok=True)

    def commit(self, rows: pa.Table) -> None:
        """Write one file of rows; once this returns they are done for good. Raises StorageError."""
        base = f"{self._run}_{self._files:06}"  # as Ray Data names files
        self._files += 1
        ids, checkpoint = _id_file(rows), self._attempt.folder.checkpoint
        pending, done = checkpoint.join(base + _PENDING), checkpoint.join(base + _DONE)
        if not done.is_local:
            storage.write_atomic(pending, ids)
            self._attempt.put_rows(base + _DONE, rows, self._write)
            storage.write_atomic(done, ids)
            storage.remove(pending)
            return
        _write_synced(pending.path, lambda file: file.write(ids))  # only its name is read before it is renamed
        self._attempt.put_rows(base + _DONE, rows, self._write)
        os.replace(pending.path, done.path)


def _write_synced(path: str, write: Callable[[BinaryIO], object]) -> None:
    with open(path, "wb") as file:
        write(file)
        file.flush()
        os.fsync(file.fileno())


def _id_file(rows: pa.Table) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.table({ID_COLUMN: rows[ID_COLUMN]}), buffer)
    return buffer.getvalue()


def begin_attempt(folder: RunFolder) -> Attempt:
    """Begin a new attempt at a run: none before it can write any more, and what one left half done is taken back.

    Where ids are both pending and done, their rename on s3, which is a copy, was cut off: those rows are done.
    Raises StorageError.
    """
    attempt = Attempt(folder, folder.start_attempt())
    files = _checkpoint_files(folder)
    pending = {file.name.removesuffix(_PENDING): file for file in files if file.name.endswith(_PENDING)}
    done = {file.name.removesuffix(_DONE) for file in files if not file.name.endswith(_PENDING)}
    unfinished = pending.keys() - done
    for file in folder.files() if unfinished else ():
        if file.name.removesuffix(_DONE) in unfinished:
            storage.remove(file)
    for file in pending.values():
        storage.remove(file)
    rows = {file.name for file in folder.files()}
    for file in folder.decision_files():
        if file.name not in rows:
            storage.remove(file)
    return attempt


def finished_ids(folder: RunFolder) -> set[str]:
    """Return the ids of all rows that are done, as of ``begin_attempt``; raises StorageError."""
    ids: set[str] = set()
    for file in _checkpoint_files(folder):
        if not file.name.endswith(_PENDING):
            ids.update(storage.read_table(file)[ID_COLUMN].to_pylist())
    return ids


def _checkpoint_files(folder: RunFolder) -> list[Location]:
    if not storage.exists(folder.checkpoint):
        return []
    paths = [path for _, files in storage.walk_files(folder.checkpoint) for path, _ in files]
    return [Location(folder.root.filesystem, path) for path in paths if path.endswith(_DONE)]
