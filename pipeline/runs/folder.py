"""The folder of one run, ``O/<fingerprint>``: what lies where."""

import dataclasses
import json
import os
import shutil
import uuid
from typing import Any

from pipeline.errors import StorageError
from pipeline.storage import Location, exists, read_bytes, remove, walk_files, write_atomic


@dataclasses.dataclass(frozen=True)
class RunFolder:
    """What lies where below ``O/<fingerprint>``; names with ``_`` are internal and skipped by parquet readers."""

    root: Location

    @property
    def transcripts(self) -> Location:
        return self.root.join("transcripts")

    @property
    def data(self) -> Location:
        """Where the rows are."""
        return self.transcripts

    @property
    def lists(self) -> Location:
        """The run's copy of its entity lists (pipeline.entities.snapshot)."""
        return self.root.join("lists")

    @property
    def checkpoint(self) -> Location:
        """Ids of finished rows, as Ray Data keeps them."""
        return self.root.join("_checkpoint")

    @property
    def record(self) -> Location:
        return self.root.join("run.json")

    @property
    def success(self) -> Location:
        """The manifest (pipeline.runs.manifest), written when the run is complete."""
        return self.root.join("_SUCCESS")

    @property
    def fence(self) -> Location:
        """The name of the attempt that may write."""
        return self.root.join("_attempt")

    @property
    def writing(self) -> Location:
        """Local runs only: files that are being written."""
        return self.root.join("_writing")

    def files(self) -> list[Location]:
        """Return the files of rows written so far, sorted."""
        if not exists(self.data):
            return []
        paths = [path for _, files in walk_files(self.data) for path, _ in files]
        return [Location(self.root.filesystem, path) for path in paths if path.endswith(".parquet")]

    def read_record(self) -> dict[str, Any] | None:
        """Return the content of run.json, or None if there is none; raises StorageError if it is broken."""
        if not exists(self.record):
            return None
        try:
            record: dict[str, Any] = json.loads(read_bytes(self.record))
        except ValueError as error:
            raise StorageError(
                f"{self.record.uri}: is not JSON ({error}); delete it to finish the run anew."
            ) from error
        return record

    def write_record(self, record: dict[str, Any]) -> None:
        write_atomic(self.record, (json.dumps(record, indent=2, ensure_ascii=False) + "\n").encode())

    def start_attempt(self) -> str:
        """Return the name of a new attempt; whatever an attempt before it was still writing can no longer appear.

        Local runs write below ``_writing/<attempt>`` and rename. With that folder gone, a worker that outlived a
        killed driver fails at its next write instead of adding rows that the new attempt adds too. On s3 the name of
        the attempt stands in ``_attempt``, and a worker writes only while that is its own.
        """
        name = uuid.uuid4().hex[:8]
        remove(self.success)  # what is being changed is not complete
        write_atomic(self.fence, name.encode())
        if self.root.is_local:
            shutil.rmtree(self.writing.path, ignore_errors=True)
            os.makedirs(self.writing.join(name).path)
        return name

    def end_attempt(self) -> None:
        """Remove what only a running attempt needs."""
        if self.root.is_local:
            shutil.rmtree(self.writing.path, ignore_errors=True)
