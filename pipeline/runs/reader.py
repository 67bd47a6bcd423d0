"""The rows of a run, a batch at a time, with what the audio says of each utterance."""

import contextlib
import datetime
from collections.abc import Collection, Generator, Iterator, Sequence
from sqlite3 import Connection
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline import storage
from pipeline.errors import InputError
from pipeline.runs.folder import TRANSCRIPTS as TRANSCRIPTS_FOLDER
from pipeline.runs.folder import RunFolder
from pipeline.schemas import ORIGIN, TRANSCRIPTS, conform, path_of_recording
from pipeline.storage import Location
from pipeline.storage.disk_table import insert
from pipeline.storage.s3_options import Options

READ_ROWS = 1024
"""Rows per batch: with n-best lists some 10 MB."""
_KEYS = 500  # ids per query; SQLite takes at least 999
_DAYS = ("date", "recorded_at", "timestamp")
"""Columns of audio that may tell the day of an utterance."""

_NEEDED = ("utterance_id", "text")

Batch: TypeAlias = pa.Table
"""TRANSCRIPTS rows with one column more, ``date``."""
_DATE = pa.field("date", pa.string())


class Run:
    """A run directory, or a folder, glob or file of TRANSCRIPTS parquet."""

    def __init__(self, path: str, options: Options | None = None) -> None:
        """Raises StorageError if there is nothing, InputError if run.json is broken or says that rows are missing."""
        self._folder = RunFolder(storage.open_filesystem(path, options))
        pattern = storage.is_pattern(self._folder.root)
        self.record: dict[str, Any] = {} if pattern else self._folder.read_record() or {}
        self.files = storage.list_parquet(f"{path.rstrip('/')}/{TRANSCRIPTS_FOLDER}" if self.record else path, options)
        self.uri = self._folder.root.uri

    @property
    def folder(self) -> RunFolder | None:
        """Where the run lies; None for rows without a record."""
        return self._folder if self.record else None

    @property
    def tells_origin(self) -> bool:
        """Whether the rows say which recording they are of (ORIGIN); runs of an earlier version do not."""
        return all(set(ORIGIN) <= set(_schema(file).names) for file in self.files[:1])

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
                        rows = conform(pa.Table.from_batches([batch]), TRANSCRIPTS, _NEEDED, file.uri)
                        yield _dated(rows, self.date) if context is None else context.join(rows, self.date)
            except (pa.ArrowInvalid, OSError) as error:
                raise InputError(f"{file.uri}: cannot be read as parquet ({error}).") from error

    def rows(self, ids: Collection[str], columns: Sequence[str]) -> Iterator[dict[str, Any]]:
        """Yield the rows of the utterances ``ids``, in the order of the run; raises InputError as ``batches`` does."""
        wanted = pa.array(sorted(ids), pa.string())
        for batch in self.batches():
            yield from batch.filter(pc.is_in(batch["utterance_id"], wanted)).select(list(columns)).to_pylist()


def _schema(file: Location) -> pa.Schema:
    return _footer(file).schema.to_arrow_schema()


def _footer(file: Location) -> pq.FileMetaData:
    try:
        return pq.read_metadata(file.path, filesystem=file.arrow())
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(f"{file.uri}: cannot be read as parquet ({error}).") from error


def _dated(rows: pa.Table, date: str | None) -> Batch:
    return rows.append_column(_DATE, pa.array([date] * len(rows), _DATE.type))


class Context:
    """What AUDIO parquet says of utterances, in a temporary database: memory does not grow with the corpus."""

    def __init__(self, connection: Connection, audio: Sequence[Location]) -> None:
        """Reads ids and labels of all ``audio`` files, never the audio itself. Raises InputError."""
        self._connection = connection
        columns = ", ".join(f'"{name}"' for name in (*ORIGIN, "date"))
        connection.execute(f"CREATE TABLE context (id TEXT PRIMARY KEY, {columns}) WITHOUT ROWID")
        places = ", ".join("?" * (len(ORIGIN) + 2))
        for file in audio:
            with contextlib.closing(_facts(file)) as facts:
                insert(connection, f"INSERT OR REPLACE INTO context VALUES ({places})", facts)

    def join(self, rows: pa.Table, date: str | None) -> Batch:
        """Return the rows with what is known of them: what the audio does not tell stays, such as ``date``."""
        names = rows["utterance_id"].to_pylist()
        known: dict[str, tuple[Any, ...]] = {}
        for at in range(0, len(names), _KEYS):
            keys = names[at : at + _KEYS]
            query = f"SELECT * FROM context WHERE id IN ({', '.join('?' * len(keys))})"
            known |= {found[0]: found[1:] for found in self._connection.execute(query, keys)}
        nothing = (None,) * (len(ORIGIN) + 1)
        rows = _dated(rows, date)
        for place, name in enumerate((*ORIGIN, "date")):
            field, index = rows.schema.field(name), rows.column_names.index(name)
            told = pa.array([known.get(key, nothing)[place] for key in names], field.type)
            rows = rows.set_column(index, field, pc.coalesce(told, rows[name]))
        return rows


def _facts(file: Location) -> Generator[tuple[Any, ...], None, None]:
    """Yield the id, ORIGIN and the day of each row."""
    try:
        with pq.ParquetFile(file.path, filesystem=file.arrow()) as parquet:
            names = parquet.schema_arrow.names
            if "utterance_id" not in names:
                raise InputError(f"{file.uri}: column 'utterance_id' is missing; it has {names}.")
            day = next((name for name in _DAYS if name in names), None)
            kept = ["utterance_id", *(name for name in ORIGIN if name in names), *([day] if day else [])]
            path = ["audio.path"] if "audio" in names else []
            for batch in parquet.iter_batches(READ_ROWS, columns=[*kept, *path]):
                for row in batch.to_pylist():
                    row["recording_path"] = path_of_recording(row)
                    yield (row["utterance_id"], *map(row.get, ORIGIN), _day(row.get(day)) if day else None)
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
