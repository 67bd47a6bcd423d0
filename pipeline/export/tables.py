"""Formats with a row per utterance: parquet, hf, jsonl, csv and nemo-manifest."""

import csv
import io
import json
from collections.abc import Iterable
from typing import Any

import pyarrow as pa

from pipeline.export.schema import FLAT, MANIFEST
from pipeline.review.overlay import REVIEWED
from pipeline.runs.reader import Batch
from pipeline.schemas import TRANSCRIPTS

SEPARATOR = "|"
"""Between the entities of a CSV field; a bar within a name becomes a slash."""
_FLAT = FLAT.names


def rich_rows(batch: Batch) -> pa.Table:
    """The rows of parquet and hf; those that reviews were laid over say so."""
    return batch.select([*TRANSCRIPTS.names, *(name for name in REVIEWED.names if name in batch.column_names)])


def json_lines(batch: Batch) -> list[str]:
    """A JSON object per row; numbers as they are stored, not finite ones as null, as JSON has none."""
    return [f"{json.dumps(_plain(row), ensure_ascii=False)}\n" for row in rich_rows(batch).to_pylist()]


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_plain(part) for part in value]
    if isinstance(value, float):
        return round(value, 6) if abs(value) < float("inf") else None  # NaN fails the comparison too
    return value


def csv_head() -> str:
    return _csv([_FLAT])


def csv_lines(batch: Batch) -> list[str]:
    """A line per row, quoted as RFC 4180 wants it; null and empty text are both an empty field."""
    return [_csv([[_cell(row, name) for name in _FLAT]]) for row in batch.to_pylist()]


def _cell(row: dict[str, Any], name: str) -> Any:
    if name == "entities":
        return SEPARATOR.join(found["display_as"].replace(SEPARATOR, "/") for found in row["entities"] or ())
    if name == "confidence":
        words = row["words"] or ()
        return round(sum(word["confidence"] for word in words) / len(words), 4) if words else None
    return row[name]


def _csv(rows: Iterable[Iterable[Any]]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows(rows)
    return buffer.getvalue()


def manifest_lines(batch: Batch) -> list[str]:
    """Lines of a NeMo manifest, for rows that have an ``recording_path``."""
    return [json.dumps(_manifest(row), ensure_ascii=False) + "\n" for row in batch.to_pylist()]


def _manifest(row: dict[str, Any]) -> dict[str, Any]:
    fields = {
        "audio_filepath": row["recording_path"],
        "offset": row["start_seconds"],
        "duration": row["duration_seconds"],
        "text": row["text"] or "",
        "utterance_id": row["utterance_id"],
        **{name: row[name] for name in ("speaker", "session", "tenant")},
    }
    return {name: fields[name] for name in MANIFEST.names if fields[name] is not None}


def features(schema: pa.Schema) -> dict[str, Any]:
    """Return the ``huggingface`` metadata that tells `datasets` the types without reading the rows."""
    from_schema = {"info": {"features": {field.name: _feature(field.type) for field in schema}}}
    return {"huggingface": json.dumps(from_schema)}


def _feature(kind: pa.DataType) -> Any:
    if pa.types.is_list(kind):
        return {"feature": _feature(kind.value_type), "_type": "List"}
    if pa.types.is_struct(kind):
        return {field.name: _feature(field.type) for field in kind}
    names = {"float": "float32", "double": "float64"}
    return {"dtype": names.get(str(kind), str(kind)), "_type": "Value"}


def card(facts: dict[str, Any]) -> str:
    """Return the README.md of a Hugging Face dataset: where its rows are, and where they come from."""
    head = "configs:\n- config_name: default\n  data_files:\n  - split: train\n    path: data/*.parquet\n"
    about = "\n".join(f"- {name.replace('_', ' ')}: `{value}`" for name, value in facts.items())
    return (
        f"---\n{head}tags:\n- automatic-speech-recognition\n---\n\n# Transcripts\n\n"
        f"Written by a recogniser, not by people.\n\n{about}\n"
    )
