"""Schemas of exports, with versions. A version changes whenever a reader of the one before could stumble.

The name and version stand in the metadata of every parquet file (``rollcall.schema``, ``rollcall.schema_version``), in
a comment where a format has comments (CTM, STM, VTT), and always in ``_export.json`` beside the files.
"""

import pyarrow as pa

from pipeline.review import laid
from pipeline.schemas import ORIGIN, TRANSCRIPTS


def _text(name: str, about: str) -> pa.Field:
    return pa.field(name, pa.string(), metadata={"about": about})


def _number(name: str, about: str, unit: str) -> pa.Field:
    return pa.field(name, pa.float64(), metadata={"about": about, "unit": unit})


FLAT = pa.schema(
    [
        TRANSCRIPTS.field("utterance_id"),
        *(TRANSCRIPTS.field(name) for name in ORIGIN),
        TRANSCRIPTS.field("duration_seconds"),
        TRANSCRIPTS.field("text"),
        _text("entities", "entities of the list in the transcript with their own casing, in order, separated by |"),
        _number("confidence", "mean over the words", "0 to 1"),
        *(TRANSCRIPTS.field(name) for name in ("audio_sha256", "model_id", "list_version", "config_fingerprint")),
        TRANSCRIPTS.field("error"),
    ]
)
"""Rows of csv."""

MANIFEST = pa.schema(
    [
        pa.field(
            "audio_filepath", pa.string(), nullable=False, metadata={"about": "the recording as its source calls it"}
        ),
        _number("offset", "where the utterance starts in the file; only for parts of recordings", "s"),
        _number("duration", "length of the utterance", "s"),
        _text("text", "the transcript"),
        _text("utterance_id", "as everywhere"),
        *(TRANSCRIPTS.field(name) for name in ("speaker", "session", "tenant")),
    ]
)
"""Lines of nemo-manifest."""

VERSIONS = {
    "rollcall.transcripts": 2,
    "rollcall.reviewed-transcripts": 1,
    "rollcall.flat": 2,
    "rollcall.nemo-manifest": 2,
    "rollcall.ctm": 1,
    "rollcall.stm": 1,
    "rollcall.subtitles": 1,
    "rollcall.textgrid": 1,
}
TABLES = {
    "rollcall.transcripts": TRANSCRIPTS,
    "rollcall.reviewed-transcripts": laid.SCHEMA,
    "rollcall.flat": FLAT,
    "rollcall.nemo-manifest": MANIFEST,
}


def stamped(name: str) -> pa.Schema:
    """Return the Arrow schema ``name`` with its name and version in the metadata."""
    metadata = {"rollcall.schema": name, "rollcall.schema_version": str(VERSIONS[name])}
    return TABLES[name].with_metadata(metadata)


def stamp(name: str) -> str:
    """Return one line that names a schema and its version, for comments."""
    return f"{name} version {VERSIONS[name]}"
