"""Which list applies to which utterance: one list for the corpus, one per utterance from a file, or from the audio."""

import dataclasses
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

import pyarrow as pa

from pipeline import storage
from pipeline.entities.catalog import Catalog, is_catalog, open_catalog
from pipeline.entities.json_rows import json_entries
from pipeline.entities.loading import (
    SEPARATOR,
    StorageOptions,
    build_list,
    entity_of,
    list_format,
    open_parquet,
    open_text,
    read_rows,
)
from pipeline.entities.text_rows import refuse_vocabulary
from pipeline.errors import InputError, RowError
from pipeline.text import ENGLISH, Alphabet
from pipeline.types.entity import EMPTY, Entity, EntityList, Rejected

LIST_COLUMNS = ("entities", "list")
"""Where a per-utterance list is looked for when the column is not named."""
_ID_COLUMNS = ("utterance_id", "id")
RawLists = Iterable[tuple[int, str, Sequence[Any]]]


class SharedEntities:
    """Entities by the way they are written, each built once however many lists name it."""

    def __init__(self, alphabet: Alphabet = ENGLISH) -> None:
        self._alphabet = alphabet
        self._known: dict[str, Entity | str] = {}

    def list_of(self, entries: Sequence[Any], row: int = 0) -> EntityList:
        """Return the list of bare ``entries``; duplicates within it are one entity."""
        entities: dict[str, Entity] = {}
        rejected: list[Rejected] = []
        for entry in entries:
            found = self._get(entry)
            if isinstance(found, str):
                rejected.append(Rejected(row, str(entry)[:200], found))
            else:
                entities.setdefault(found.text, found)
        return EntityList(tuple(entities[text] for text in sorted(entities)), tuple(rejected))

    def _get(self, entry: Any) -> Entity | str:
        if not isinstance(entry, str):
            return "is empty" if entry is None else f"must be text, got {type(entry).__name__}"
        if entry not in self._known:
            try:
                self._known[entry] = entity_of(entry, self._alphabet)
            except RowError as error:
                self._known[entry] = str(error)
        return self._known[entry]


@dataclasses.dataclass(frozen=True)
class UtteranceLists:
    """One entity list per utterance id; lists share their entities."""

    by_id: Mapping[str, EntityList]

    def of(self, utterance_id: str) -> EntityList:
        """Return the utterance's list; one that the file does not name has an empty list."""
        return self.by_id.get(utterance_id, EMPTY)

    @property
    def rejected(self) -> tuple[Rejected, ...]:
        """Every entry of every list that cannot be used."""
        return tuple(entry for entities in self.by_id.values() for entry in entities.rejected)

    def __len__(self) -> int:
        return len(self.by_id)


@dataclasses.dataclass(frozen=True)
class EntitySource:
    """Where the entities of an utterance come from; the parts that are given are joined."""

    corpus: EntityList = EMPTY
    lists: UtteranceLists | None = None
    shared: SharedEntities = dataclasses.field(default_factory=SharedEntities)

    def of(self, utterance_id: str, own: Sequence[str] | None = None) -> EntityList:
        """Return the list of one utterance; ``own`` is the list that stands in its audio row."""
        parts = [self.corpus]
        if self.lists is not None:
            parts.append(self.lists.of(utterance_id))
        if own is not None:
            parts.append(self.shared.list_of(own))
        parts = [part for part in parts if len(part)]
        return parts[0] if len(parts) == 1 else _join(parts)


def _join(parts: Sequence[EntityList]) -> EntityList:
    entities = {entity.text: entity for part in reversed(parts) for entity in part.entities}
    return EntityList(tuple(entities[text] for text in sorted(entities))) if entities else EMPTY


