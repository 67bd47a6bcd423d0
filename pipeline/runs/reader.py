"""The rows of a run, a batch at a time, with what the audio says of each utterance."""

import contextlib
import datetime
import json
from collections.abc import Generator, Iterator, Sequence
from sqlite3 import Connection
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline import storage
from pipeline.errors import InputError
from pipeline.schemas import AUDIO, TRANSCRIPTS, conform
from pipeline.storage import Location
from pipeline.storage.disk_table import insert
from pipeline.storage.s3_options import Options

CONTEXT = ("recording_id", "speaker", "session", "start_seconds", "end_seconds")
"""Columns of AUDIO that tell where an utterance comes from; null where the audio was not given (--audio)."""

TRANSCRIPTS_EXPORT = pa.schema([*TRANSCRIPTS, *(AUDIO.field(name) for name in CONTEXT)])
"""Rows of parquet, hf and jsonl."""

READ_ROWS = 1024
"""Rows per batch: with n-best lists some 10 MB."""
_KEYS = 500  # ids per query; SQLite takes at least 999
_DAYS = ("date", "recorded_at", "timestamp")
"""Columns of audio that may tell the day of an utterance."""

Batch: TypeAlias = pa.Table
"""TRANSCRIPTS_EXPORT rows with two columns more, ``audio_path`` and ``date``, which formats may use."""
_BESIDE = pa.schema([("audio_path", pa.string()), ("date", pa.string())])
BATCH_COLUMNS = tuple(_BESIDE.names)


class Run:
    """A run directory, or a folder, glob or file of TRANSCRIPTS parquet."""

    def __init__(self, path: str, options: Options | None = None) -> None:
        """Raises StorageError if there is nothing, InputError if run.json is broken or says that rows are missing."""
        root = storage.open_filesystem(path, options)
        record = root.join("run.json")
        self.record: dict[str, Any] = _read_record(record) if not _is_glob(path) and storage.exists(record) else {}
        inner = f"{path.rstrip('/')}/transcripts"
        self.files = storage.list_parquet(inner if self.record else path, options)
        self.uri = root.uri

    @property
    def rows(self) -> int:
        """Rows of all files, from their footers; raises InputError for files that are no parquet."""
        return sum(_footer_rows(file) for file in self.files)

    @property
    def date(self) -> str | None:
        """Day on which the run began, if its record says so."""
        return str(self.record["started"])[:10] if "started" in self.record else None

    def batches(self, context: "Context | None" = None) -> Iterator[Batch]:
        """Yield all rows, file by file; raises InputError for files that are no TRANSCRIPTS."""
        for file in self.files:
            try:
                with pq.ParquetFile(file.path, filesystem=file.arrow()) as parquet:
                    for batch in parquet.iter_batches(READ_ROWS):
                        rows = with_context(pa.Table.from_batches([batch]), file.uri)
                        yield _beside(rows, self.date) if context is None else context.join(rows, self.date)
            except (pa.ArrowInvalid, OSError) as error:
                raise InputError(f"{file.uri}: cannot be read as parquet ({error}).") from error


def with_context(rows: pa.Table, source: str) -> pa.Table:
    """Return TRANSCRIPTS rows, with or without context columns, as TRANSCRIPTS_EXPORT; raises InputError."""
    return conform(rows, TRANSCRIPTS_EXPORT, ("utterance_id", "text"), source)


def _footer_rows(file: Location) -> int:
    try:
        return int(pq.read_metadata(file.path, filesystem=file.arrow()).num_rows)
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(f"{file.uri}: cannot be read as parquet ({error}).") from error


def _is_glob(path: str) -> bool:
    return any(sign in path for sign in "*?[")


def _read_record(location: Location) -> dict[str, Any]:
    try:
        record = json.loads(storage.read_bytes(location))
    except ValueError as error:
        raise InputError(f"{location.uri}: is not JSON ({error}); run the transcription again.") from error
    if not isinstance(record, dict):
        raise InputError(f"{location.uri}: must hold a JSON object, got {type(record).__name__}.")
    return record


def _beside(rows: pa.Table, date: str | None) -> Batch:
    rows = rows.append_column(_BESIDE.field("audio_path"), pa.nulls(len(rows), pa.string()))
    return rows.append_column(_BESIDE.field("date"), pa.array([date] * len(rows), pa.string()))


class Context:
    """What AUDIO parquet says of utterances, in a temporary database: memory does not grow with the corpus."""

    def __init__(self, connection: Connection, audio: Sequence[Location]) -> None:
        """Reads ids and labels of all ``audio`` files, never the audio itself. Raises InputError."""
        self._connection = connection
        columns = ", ".join(f'"{name}"' for name in (*CONTEXT, *BATCH_COLUMNS))
        connection.execute(f"CREATE TABLE context (id TEXT PRIMARY KEY, {columns}) WITHOUT ROWID")
        places = ", ".join("?" * (1 + len(CONTEXT) + len(BATCH_COLUMNS)))
        for file in audio:
            with contextlib.closing(_facts(file)) as facts:
                insert(connection, f"INSERT OR REPLACE INTO context VALUES ({places})", facts)

    def join(self, rows: pa.Table, date: str | None) -> Batch:
        """Return the rows with what is known of them; ``date`` where the audio does not tell the day."""
        names = rows["utterance_id"].to_pylist()
        known: dict[str, tuple[Any, ...]] = {}
        for at in range(0, len(names), _KEYS):
            keys = names[at : at + _KEYS]
            query = f"SELECT * FROM context WHERE id IN ({', '.join('?' * len(keys))})"
            known |= {found[0]: found[1:] for found in self._connection.execute(query, keys)}
        nothing = (None,) * (len(CONTEXT) + len(BATCH_COLUMNS))
        columns = list(zip(*(known.get(name, nothing) for name in names), strict=True)) or [()] * len(nothing)
        for name, values in zip(CONTEXT, columns, strict=False):
            field = AUDIO.field(name)
            rows = rows.set_column(rows.column_names.index(name), field, pa.array(values, field.type))
        paths, days = columns[len(CONTEXT) :]
        rows = rows.append_column(_BESIDE.field("audio_path"), pa.array(paths, pa.string()))
        return rows.append_column(_BESIDE.field("date"), pa.array([day or date for day in days], pa.string()))


def _facts(file: Location) -> Generator[tuple[Any, ...], None, None]:
    try:
        with pq.ParquetFile(file.path, filesystem=file.arrow()) as parquet:
            names = parquet.schema_arrow.names
            if "utterance_id" not in names:
                raise InputError(f"{file.uri}: column 'utterance_id' is missing; it has {names}.")
            day = next((name for name in _DAYS if name in names), None)
            kept = ["utterance_id", *(name for name in CONTEXT if name in names), *([day] if day else [])]
            path = ["audio.path"] if "audio" in names else []
            for batch in parquet.iter_batches(READ_ROWS, columns=[*kept, *path]):
                for row in batch.to_pylist():
                    where = (row.get("audio") or {}).get("path")
                    context = [row.get(name) for name in CONTEXT]
                    yield (row["utterance_id"], *context, where, _day(row.get(day)) if day else None)
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(f"{file.uri}: cannot be read as parquet ({error}).") from error


def _day(value: object) -> str | None:
    """Return YYYY-MM-DD of a date, a timestamp or a text that begins with one."""
    if isinstance(value, datetime.date):  # and datetime, which is one
        return value.isoformat()[:10]
    text = str(value or "")[:10]
    try:
        return datetime.date.fromisoformat(text).isoformat()
    except ValueError:
        return None
