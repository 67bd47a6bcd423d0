"""Parquet with an ``audio`` column as Hugging Face writes it: encoded bytes, samples with their rate, or paths."""

import dataclasses
import io
from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import soundfile

from pipeline.errors import InputError, StorageError
from pipeline.ingest.listing import Listing
from pipeline.ingest.recordings import Recording, Recordings, Utterance, without_suffix
from pipeline.schemas import is_text, is_text_list, path_of_recording, refuse_repeated
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
_AUDIO = (
    "struct<bytes: binary, path: string>, struct<array: list<float>, sampling_rate: int>, or paths below the folder of "
    "the file"
)
_READ_ROWS = 256  # rows whose bytes are in memory while paths are looked for
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


def read_audio_parquet(source: Location, _root: Location, listing: Listing) -> Recordings:
    """Yield the rows of every parquet file in runs of 256; only footers are read.

    Raises InputError for a file that is not parquet or whose columns do not fit.
    """
    base = source.parent if source.filesystem.isfile(source.path) else source
    for location in walk_parquet(source):
        with _open(location) as file:
            _check_columns(file.schema_arrow, location, listing.id_column)
            sizes = [file.metadata.row_group(index).num_rows for index in range(file.num_row_groups)]
        for index, rows in enumerate(sizes):
            for first in range(0, rows, ROWS_PER_RECORDING):
                end = min(first + ROWS_PER_RECORDING, rows)
                label = base.relative(location.path)
                yield Recording(location.path, label, row_group=index, first_row=first, end_row=end)


def read_ids(location: Location, label: str, id_column: str | None, groups: range | None = None) -> Iterator[str]:
    """Yield the utterance ids of some or all row groups in order, as ``read_rows`` gives them, reading no audio."""
    with _open(location) as file:
        column = pick(file.schema_arrow.names, "utterance_id", id_column)
        for group in range(file.num_row_groups) if groups is None else groups:
            if column is None:
                rows = file.metadata.row_group(group).num_rows
                yield from (row_id(label, group, row) for row in range(rows))
                continue
            for value in file.read_row_group(group, columns=[column])[column].to_pylist():
                yield _need_id(value, column, location)


def read_paths(location: Location) -> Iterator[str]:
    """Yield the path of every row that has one and no bytes or samples beside it; damaged files end early."""
    with _open(location) as file:
        columns = _path_columns(file.schema_arrow)
        if not columns:
            return
        try:
            for batch in file.iter_batches(_READ_ROWS, columns=columns):
                yield from (path for value in batch["audio"].to_pylist() if (path := _named(value)))
        except (pa.ArrowException, OSError):
            return  # whoever reads the rows says so


def _path_columns(schema: pa.Schema) -> list[str]:
    """Return the leaves that tell which rows name a file instead of holding it; none where no row can."""
    kind = schema.field("audio").type
    if is_text(kind):
        return ["audio"]
    if not pa.types.is_struct(kind) or kind.get_field_index("path") < 0:
        return []
    return ["audio.path", *(["audio.bytes"] if kind.get_field_index("bytes") >= 0 else [])]


def _named(value: object) -> str | None:
    if isinstance(value, dict):
        return None if value.get("bytes") is not None else value.get("path")
    return value if isinstance(value, str) else None


def read_rows(location: Location, recording: Recording, id_column: str | None = None) -> Iterator[ParquetRow]:
    """Yield rows ``first_row`` up to ``end_row`` of a row group, a few in memory at a time.

    Where the file is damaged, the rest of the rows come without audio and with an error.
    """
    row = recording.first_row
    try:
        for item in _read_rows(location, recording, id_column):
            yield item
            row += 1
    except (pa.ArrowException, OSError) as error:
        if not location.is_local and not isinstance(error, pa.ArrowInvalid):
            raise StorageError(f"cannot read {location.uri}: {type(error).__name__}: {error}.") from error
        group = range(recording.row_group or 0, (recording.row_group or 0) + 1)
        for name in islice(read_ids(location, recording.label, id_column, group), row, recording.end_row):
            message = f"{name}: {location.uri} is damaged from row {row} of row group {group[0]} on ({error})."
            yield ParquetRow(Utterance(name, error=message), None, None, None)


def _read_rows(location: Location, recording: Recording, id_column: str | None) -> Iterator[ParquetRow]:
    with _open(location) as file:
        there = file.schema_arrow.names
        names = {ours: pick(there, ours, id_column) for ours in COLUMNS}
        columns = ["audio", *{name for name in [*names.values(), "sampling_rate"] if name in there}]
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
    data, path = _audio(value)
    utterance = Utterance(name, text("text"), text("speaker"), text("session"), tenant=text("tenant"))
    return ParquetRow(
        utterance, data, path, cell("entities"), _place(value | {"utterance_id": name, "audio": {"path": path}})
    )