def load_entities(
    path: str | None,
    column: str | None = None,
    storage_options: StorageOptions = None,
    alphabet: Alphabet = ENGLISH,
    form: str | None = None,
    names: Sequence[str] = (),
) -> EntitySource:
    """Return what ``path`` holds: one list for all utterances, a catalog too, or one per utterance; None is no list.

    ``column`` names the per-utterance list column of a parquet or JSONL file, ``form`` the format of the file (see
    formats.FORMATS) where its name does not tell it; ``names`` are more entities for all utterances, which one list
    takes in. Raises InputError.
    """
    shared = SharedEntities(alphabet)
    catalog = None if path is None or form is not None else _catalog(path, storage_options)
    if catalog is not None and not names:
        return EntitySource(corpus=catalog, shared=shared)
    if catalog is None and path is not None and is_per_utterance(path, storage_options, form):
        if names:
            raise InputError(f"{path}: has a list per utterance, which takes no names for all; add them to its lists.")
        return EntitySource(lists=load_lists(path, column, storage_options, alphabet, form), shared=shared)
    rows: Iterable[tuple[int, Mapping[str, Any]]] = []
    if path is not None:
        rows = read_rows(path, storage_options, form) if catalog is None else _rows_of(catalog)
    said = enumerate(({"entity": name} for name in names), start=1)
    return EntitySource(corpus=build_list(chain(rows, said), alphabet), shared=shared)


def _catalog(path: str, storage_options: StorageOptions) -> Catalog | None:
    location = storage.open_filesystem(path, storage_options)
    return open_catalog(location) if is_catalog(location) else None


def _rows_of(entities: EntityList) -> Iterator[tuple[int, dict[str, Any]]]:
    for row, one in enumerate(entities.entities, start=1):
        fields = {"entity": one.display_as, "aliases": [one.text, *one.aliases], "weight": one.weight}
        yield row, fields | {"pronunciations": list(one.pronunciations), "tags": list(one.tags)}


def is_per_utterance(path: str, storage_options: StorageOptions = None, form: str | None = None) -> bool:
    """True if ``path`` has one list per utterance: it names utterances and has no field ``entity``."""
    form = list_format(path, form)
    if form == "parquet":
        with open_parquet(path, storage_options) as file:
            return "entity" not in file.schema_arrow.names and _id_column(file.schema_arrow.names) is not None
    if form == "json":
        entries = json_entries(path, open_text(path, storage_options).read())
        return bool(entries) and _names_utterance(entries[0])
    if form not in ("tsv", "jsonl"):
        return False
    first = open_text(path, storage_options).readline().rstrip("\r\n")
    if form == "tsv":
        refuse_vocabulary(path, first)
        cells = [cell.strip(' "').lower() for cell in first.split("\t")]
        return len(cells) > 1 and "entity" not in cells
    return _names_utterance(_json(path, 1, first or "{}"))


def _names_utterance(record: Any) -> bool:
    return isinstance(record, dict) and "entity" not in record and _id_column(list(record)) is not None


def load_lists(
    path: str,
    column: str | None = None,
    storage_options: StorageOptions = None,
    alphabet: Alphabet = ENGLISH,
    form: str | None = None,
) -> UtteranceLists:
    """Return one entity list per utterance.

    Takes parquet, JSONL and a JSON array with ``utterance_id`` and a list column (``column``, else ``entities`` or
    ``list``); the is21_deep_bias TSV without header (id, reference, its rare words, its list, the last two JSON); and a
    TSV of id and list, the list in JSON or separated by ``|``, or by spaces if no line has a ``|``. Raises InputError,
    with the line, for anything else and for an utterance that occurs twice.
    """
    form = list_format(path, form)
    if form == "parquet":
        raw = _parquet_lists(path, column, storage_options)
    elif form in ("json", "jsonl"):
        raw = _json_lists(path, column, storage_options, form)
    else:
        raw = _tsv_lists(path, column, storage_options)
    shared = SharedEntities(alphabet)
    by_id: dict[str, EntityList] = {}
    for row, utterance_id, entries in raw:
        if utterance_id in by_id:
            raise InputError(f"{path}: row {row}: utterance '{utterance_id}' has a second list; each may have one.")
        by_id[utterance_id] = shared.list_of(entries, row)
    return UtteranceLists(by_id)


