"""Parquet with an ``audio`` column in the Hugging Face layout: struct of ``bytes`` and ``path``."""

import dataclasses
from collections.abc import Iterator
from itertools import islice
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.errors import InputError, StorageError
from pipeline.ingest.notes import Notes
from pipeline.ingest.recordings import Recording, Recordings, Utterance, without_suffix
from pipeline.schemas import path_of_recording
from pipeline.storage import Location, attempt, walk_parquet

COLUMNS = {
    "utterance_id": ("utterance_id", "id", "segment_id", "uid"),
    "text": ("text", "sentence", "transcription", "transcript", "normalized_text", "raw_text"),
    "speaker": ("speaker", "speaker_id", "client_id"),
    "session": ("session", "session_id", "chapter_id", "meeting_id"),
    "tenant": ("tenant", "tenant_id"),
    "entities": ("entities",),
    **{name: (name,) for name in ("recording_id", "recording_path", "start_seconds", "end_seconds")},
}
"""What the columns of public datasets are called; the first that is there is taken."""
ROWS_PER_RECORDING = 256
"""Rows that are worked on together: a row group of a large dataset is shared out to several workers."""
_BATCH = 16  # rows decoded from parquet at a time
_BUFFER = 1 << 20  # bytes read ahead, instead of whole column chunks


@dataclasses.dataclass(frozen=True)
class ParquetRow:
    """One row of audio parquet: what is known of the utterance, its audio, and its own entity list.

    place: recording_path and, of what was cut from a recording, recording_id, start_seconds and end_seconds
    """

    utterance: Utterance
    data: bytes | None
    path: str | None
    entities: list[str] | None
    place: dict[str, Any] = dataclasses.field(default_factory=dict)


def read_audio_parquet(source: Location, _root: Location, _notes: Notes) -> Recordings:
    """Yield the rows of every parquet file in runs of 256; only footers are read.

    Raises InputError for a file that is not parquet or whose columns do not fit.
    """
    base = source.parent if source.filesystem.isfile(source.path) else source
    for location in walk_parquet(source):
        with _open(location) as file:
            _check_columns(file.schema_arrow, location)
            sizes = [file.metadata.row_group(index).num_rows for index in range(file.num_row_groups)]
        for index, rows in enumerate(sizes):
            for first in range(0, rows, ROWS_PER_RECORDING):
                end = min(first + ROWS_PER_RECORDING, rows)
                label = base.relative(location.path)
                yield Recording(location.path, label, row_group=index, first_row=first, end_row=end)


def read_ids(location: Location, label: str, groups: range | None = None) -> Iterator[str]:
    """Yield the utterance ids of some or all row groups in order, as ``read_rows`` gives them, reading no audio."""
    with _open(location) as file:
        column = pick(file.schema_arrow.names, "utterance_id")
        for group in range(file.num_row_groups) if groups is None else groups:
            if column is None:
                rows = file.metadata.row_group(group).num_rows
                yield from (row_id(label, group, row) for row in range(rows))
                continue
            for value in file.read_row_group(group, columns=[column])[column].to_pylist():
                yield _need_id(value, column, location)


def read_rows(location: Location, recording: Recording) -> Iterator[ParquetRow]:
    """Yield rows ``first_row`` up to ``end_row`` of a row group, a few in memory at a time.

    Where the file is damaged, the rest of the rows come without audio and with an error.
    """
    row = recording.first_row
    try:
        for item in _read_rows(location, recording):
            yield item
            row += 1
    except (pa.ArrowException, OSError) as error:
        if not location.is_local and not isinstance(error, pa.ArrowInvalid):
            raise StorageError(f"cannot read {location.uri}: {type(error).__name__}: {error}.") from error
        group = range(recording.row_group or 0, (recording.row_group or 0) + 1)
        for name in islice(read_ids(location, recording.label, group), row, recording.end_row):
            message = f"{name}: {location.uri} is damaged from row {row} of row group {group[0]} on ({error})."
            yield ParquetRow(Utterance(name, error=message), None, None, None)