def _audio(value: dict[str, Any]) -> tuple[bytes | None, str | None]:
    """Return a row's encoded audio and its path, as far as it has them; samples [N] become a wav that loses nothing."""
    audio = value["audio"]
    if isinstance(audio, str):
        return None, audio
    if isinstance(audio, list):
        audio = {"array": audio}
    audio = audio or {}
    data, samples = audio.get("bytes"), audio.get("array")
    rate = audio.get("sampling_rate") or value.get("sampling_rate")
    if data is None and samples and rate:
        data = _as_wav(samples, int(rate))
    return data, audio.get("path")


def _as_wav(samples: list[float], rate: int) -> bytes:
    """Encode floats of full scale 1.0, or 16-bit integers."""
    values = np.array(samples)
    subtype = "FLOAT" if values.dtype.kind == "f" else "PCM_16"
    buffer = io.BytesIO()
    typed = values.astype(np.float32 if subtype == "FLOAT" else np.int16)
    soundfile.write(buffer, typed, rate, format="WAV", subtype=subtype)
    return buffer.getvalue()


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


def pick(names: list[str], ours: str, id_column: str | None = None) -> str | None:
    """Return which of a dataset's columns holds ``ours``, if any does; for the ids it is what the user named."""
    if ours == "utterance_id" and id_column is not None:
        return id_column
    return next((name for name in COLUMNS[ours] if name in names), None)


def _open(location: Location) -> pq.ParquetFile:
    def opened() -> pq.ParquetFile:
        return pq.ParquetFile(location.path, filesystem=location.arrow(), buffer_size=_BUFFER, pre_buffer=False)

    try:
        return attempt(opened, location, "read", passing=(pa.ArrowInvalid,))
    except pa.ArrowInvalid as error:
        raise InputError(f"{location.uri}: not a parquet file, or damaged ({error}).") from error


def _check_columns(schema: pa.Schema, location: Location, id_column: str | None) -> None:
    if id_column is not None and id_column not in schema.names:
        raise InputError(f"{location.uri}: --id-column '{id_column}' is no column; it has {schema.names}.")
    known = (name for names in COLUMNS.values() for name in names)
    refuse_repeated(schema.names, {"audio", "sampling_rate", *known, id_column or ""}, location.uri)
    if "audio" not in schema.names:
        raise InputError(f"{location.uri}: column 'audio' is missing; it has {schema.names}. Needed is {_AUDIO}.")
    kind = schema.field("audio").type
    if not _is_audio(kind, "sampling_rate" in schema.names):
        raise InputError(f"{location.uri}: column 'audio' is {kind}, needed is {_AUDIO}.")
    wanted = {"utterance_id": _is_id, "text": _is_text, "entities": _is_list}
    wanted |= {"start_seconds": _is_seconds, "end_seconds": _is_seconds}
    for ours, allowed in wanted.items():
        name = pick(schema.names, ours, id_column)
        if name is not None and not allowed(schema.field(name).type):
            needed = {"entities": "list<string>"}.get(ours, "double" if ours.endswith("_seconds") else "string")
            raise InputError(f"{location.uri}: column '{name}' is {schema.field(name).type}, needed is {needed}.")


def _is_audio(kind: pa.DataType, has_rate: bool) -> bool:
    """Encoded bytes, samples with their rate, or a path: what Hugging Face's datasets have."""
    if pa.types.is_struct(kind):
        has_rate |= kind.get_field_index("sampling_rate") >= 0
        fields = {field.name: field.type for field in kind}
        samples = "array" in fields and _is_samples(fields["array"]) and has_rate
        return "bytes" in fields or samples or ("path" in fields and _is_text(fields["path"]))
    return is_text(kind) or (_is_samples(kind) and has_rate)


def _is_samples(kind: pa.DataType) -> bool:
    if not (pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)):
        return False
    return bool(pa.types.is_floating(kind.value_type) or pa.types.is_integer(kind.value_type))


def _is_text(kind: pa.DataType) -> bool:
    return bool(is_text(kind) or pa.types.is_null(kind))


def _is_id(kind: pa.DataType) -> bool:
    return bool(_is_text(kind) or pa.types.is_integer(kind))


def _is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_null(kind) or is_text_list(kind) or (pa.types.is_list(kind) and _is_text(kind.value_type)))


def _is_seconds(kind: pa.DataType) -> bool:
    return bool(pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_null(kind))


def _need_id(value: object, column: str, location: Location) -> str:
    if value is None or value == "":
        raise InputError(f"{location.uri}: column '{column}' has an empty id; every row needs one.")
    return str(value)
