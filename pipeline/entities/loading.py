"""Entity lists from files: text (one entity per line), CSV, TSV, JSON, JSONL or parquet, local or on an object store.

Rows are read so that none can swallow another, and what is doubtful is refused by its line (see text_rows too).
"""

import csv
import dataclasses
import gzip
import io
import json
import math
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline import storage
from pipeline.entities.cloud_rows import CLOUD, cloud_rows
from pipeline.entities.formats import FORMATS
from pipeline.entities.json_rows import entry_fields, json_rows
from pipeline.entities.spelling import spellings
from pipeline.entities.text_rows import NAMED, REFUSED, named_rows, text_rows
from pipeline.errors import InputError, RowError
from pipeline.lexicon.phones import parse_phones
from pipeline.text import ENGLISH, Alphabet, normalise
from pipeline.types.entity import Entity, EntityList, Rejected

COLUMNS = ("entity", "aliases", "pronunciations", "weight", "tags")
BAD_PRONUNCIATION = "is used without a pronunciation that cannot be read: "
SEPARATOR = "|"
"""Between the aliases, pronunciations or tags of one CSV or TSV field."""
_SHOWN = 200  # characters of a rejected entry that are kept for the report
_READ_ROWS = 65_536  # rows per parquet batch; bounds memory
StorageOptions = Mapping[str, Any] | None


_OTHER_TEXT = (".yaml", ".yml", ".xml", ".html", ".toml", ".ini")
_ALL_LINES = {".ndjson": "jsonl", ".jsonlines": "jsonl"}


def load_entity_list(
    path: str, storage_options: StorageOptions = None, alphabet: Alphabet = ENGLISH, form: str | None = None
) -> EntityList:
    """Return the list at ``path``, sorted, each entity once, with what could not be used in ``rejected``.

    The format is ``form``, one of FORMATS, or follows the file name: .csv, .tsv, .json, .jsonl and .parquet have a
    field ``entity`` and may have ``aliases``, ``pronunciations``, ``weight`` and ``tags``; everything else is text (see
    text_rows). ``.gz`` may follow.
    Raises StorageError or InputError if the file as a whole cannot be read; a bad entry is rejected alone, with its
    row and reason.
    """
    return build_list(read_rows(path, storage_options, form), alphabet)


def build_list(rows: Iterable[tuple[int, Mapping[str, Any]]], alphabet: Alphabet = ENGLISH) -> EntityList:
    """Return the list of ``(row number, fields)``, fields being those of COLUMNS; duplicates are merged."""
    entities: dict[str, Entity] = {}
    rejected: list[Rejected] = []
    merged: list[Rejected] = []
    for row, fields in rows:
        entry = fields.get("entity")
        try:
            entity = _entity(entry, fields, row, rejected, alphabet)
        except RowError as error:
            rejected.append(Rejected(row, str(entry)[:_SHOWN], str(error)))
            continue
        known = entities.get(entity.text)
        if known is not None:
            merged.append(Rejected(row, str(entry)[:_SHOWN], f"same as '{known.display_as}', merged with it"))
            entity = _merge(known, entity, alphabet)
        entities[entity.text] = entity
    ordered = tuple(entities[text] for text in sorted(entities))
    return EntityList(ordered, tuple(rejected), tuple(merged))


def entity_of(entry: str, alphabet: Alphabet = ENGLISH) -> Entity:
    """Return the entity of one bare spelling; raises RowError with the reason if it cannot be used."""
    text, *aliases = spellings(entry, alphabet)
    return Entity(text, entry.strip(), tuple(aliases)) if aliases else Entity(text, entry.strip())


def _entity(entry: Any, fields: Mapping[str, Any], row: int, rejected: list[Rejected], alphabet: Alphabet) -> Entity:
    if REFUSED in fields:
        raise RowError(fields[REFUSED])
    if entry is None:
        raise RowError("is empty")
    if not isinstance(entry, str):
        raise RowError(f"must be text, got {type(entry).__name__}")
    if len(fields) == 1:
        return entity_of(entry, alphabet)
    forms, problem = _forms(entry, alphabet)
    for alias in _texts(fields, "aliases"):
        more, reason = _forms(alias, alphabet)
        forms += more
        if reason:
            rejected.append(Rejected(row, alias[:_SHOWN], f"as an alias of '{entry[:_SHOWN]}' {reason}"))
    if not forms:
        raise RowError(problem)
    text, *aliases = dict.fromkeys(forms)
    pronunciations = tuple(_pronunciations(entry, _texts(fields, "pronunciations"), row, rejected, alphabet))
    tags = tuple(sorted(set(_texts(fields, "tags"))))
    return Entity(text, entry.strip(), tuple(aliases), pronunciations, _weight(fields.get("weight")), tags)


