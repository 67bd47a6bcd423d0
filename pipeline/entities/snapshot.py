"""A run's own copy of its entity lists: what workers read, and what the run used, whatever happens to the user's file.

``entities.parquet`` holds every entity once; ``lists.parquet``, if lists differ by utterance, the row numbers of each
utterance's entities in it. A catalog (pipeline.entities.catalog) lies there as it is.
"""

from typing import Any

import pyarrow as pa

from pipeline.entities.catalog import Catalog, is_catalog, open_catalog, save_catalog
from pipeline.entities.columns import entities_of, entity_table
from pipeline.entities.lists import EntitySource, SharedEntities, UtteranceLists
from pipeline.storage import Location, exists, parquet_bytes, read_table, write_atomic
from pipeline.text import ENGLISH, Alphabet
from pipeline.types.entity import Entity, EntityList

LISTS = pa.schema([pa.field("utterance_id", pa.string()), pa.field("rows", pa.list_(pa.int32()))])
_ENTITIES_FILE, _LISTS_FILE = "entities.parquet", "lists.parquet"


def save(source: EntitySource, folder: Location) -> None:
    """Write ``source`` below ``folder``; raises StorageError."""
    if isinstance(source.corpus, Catalog):
        save_catalog(source.corpus, folder)
        return
    if source.lists is None:
        _write(entity_table(source.corpus.entities), folder.join(_ENTITIES_FILE))
        return
    rows: dict[Entity, int] = {}
    lists = [
        (utterance_id, [rows.setdefault(entity, len(rows)) for entity in entities.entities])
        for utterance_id, entities in source.lists.by_id.items()
    ]
    _write(entity_table(tuple(rows)), folder.join(_ENTITIES_FILE))
    columns = [pa.array([utterance_id for utterance_id, _ in lists], pa.string())]
    columns.append(pa.array([numbers for _, numbers in lists], pa.list_(pa.int32())))
    _write(pa.table(columns, schema=LISTS), folder.join(_LISTS_FILE))


def load(folder: Location, alphabet: Alphabet = ENGLISH) -> EntitySource:
    """Return what ``save`` wrote; lists that stand in rows will be read in ``alphabet``. Raises StorageError."""
    shared = SharedEntities(alphabet)
    if is_catalog(folder):
        return EntitySource(corpus=open_catalog(folder), shared=shared)
    entities = _read_entities(folder)
    if not exists(folder.join(_LISTS_FILE)):
        return EntitySource(corpus=EntityList(entities), shared=shared)
    by_id = {
        utterance_id: EntityList(tuple(entities[row] for row in rows))
        for utterance_id, rows in _rows(folder.join(_LISTS_FILE))
    }
    return EntitySource(lists=UtteranceLists(by_id), shared=shared)


def load_union(folder: Location) -> EntityList:
    """Return every entity of what ``save`` wrote, each once, whatever utterances it is for; raises StorageError."""
    if is_catalog(folder):
        return open_catalog(folder)
    entities = {entity.text: entity for entity in _read_entities(folder)}
    return EntityList(tuple(entities[text] for text in sorted(entities)))


def _read_entities(folder: Location) -> tuple[Entity, ...]:
    return tuple(entities_of(read_table(folder.join(_ENTITIES_FILE))))


def _write(table: pa.Table, location: Location) -> None:
    write_atomic(location, parquet_bytes(table))


def _rows(location: Location) -> list[tuple[Any, ...]]:
    return list(zip(*(column.to_pylist() for column in read_table(location).columns), strict=True))
