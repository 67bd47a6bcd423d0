"""Shards: parquet files of the AUDIO schema that appear whole or not at all, with their counts in the footer."""

import dataclasses
import json
import os
import tempfile
import uuid
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.errors import StorageError
from pipeline.ingest.plan import read_unit, scratch_folder, shard
from pipeline.ingest.recordings import Recording
from pipeline.ingest.rows import Row, RowMaker
from pipeline.schemas import AUDIO
from pipeline.storage import Location, attempt, publish

_ROW_GROUP_BYTES = 32 << 20  # of audio: what a writer holds, and a reader must
_COUNTS_KEY = b"rollcall.counts"
_EXAMPLES = 3  # errors that a shard's counts quote
_REPEATING = ["speaker", "session", "tenant", "recording_id", "recording_path"]
"""Columns worth a dictionary; encoded audio is not, nor compression."""


@dataclasses.dataclass(frozen=True)
class IngestJob:
    """What every worker needs; small, and safe to send."""

    source: Location
    output: Location
    max_seconds: float
    id_column: str | None = None
    audio_root: Location | None = None
    channels: str = "mix"


@dataclasses.dataclass
class Counts:
    """What one shard, or a whole ingest, holds."""

    rows: int = 0
    errors: int = 0
    audio_seconds: float = 0.0
    pieces: int = 0  # rows that were cut from recordings
    texts_left_out: int = 0  # transcripts of recordings that were cut
    quiet_mixes: int = 0  # files whose channels cancel each other when they are mixed
    examples: list[str] = dataclasses.field(default_factory=list)

    def note(self, row: Row) -> None:
        """Count one row."""
        self.rows += 1
        self.audio_seconds += row.get("duration_seconds") or 0.0
        self.pieces += row.get("recording_id") is not None
        if row.get("error"):
            self.errors += 1
            self.examples = [*self.examples, row["error"]][:_EXAMPLES]

    def add(self, other: "Counts", examples: int) -> None:
        """Take another shard's counts in, keeping at most ``examples`` errors."""
        for field in ("rows", "errors", "audio_seconds", "pieces", "texts_left_out", "quiet_mixes"):
            setattr(self, field, getattr(self, field) + getattr(other, field))
        self.examples = [*self.examples, *other.examples][:examples]


def ingest_unit(job: IngestJob, unit: int) -> Counts:
    """Write the shard of one unit and return its counts; raises StorageError if the storage fails."""
    recordings = read_unit(job.output, unit)
    target = shard(job.output, unit)
    folder = scratch_folder(job.output).path if job.output.is_local else tempfile.gettempdir()
    temporary = f"{folder}/{target.name}.{uuid.uuid4().hex}"
    try:
        counts = _write(job, recordings, temporary)
        publish(temporary, target)
    except OSError as error:
        raise StorageError(f"cannot write {temporary}: {error}; the same command resumes where it stopped.") from error
    finally:
        if os.path.exists(temporary):
            os.unlink(temporary)
    return counts


def read_counts(location: Location) -> Counts:
    """Return the counts of a finished shard from its footer."""
    footer = attempt(lambda: pq.read_metadata(location.path, filesystem=location.arrow()), location, "read")
    values: dict[str, Any] = json.loads((footer.metadata or {}).get(_COUNTS_KEY, b"null")) or {}
    if not values:
        raise StorageError(f"{location.uri} was not written by jobs.ingest; choose an empty --output.")
    return Counts(**values)


def _write(job: IngestJob, recordings: list[Recording], path: str) -> Counts:
    counts, pending, size = Counts(), [], 0
    maker = RowMaker(job.source, job.max_seconds, job.id_column, job.audio_root, job.channels)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with pq.ParquetWriter(path, AUDIO, use_dictionary=_REPEATING, compression="none") as writer:
        for recording in recordings:
            for row in maker.rows(recording):
                counts.note(row)
                pending.append(row)
                size += len(row["audio"]["bytes"] or b"")
                if size >= _ROW_GROUP_BYTES:
                    writer.write_table(pa.Table.from_pylist(pending, schema=AUDIO))
                    pending, size = [], 0
        if pending:
            writer.write_table(pa.Table.from_pylist(pending, schema=AUDIO))
        counts.texts_left_out, counts.quiet_mixes = maker.texts_left_out, maker.quiet_mixes
        writer.add_key_value_metadata({_COUNTS_KEY.decode(): json.dumps(dataclasses.asdict(counts))})
    return counts