def _read_rows(location: Location, recording: Recording) -> Iterator[ParquetRow]:
    with _open(location) as file:
        names = {ours: pick(file.schema_arrow.names, ours) for ours in COLUMNS}
        columns = ["audio", *[name for name in names.values() if name]]
        row = 0
        for batch in file.iter_batches(_BATCH, row_groups=[recording.row_group], columns=columns):
            low, high = max(recording.first_row - row, 0), min(recording.end_row - row, len(batch))
            if low < high:
                values = batch.slice(low, high - low).to_pylist()
                yield from (_row(value, names, recording, row + low + at) for at, value in enumerate(values))
            row += len(batch)
            if row >= recording.end_row:
                return


def _row(value: dict[str, Any], names: dict[str, str | None], recording: Recording, row: int) -> ParquetRow:
    def cell(ours: str) -> Any:
        name = names[ours]
        return None if name is None else value[name]

    def text(ours: str) -> str | None:
        return None if cell(ours) is None else str(cell(ours))

    name = text("utterance_id") or row_id(recording.label, recording.row_group or 0, row)
    audio = value["audio"] or {}
    utterance = Utterance(name, text("text"), text("speaker"), text("session"), tenant=text("tenant"))
    return ParquetRow(
        utterance, audio.get("bytes"), audio.get("path"), cell("entities"), _place(value | {"utterance_id": name})
    )


def _place(row: dict[str, Any]) -> dict[str, Any]:
    """Return where the row lies in its recording, as far as the parquet says."""
    place = {"recording_path": path_of_recording(row)}
    if row.get("recording_id") is None or row.get("start_seconds") is None:
        return place
    times = {name: None if row.get(name) is None else float(row[name]) for name in ("start_seconds", "end_seconds")}
    return place | {"recording_id": str(row["recording_id"])} | times


def row_id(label: str, group: int, row: int) -> str:
    """Id of a row of a file that has none: file, row group and row."""
    return f"{without_suffix(label)}-{group:04d}-{row:07d}"


def pick(names: list[str], ours: str) -> str | None:
    """Return which of a dataset's columns holds ``ours``, if any does."""
    return next((name for name in COLUMNS[ours] if name in names), None)


def _open(location: Location) -> pq.ParquetFile:
    def opened() -> pq.ParquetFile:
        return pq.ParquetFile(location.path, filesystem=location.arrow(), buffer_size=_BUFFER, pre_buffer=False)

    try:
        return attempt(opened, location, "read", passing=(pa.ArrowInvalid,))
    except pa.ArrowInvalid as error:
        raise InputError(f"{location.uri}: not a parquet file, or damaged ({error}).") from error


def _check_columns(schema: pa.Schema, location: Location) -> None:
    if "audio" not in schema.names:
        raise InputError(
            f"{location.uri}: column 'audio' is missing; it has {schema.names}. Needed is struct<bytes, path>."
        )
    kind = schema.field("audio").type
    if not pa.types.is_struct(kind) or kind.get_field_index("bytes") < 0:
        raise InputError(f"{location.uri}: column 'audio' is {kind}, needed is struct<bytes: binary, path: string>.")
    wanted = {"utterance_id": _is_id, "text": _is_text, "entities": _is_list}
    wanted |= {"start_seconds": _is_seconds, "end_seconds": _is_seconds}
    for ours, allowed in wanted.items():
        name = pick(schema.names, ours)
        if name is not None and not allowed(schema.field(name).type):
            needed = {"entities": "list<string>"}.get(ours, "double" if ours.endswith("_seconds") else "string")
            raise InputError(f"{location.uri}: column '{name}' is {schema.field(name).type}, needed is {needed}.")


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_null(kind))


def _is_id(kind: pa.DataType) -> bool:
    return bool(_is_text(kind) or pa.types.is_integer(kind))


def _is_list(kind: pa.DataType) -> bool:
    is_list = pa.types.is_list(kind) or pa.types.is_large_list(kind)
    return bool(pa.types.is_null(kind) or (is_list and _is_text(kind.value_type)))


def _is_seconds(kind: pa.DataType) -> bool:
    return bool(pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_null(kind))


def _need_id(value: object, column: str, location: Location) -> str:
    if value is None or value == "":
        raise InputError(f"{location.uri}: column '{column}' has an empty id; every row needs one.")
    return str(value)
