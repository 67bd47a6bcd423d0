"""Rows of a private export as files: only formats without times, and nothing that PRIVATE does not have."""

import io
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from pipeline import storage
from pipeline.errors import ConfigError, StorageError
from pipeline.export.formats import FORMATS
from pipeline.export.tables import features
from pipeline.schemas import PRIVATE
from pipeline.storage import Location

PRIVATE_FORMATS = ("parquet", "hf", "jsonl", "csv")
NAME, VERSION = "rollcall.private", 1
_METADATA = {"rollcall.schema": NAME, "rollcall.schema_version": str(VERSION)}


def check_format(name: str) -> None:
    """Raise ConfigError for formats that cannot be private, with the reason."""
    if name in PRIVATE_FORMATS:
        return
    if name == "nemo-manifest":
        reason = "it names recordings and their places, and audio never goes along"
    else:
        reason = "it needs the times of words, and how long words are tells which they are"
    raise ConfigError(f"--format {name} cannot be private: {reason}. There are {list(PRIVATE_FORMATS)}.")


def file_name(form: str, unit: int) -> str:
    """Return the name, relative to the release, of the rows of a unit."""
    folder = f"{FORMATS[form].folder}/" if FORMATS[form].folder else ""
    return f"{folder}part-{unit:05}{FORMATS[form].suffix}"


def write(rows: pa.Table, form: str, file: Location) -> None:
    """Write PRIVATE rows to ``file``, whole or not at all; raises StorageError."""
    if form in ("parquet", "hf"):
        extra = features(PRIVATE) if form == "hf" else {}
        schema = PRIVATE.with_metadata(_METADATA | extra)
        data = storage.parquet_bytes(rows.cast(schema))
    elif form == "jsonl":
        data = "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows.to_pylist()).encode()
    else:
        data = _csv(rows)
    storage.write_atomic(file, data)


def _csv(rows: pa.Table) -> bytes:
    """Tags as class:start-end, separated by bars."""
    tags = [
        "|".join(f"{tag['tag']}:{tag['start_word']}-{tag['end_word']}" for tag in row or ())
        for row in rows["tags"].to_pylist()
    ]
    place = PRIVATE.get_field_index("tags")
    buffer = io.BytesIO()
    pa_csv.write_csv(rows.set_column(place, "tags", pa.array(tags, pa.string())), buffer)
    return buffer.getvalue()


def counted(rows: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """Return rows, words and replaced words of PRIVATE rows, or of what ``read`` yields."""
    counts = {"rows": 0, "words": 0, "replaced": 0}
    for row in rows:
        counts["rows"] += 1
        counts["words"] += len((row["text"] or "").split())
        counts["replaced"] += sum(tag["end_word"] - tag["start_word"] for tag in row["tags"] or ())
    return counts


def read(file: Location) -> Iterator[Mapping[str, Any]]:
    """Yield utterance_id, text and tags of what ``write`` wrote; raises StorageError."""
    data, names = storage.read_bytes(file), ["utterance_id", "text", "tags"]
    try:
        if file.name.endswith(".parquet"):
            yield from pq.read_table(io.BytesIO(data), columns=names).to_pylist()
        elif file.name.endswith(".jsonl"):
            yield from (json.loads(line) for line in data.decode().splitlines())
        else:
            kept = pa_csv.ConvertOptions(
                column_types={name: pa.string() for name in names},
                include_columns=names,
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
            )
            rows = pa_csv.read_csv(io.BytesIO(data), convert_options=kept).to_pylist()
            yield from (row | {"tags": _tags(row["tags"])} for row in rows)
    except (pa.ArrowInvalid, ValueError, KeyError) as error:
        raise StorageError(f"{file.uri}: cannot be read as it was written ({error}).") from error


def _tags(cell: str | None) -> list[dict[str, Any]]:
    found = []
    for part in (cell or "").split("|") if cell else ():
        kind, _, places = part.partition(":")
        start, _, end = places.partition("-")
        found.append({"tag": kind, "start_word": int(start), "end_word": int(end)})
    return found