def _pronunciations(
    entry: str, given: list[str], row: int, rejected: list[Rejected], alphabet: Alphabet
) -> dict[str, None]:
    """Return those that are ARPAbet, each once, in capitals; others are rejected, without them the sound is guessed.

    Beside other letters than those of English they may be spelled as they sound, which is kept in small letters.
    """
    kept: dict[str, None] = {}
    for one in given:
        try:
            parse_phones(one)
        except InputError as error:
            spelled = "" if alphabet == ENGLISH else normalise(one, alphabet)
            if spelled:
                kept[spelled] = None
                continue
            rejected.append(Rejected(row, entry[:_SHOWN], f"{BAD_PRONUNCIATION}{error}"))
        else:
            kept[" ".join(one.upper().split())] = None
    return kept


def _forms(entry: str, alphabet: Alphabet) -> tuple[list[str], str]:
    try:
        return spellings(entry, alphabet), ""
    except RowError as error:
        return [], str(error)


def _texts(fields: Mapping[str, Any], name: str) -> list[str]:
    value = fields.get(name)
    if value is None:
        return []
    items = value.split(SEPARATOR) if isinstance(value, str) else value
    if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
        raise RowError(f"has '{name}' {value!r:.100}; needed is a list of texts, in CSV separated by '{SEPARATOR}'")
    return [item.strip() for item in items if item.strip()]


def _weight(value: Any) -> float:
    if value is None or value == "":
        return 1.0
    try:
        weight = float(value)
    except (TypeError, ValueError):
        weight = math.nan
    if not math.isfinite(weight):
        raise RowError(f"has the weight {value!r:.50}; needed is a finite number, 1 is normal")
    return weight


def _merge(first: Entity, second: Entity, alphabet: Alphabet) -> Entity:
    """Join two entries of one entity; the result does not depend on which came first, so neither does the version."""

    def union(a: tuple[str, ...], b: tuple[str, ...]) -> tuple[str, ...]:
        return a if a == b else tuple(sorted({*a, *b}))

    return dataclasses.replace(
        first,
        # The spelling that says most: "Kraków" before "krakow".
        display_as=max(first.display_as, second.display_as, key=lambda shown: (_marks(shown, alphabet), shown)),
        aliases=tuple(alias for alias in union(first.aliases, second.aliases) if alias != first.text),
        pronunciations=union(first.pronunciations, second.pronunciations),
        weight=max(first.weight, second.weight, key=lambda weight: (abs(weight - 1), weight)),  # the stated one
        tags=union(first.tags, second.tags),
    )


def _marks(shown: str, alphabet: Alphabet) -> int:
    return sum(character not in alphabet.letters for character in shown)


