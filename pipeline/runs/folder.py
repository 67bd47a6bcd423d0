"""The folder of one run, ``O/<fingerprint>``: what lies where."""

import dataclasses
import json
import os
import shutil
import uuid
from typing import Any

from pipeline.errors import InputError
from pipeline.storage import Location, exists, read_bytes, remove, walk_files, write_atomic, write_json

TRANSCRIPTS = "transcripts"
"""Folder of a run that holds its rows."""


@dataclasses.dataclass(frozen=True)
class RunFolder:
    """What lies where below ``O/<fingerprint>``; names with ``_`` are internal and skipped by parquet readers."""

    root: Location

    @property
    def transcripts(self) -> Location:
        return self.root.join(TRANSCRIPTS)

    @property
    def data(self) -> Location:
        """Where the rows are."""
        return self.transcripts

    @property
    def decisions(self) -> Location:
        """Of a run with a policy, what that decided (DECISIONS): a file for every file of rows, of the same name."""
        return self.root.join("decisions")

    @property
    def lists(self) -> Location:
        """The run's copy of its entity lists (pipeline.entities.snapshot)."""
        return self.root.join("lists")

    @property
    def checkpoint(self) -> Location:
        """Ids of finished rows, as Ray Data keeps them."""
        return self.root.join("_checkpoint")

    @property
    def recordings(self) -> Location:
        """Of a run with a session: CLEAR rows, a file per file of the cached first pass."""
        return self.root.join("_recordings")

    @property
    def forgetting(self) -> Location:
        """Ids of rows that are being forgotten (pipeline.runs.forget), there for as long as that takes."""
        return self.root.join("_forgetting.json")

    @property
    def changes(self) -> Location:
        """Of a reprocessed run: per utterance, what changed (pipeline.reprocess.changes)."""
        return self.root.join("changes.parquet")

    @property
    def changes_page(self) -> Location:
        """The same for people."""
        return self.root.join("changes.html")

    @property
    def unfinished_changes(self) -> Location:
        """Until the reprocessed run is complete: what changed, a file per file of rows."""
        return self.root.join("_changes")

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

    def decision_files(self) -> list[Location]:
        """Return the files of decisions, sorted; none of a run without a policy."""
        if not exists(self.decisions):
            return []
        return [Location(self.root.filesystem, path) for _, files in walk_files(self.decisions) for path, _ in files]

    def read_record(self) -> dict[str, Any] | None:
        """Return the content of run.json, or None if there is none; raises InputError if it is broken."""
        if not exists(self.record):
            return None
        try:
            record = json.loads(read_bytes(self.record))
        except ValueError as error:
            raise InputError(
                f"{self.record.uri}: is not JSON ({error}); remove it and run the same command again, which writes it "
                f"anew, or give the rows alone: {self.data.uri}."
            ) from error
        if not isinstance(record, dict):
            raise InputError(
                f"{self.record.uri}: must hold a JSON object, got {type(record).__name__}; remove it and "
                "run the same command again, which writes it anew."
            )
        return record

    def write_record(self, record: dict[str, Any]) -> None:
        write_json(self.record, record)

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
