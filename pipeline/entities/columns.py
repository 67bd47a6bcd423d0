"""How entities lie in a table, and back."""

from collections.abc import Iterable, Sequence

import pyarrow as pa

from pipeline.types.entity import Entity

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


def entity_table(entities: Sequence[Entity]) -> pa.Table:
    """Return ENTITIES rows."""
    names = ("text", "display_as", "aliases", "pronunciations", "weight", "tags")
    columns = [
        pa.array([getattr(entity, name) for entity in entities], field.type)
        for name, field in zip(names, ENTITIES, strict=True)
    ]
    return pa.table(columns, schema=ENTITIES)


def entities_of(table: pa.Table) -> Iterable[Entity]:
    """Yield the entities of ENTITIES rows."""
    for text, display_as, aliases, pronunciations, weight, tags in zip(
        *(column.to_pylist() for column in table.columns), strict=True
    ):
        yield Entity(text, display_as, tuple(aliases), tuple(pronunciations), weight, tuple(tags))
