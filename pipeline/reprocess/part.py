"""One file of a run and its new version: read, redone, and committed so that it is there once.

A part commits as Ray Data's sinks do, so that an unfinished new version is an unfinished run, whoever goes on with it:
the ids as ``<file>.pending.parquet`` among the checkpoints, then what changed, then the rows, then the ids' file
renamed. A part whose ids are committed is not done again.
"""

import dataclasses
import io
import json
from collections.abc import Callable, Sequence
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.reprocess.changes import Totals, changes_of, changes_table, count
from pipeline.reprocess.redo import Redo
from pipeline.runs.folder import RunFolder
from pipeline.runs.transcript_files import has_decisions, write_decisions, write_transcripts
from pipeline.storage import Location, attempt, exists, parquet_bytes, read_bytes, read_table, remove, write_atomic

_TOTALS = b"rollcall.totals"


@dataclasses.dataclass(frozen=True)
class Part:
    """A file of the old version, and the files of the cache that hold the first pass of its rows."""

    written: Location
    emissions: tuple[Location, ...]

    @property
    def name(self) -> str:
        """Of the file, without its ending; the new version's file has the same."""
        return self.written.name.removesuffix(".parquet")


@dataclasses.dataclass(frozen=True)
class NewVersion:
    """Where a new version's files go."""

    folder: RunFolder

    def rows_of(self, part: Part) -> Location:
        return self.folder.transcripts.join(f"{part.name}.parquet")

    def decisions_of(self, part: Part) -> Location:
        return self.folder.decisions.join(f"{part.name}.parquet")

    def committed(self, part: Part) -> Location:
        return self.folder.checkpoint.join(f"{part.name}.parquet")

    def pending(self, part: Part) -> Location:
        return self.folder.checkpoint.join(f"{part.name}.pending.parquet")

    def changes_of(self, part: Part) -> Location:
        return self.folder.unfinished_changes.join(f"{part.name}.parquet")

    def has(self, part: Part) -> bool:
        """Whether the part is there with all that the new version's report needs."""
        return exists(self.committed(part)) and exists(self.changes_of(part))


def redo_part(part: Part, targets: Sequence[tuple[NewVersion, Redo]]) -> list[Totals]:
    """Reprocess a part for every new version that lacks it, and return the totals of each.

    Several new versions are made from one reading of the part. Raises StorageError, and InputError if the cached
    first pass is not that of the run.
    """
    missing = [target for target, _ in targets if not target.has(part)]
    if not missing:
        return [read_totals(target.changes_of(part)) for target, _ in targets]
    written = read_table(part.written)
    emissions = pa.concat_tables([read_table(file) for file in part.emissions])
    return [
        _redo(part, target, redo, written, emissions) if target in missing else read_totals(target.changes_of(part))
        for target, redo in targets
    ]


def _redo(part: Part, target: NewVersion, redo: Redo, written: pa.Table, emissions: pa.Table) -> Totals:
    redone = redo.redo(written, emissions)
    totals = count(written, redone.rows, redone.changes, redone.recomputed)
    ids = parquet_bytes(redone.rows.select(["utterance_id"]))
    changes = changes_table(redone.changes).replace_schema_metadata({_TOTALS: json.dumps(dataclasses.asdict(totals))})
    write_atomic(target.pending(part), ids)
    remove(target.committed(part))  # there if only the changes were lost
    write_atomic(target.changes_of(part), parquet_bytes(changes))
    if has_decisions(redone.rows):
        write_atomic(target.decisions_of(part), _written(redone.rows, write_decisions))
    write_atomic(target.rows_of(part), _written(redone.rows, write_transcripts))
    pending, committed = target.pending(part), target.committed(part)
    attempt(lambda: pending.filesystem.mv(pending.path, committed.path), committed, "write")
    return totals


def read_totals(file: Location) -> Totals:
    """Return the totals that stand in a part's changes; raises StorageError if they cannot be read."""
    metadata = attempt(lambda: pq.read_schema(io.BytesIO(read_bytes(file))).metadata, file, "read")
    return Totals(**json.loads(metadata[_TOTALS]))


def read_changes(file: Location) -> pa.Table:
    """Return the CHANGES rows of a part, without its totals."""
    return changes_table(changes_of(read_table(file)))


def _written(rows: pa.Table, write: Callable[[pa.Table, BinaryIO], object]) -> bytes:
    buffer = io.BytesIO()
    write(rows, buffer)
    return buffer.getvalue()