def _id_column(names: Sequence[str]) -> str | None:
    return next((name for name in _ID_COLUMNS if name in names), None)


def _columns(path: str, names: Sequence[str], column: str | None) -> tuple[str, str]:
    id_column = _id_column(names)
    listed = [name for name in ([column] if column else LIST_COLUMNS) if name in names]
    if id_column is None or not listed:
        wanted = f"'{column}'" if column else " or ".join(f"'{name}'" for name in LIST_COLUMNS)
        raise InputError(f"{path}: needed are 'utterance_id' and a list column {wanted}; it has {list(names)}.")
    return id_column, listed[0]


def _parquet_lists(path: str, column: str | None, storage_options: StorageOptions) -> RawLists:
    with open_parquet(path, storage_options) as file:
        names = _columns(path, file.schema_arrow.names, column)
        kind = file.schema_arrow.field(names[1]).type
        if not (pa.types.is_list(kind) or pa.types.is_large_list(kind)) or not pa.types.is_string(kind.value_type):
            raise InputError(f"{path}: column '{names[1]}' is {kind}, needed is list<string>.")
        row = 0
        for batch in file.iter_batches(columns=list(names)):
            for utterance_id, entries in zip(*(batch[name].to_pylist() for name in names), strict=True):
                row += 1
                yield row, str(utterance_id), entries or []


def _json_lists(path: str, column: str | None, storage_options: StorageOptions, form: str) -> RawLists:
    lines = open_text(path, storage_options)
    if form == "json":
        records = list(enumerate(json_entries(path, lines.read()), start=1))
    else:
        records = [(row, _json(path, row, line)) for row, line in enumerate(lines, start=1) if line.strip()]
    for row, record in records:
        if not isinstance(record, dict):
            raise InputError(f"{path}: line {row} must be a JSON object, got {json.dumps(record)[:100]}.")
        id_column, list_column = _columns(path, list(record), column)
        yield row, str(record[id_column]), _checked(path, row, record[list_column])


def _tsv_lists(path: str, column: str | None, storage_options: StorageOptions) -> RawLists:
    rows = list(_tsv_rows(path, storage_options))
    with_marks = any(SEPARATOR in cell for _, cells in rows for cell in cells[1:] if not cell.startswith("["))
    id_at, list_at = 0, None
    for row, cells in rows:
        if row == 1 and cells[0].strip().lower() in _ID_COLUMNS:
            header = [cell.strip().lower() for cell in cells]
            id_column, list_column = _columns(path, header, column)
            id_at, list_at = header.index(id_column), header.index(list_column)
            continue
        at = list_at if list_at is not None else len(cells) - 1
        if len(cells) < 2 or at >= len(cells) or (list_at is None and len(cells) not in (2, 4)):
            raise InputError(f"{path}: line {row} has {len(cells)} tab-separated fields, needed are 2 (id, list) or 4.")
        yield row, cells[id_at], _tsv_list(path, row, cells[at], SEPARATOR if with_marks else None)


def _tsv_rows(path: str, storage_options: StorageOptions) -> Iterator[tuple[int, list[str]]]:
    for row, line in enumerate(open_text(path, storage_options), start=1):
        if line.strip():
            yield row, line.rstrip("\n").split("\t")


def _tsv_list(path: str, row: int, field: str, separator: str | None) -> Sequence[Any]:
    """One rule for the whole file: where "Edith Nilsson|Kyiv" stands in one line, "Anna Lund" is a name in the next."""
    if field.lstrip().startswith("["):
        return _checked(path, row, _json(path, row, field))
    return [part for part in field.split(separator) if part.strip()]


def _json(path: str, row: int, text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(f"{path}: line {row} is not JSON ({error}).") from error


def _checked(path: str, row: int, entries: Any) -> Sequence[Any]:
    if entries is not None and not isinstance(entries, list):
        raise InputError(f"{path}: line {row}: the entity list must be a JSON list, got {type(entries).__name__}.")
    return entries or []
