"""The data dictionary: every dataset, every column, type, unit and meaning, from the schemas themselves."""

from collections.abc import Iterator

import pyarrow as pa

from pipeline import schemas
from pipeline.entities import columns
from pipeline.export.formats import FORMATS
from pipeline.export.schema import TABLES, VERSIONS

_HEAD = """# Data dictionary

Generated from `pipeline/schemas.py` and `pipeline/export/schema.py` by
`python -m jobs.export --data-dictionary docs/data_dictionary.md`; a test fails when this copy is not current. Types are
Arrow's. A column that may be null is marked `null`.

"""
DATASETS = {
    "AUDIO": (schemas.AUDIO, "What goes in; `jobs.ingest` writes it. Required are `utterance_id` and `audio`."),
    "EMISSIONS": (schemas.EMISSIONS, "The first pass, between encoder and decoder, and in its cache."),
    "TRANSCRIPTS": (schemas.TRANSCRIPTS, "What comes out: `RUN/transcripts/*.parquet`."),
    "PRIVATE": (schemas.PRIVATE, "A private export, version 1: everything that goes out of an utterance."),
    "SCORES": (schemas.SCORES, "Counts per utterance: `scores.parquet` of `jobs.score`."),
    "REVIEWS": (schemas.REVIEWS, "What people said of a run: `reviews/*.parquet` of `jobs.review_import`."),
    "MEMORY": (schemas.MEMORY, "What reviewers confirmed, by sound: `memory-*.parquet` of `jobs.learn`."),
    "DECISIONS": (schemas.DECISIONS, "How wide each strategy looked, with a policy: `RUN/decisions/*.parquet`."),
    "ENTITIES": (columns.ENTITIES, "The run's copy of its entities: `RUN/lists/entities.parquet`."),
}


def data_dictionary() -> str:
    """Return the dictionary as Markdown."""
    parts = [_HEAD]
    for name, (schema, about) in DATASETS.items():
        parts.append(f"## {name}\n\n{about}\n\n{_table(schema)}\n")
    parts.append(f"## Exports\n\n{_formats()}\n")
    for name, schema in TABLES.items():
        users = ", ".join(f"`{format_}`" for format_, form in FORMATS.items() if name in (form.schema, form.reviewed))
        when = "" if any(form.schema == name for form in FORMATS.values()) else " with `--reviews`"
        parts.append(f"### {name}, version {VERSIONS[name]}\n\nRows of {users}{when}.\n\n{_table(schema)}\n")
    return "\n".join(part.rstrip("\n") + "\n" for part in parts)


def _formats() -> str:
    rows = [
        f"| `{name}` | `{form.schema}` | {VERSIONS[form.schema]} | `*{form.suffix}` | {form.about} |"
        for name, form in FORMATS.items()
    ]
    return "\n".join(["| format | schema | version | files | what |", "|---|---|---|---|---|", *rows])


def _table(schema: pa.Schema) -> str:
    rows = [row for field in schema for row in _rows(field, "")]
    return "\n".join(["| column | type | unit | meaning |", "|---|---|---|---|", *rows]) + "\n"


def _rows(field: pa.Field, prefix: str) -> Iterator[str]:
    """The row of a column, and below it those of the fields of a struct or of a list of structs."""
    name = f"{prefix}{field.name}"
    notes = {key.decode(): value.decode() for key, value in (field.metadata or {}).items()}
    meaning = notes.get("about", "").replace("|", "\\|")
    null = ", null" if field.nullable and not prefix else ""
    yield f"| `{name}` | {_type(field.type)}{null} | {notes.get('unit', '')} | {meaning} |"
    inner, inner_prefix = field.type, f"{name}."
    if pa.types.is_list(inner):
        inner, inner_prefix = inner.value_type, f"{name}[]."
    if pa.types.is_struct(inner):
        for part in inner:
            yield from _rows(part, inner_prefix)


def _type(kind: pa.DataType) -> str:
    if pa.types.is_list(kind):
        return f"list of {_type(kind.value_type)}"
    return "struct" if pa.types.is_struct(kind) else str(kind)
