"""A run's own copy of its entity lists: what workers read, and what the run used, whatever happens to the user's file.

``entities.parquet`` holds every entity once; ``lists.parquet``, if lists differ by utterance, the row numbers of each
utterance's entities in it.
"""

from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.entities.lists import EntitySource, SharedEntities, UtteranceLists
from pipeline.storage import Location, attempt, exists, read_bytes, write_atomic
from pipeline.text import ENGLISH, Alphabet
from pipeline.types.entity import Entity, EntityList

_TEXTS = pa.list_(pa.string())
ENTITIES = pa.schema(
    [
        pa.field("entity", pa.string(), metadata={"about": "normalised canonical form"}),
        pa.field("display_as", pa.string(), metadata={"about": "as the user wrote it"}),
        pa.field("aliases", _TEXTS, metadata={"about": "other normalised spellings"}),
        pa.field("pronunciations", _TEXTS, metadata={"about": "ARPAbet, phones separated by spaces"}),
        pa.field("weight", pa.float64(), metadata={"about": "multiplies every boost"}),
        pa.field("tags", _TEXTS, metadata={"about": "labels that reports group by"}),
    ]
)
LISTS = pa.schema([pa.field("utterance_id", pa.string()), pa.field("rows", pa.list_(pa.int32()))])
_ENTITIES_FILE, _LISTS_FILE = "entities.parquet", "lists.parquet"


def save(source: EntitySource, folder: Location) -> None:
    """Write ``source`` below ``folder``; raises StorageError."""
    if source.lists is None:
        _write(_entity_table(source.corpus.entities), folder.join(_ENTITIES_FILE))
        return
    rows: dict[Entity, int] = {}
    lists = [
        (utterance_id, [rows.setdefault(entity, len(rows)) for entity in entities.entities])
        for utterance_id, entities in source.lists.by_id.items()
    ]
    _write(_entity_table(tuple(rows)), folder.join(_ENTITIES_FILE))
    columns = [pa.array([utterance_id for utterance_id, _ in lists], pa.string())]
    columns.append(pa.array([numbers for _, numbers in lists], pa.list_(pa.int32())))
    _write(pa.table(columns, schema=LISTS), folder.join(_LISTS_FILE))


def load(folder: Location, alphabet: Alphabet = ENGLISH) -> EntitySource:
    """Return what ``save`` wrote; lists that stand in rows will be read in ``alphabet``. Raises StorageError."""
    shared = SharedEntities(alphabet)
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
    entities = {entity.text: entity for entity in _read_entities(folder)}
    return EntityList(tuple(entities[text] for text in sorted(entities)))


def _read_entities(folder: Location) -> tuple[Entity, ...]:
    return tuple(
        Entity(text, display_as, tuple(aliases), tuple(pronunciations), weight, tuple(tags))
        for text, display_as, aliases, pronunciations, weight, tags in _rows(folder.join(_ENTITIES_FILE))
    )


def _entity_table(entities: tuple[Entity, ...]) -> pa.Table:
    names = ("text", "display_as", "aliases", "pronunciations", "weight", "tags")
    columns = [
        pa.array([getattr(entity, name) for entity in entities], field.type)
        for name, field in zip(names, ENTITIES, strict=True)
    ]
    return pa.table(columns, schema=ENTITIES)


def _write(table: pa.Table, location: Location) -> None:
    buffer = pa.BufferOutputStream()
    pq.write_table(table, buffer, compression="zstd")
    write_atomic(location, buffer.getvalue().to_pybytes())


def _rows(location: Location) -> list[tuple[Any, ...]]:
    table = attempt(lambda: pq.read_table(pa.BufferReader(read_bytes(location))), location, "read")
    return list(zip(*(column.to_pylist() for column in table.columns), strict=True))