def read_rows(
    path: str, storage_options: StorageOptions = None, form: str | None = None
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (1-based row, fields) of an entity list; files without a header count lines, others data rows."""
    form = list_format(path, form)
    if form == "parquet":
        yield from _parquet_rows(path, storage_options)
        return
    with open_text(path, storage_options) as lines:
        if form in ("csv", "tsv"):
            yield from _delimited_rows(path, lines, form)
        elif form == "jsonl":
            yield from _json_rows(path, lines)
        elif form in CLOUD:
            yield from cloud_rows(path, lines.read(), form)
        elif form == "json":
            yield from json_rows(path, lines.read(), COLUMNS)
        else:
            written = [line.rstrip("\r\n") for line in lines]
            yield from named_rows(written, form) if form else text_rows(path, written)


def list_format(path: str, form: str | None = None) -> str | None:
    """Return the format of a list, one of FORMATS, by its name if ``form`` is None; None is text of any kind.

    Raises InputError for an unknown format and for names of formats that are no list.
    """
    if form is not None and form not in FORMATS:
        raise InputError(f"--entities-format must be one of {list(FORMATS)}, got '{form}'.")
    suffix = file_format(path)
    if form is None and suffix in _OTHER_TEXT:
        raise InputError(f"{path}: lists are not read from {suffix}; they are text, CSV, TSV, JSON, JSONL or parquet. "
                         "Give --entities-format text if every line is an entity.")  # fmt: skip
    named = _ALL_LINES.get(suffix, suffix.removeprefix("."))
    return form or (named if named in FORMATS and named not in (*NAMED, *CLOUD) else None)


def file_format(path: str) -> str:
    """Return the lower-case suffix of ``path`` that tells its format, without ``.gz``."""
    name = PurePosixPath(path.lower())
    return name.with_suffix("").suffix if name.suffix == ".gz" else name.suffix


def open_text(path: str, storage_options: StorageOptions = None) -> io.StringIO:
    """Return the text of ``path``; raises StorageError if it is missing, InputError if it is no UTF-8."""
    location = storage.open_filesystem(path, storage_options)
    storage.check_readable(location)
    content = storage.read_bytes(location)
    if path.lower().endswith(".gz"):
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError, zlib.error) as error:
            raise InputError(f"{path}: is not a whole gzip file ({error}).") from error
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        row = content.count(b"\n", 0, error.start) + 1
        raise InputError(f"{path}: line {row} is not UTF-8 text; convert the file to UTF-8.") from error
    if "\0" in text:
        raise InputError(f"{path}: is not a text file; entity lists are text, CSV, TSV, JSONL or parquet.")
    return io.StringIO(text, newline=None)


def _delimited_rows(path: str, lines: io.StringIO, form: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Rows of a table. A row that has more fields than the header is refused: a mark within one was not quoted.

    A quote must never swallow the rows after it. Fields of a TSV end with their line, so a lone quote there is a
    character like others; in CSV it may span lines, and then a quote without its partner is an error.
    """
    rows = _tsv_cells(lines) if form == "tsv" else _csv_cells(path, lines)
    _, first = next(rows, (1, ["entity"]))
    header = [name.strip().lower() for name in first]
    if "entity" not in header:
        raise InputError(f"{path}: the header has no column 'entity', it has {header}; known are {list(COLUMNS)}.")
    twice = [name for name in COLUMNS if header.count(name) > 1]
    if twice:
        raise InputError(f"{path}: the header has {twice} more than once; each column may be there once.")
    wanted = [(index, name) for index, name in enumerate(header) if name in COLUMNS]
    for row, (line, values) in enumerate(rows, start=1):
        fields: dict[str, Any] = {name: values[index] if index < len(values) else None for index, name in wanted}
        if "\n" in (fields["entity"] or ""):
            raise InputError(f"{path}: line {line}: the entity {fields['entity'][:60]!r} goes over several lines; a "
                             "quote is not closed, or double it where it is meant as a character.")  # fmt: skip
        if any(value.strip() for value in values[len(header) :]):
            fields[REFUSED] = (
                f"has {len(values)} fields, the header has {len(header)}; put a field that holds the separator in "
                "double quotes"
            )
        yield row, fields


def _csv_cells(path: str, lines: io.StringIO) -> Iterator[tuple[int, list[str]]]:
    """Yield (line that a row begins in, its fields)."""
    reader, line = csv.reader(lines, strict=True), 1
    try:
        for values in reader:
            yield line, values
            line = reader.line_num + 1
    except csv.Error as error:
        raise InputError(f"{path}: line {line} is not valid CSV ({error}); a quote is not closed, or must be doubled "
                         "where it is meant as a character.") from error  # fmt: skip


def _tsv_cells(lines: io.StringIO) -> Iterator[tuple[int, list[str]]]:
    for number, line in enumerate(lines, start=1):
        yield number, [_unquoted(cell) for cell in line.rstrip("\r\n").split("\t")]


def _unquoted(cell: str) -> str:
    """Take off the quotes of a field that has them around it, as spreadsheets write; leave any other quote."""
    inner = cell[1:-1].replace('""', "")
    is_quoted = len(cell) > 1 and cell[0] == cell[-1] == '"' and '"' not in inner
    return cell[1:-1].replace('""', '"') if is_quoted else cell


def _json_rows(path: str, lines: io.StringIO) -> Iterator[tuple[int, dict[str, Any]]]:
    for row, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except json.JSONDecodeError as error:
            raise InputError(f"{path}: line {row} is not JSON ({error}).") from error
        yield row, entry_fields(path, row, record, COLUMNS)


def _parquet_rows(path: str, storage_options: StorageOptions) -> Iterator[tuple[int, dict[str, Any]]]:
    row = 0
    with open_parquet(path, storage_options) as file:
        schema = file.schema_arrow
        if "entity" not in schema.names:
            raise InputError(f"{path}: column 'entity' is missing, it has {schema.names}.")
        kind = schema.field("entity").type
        if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
            raise InputError(f"{path}: column 'entity' is {kind}, needed is string.")
        for batch in file.iter_batches(_READ_ROWS, columns=[name for name in COLUMNS if name in schema.names]):
            for fields in batch.to_pylist():
                row += 1
                yield row, fields


def open_parquet(path: str, storage_options: StorageOptions = None) -> pq.ParquetFile:
    """Return the open parquet file at ``path``; raises StorageError if it is missing, InputError if no parquet."""
    location = storage.open_filesystem(path, storage_options)
    storage.check_readable(location)
    try:
        return pq.ParquetFile(location.path, filesystem=location.arrow())
    except (OSError, pa.ArrowInvalid) as error:
        raise InputError(f"{path}: cannot be read as parquet ({error}).") from error
