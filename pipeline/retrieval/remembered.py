"""A snapshot of what reviewers confirmed: MEMORY rows in a parquet file that is named by what it says.

`rollcall learn` writes it (pipeline.learning), runs with `--memory` read it, and nothing changes it: what is learnt
later is another file. So a run that is brought to another memory can still tell what the one before made of it.
"""

import dataclasses
import functools
import os
from collections.abc import Iterable, Mapping, Sequence, Set
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.config import MemoryConfig
from pipeline.config.fingerprint import fingerprint
from pipeline.errors import ConfigError, InputError, ModelError
from pipeline.lexicon.phones import Pronunciation, parse_phones
from pipeline.schemas import MEMORY
from pipeline.storage import parquet_bytes
from pipeline.types.entity import Entity

FORMAT = 1
"""Of MEMORY; to be raised when what a column means changes."""
_VERSION = b"rollcall.memory"
_KEY = ("tenant", "entity", "heard")


@dataclasses.dataclass(frozen=True, slots=True)
class Form:
    """One way in which an entity was heard, with the bounds of the probability that what sounds so is the entity."""

    phones: Pronunciation
    lower: float
    upper: float


Tenants = Mapping[str, Mapping[str, tuple[Form, ...]]]
"""Tenant -> entity or alias -> the ways in which it was heard, in the order of their phones."""


def version_of(rows: Iterable[Mapping[str, Any]]) -> str:
    """Return a hash of what MEMORY rows say, whatever their order."""
    ordered = sorted(([row[name] for name in MEMORY.names] for row in rows), key=lambda one: one[: len(_KEY)])
    return fingerprint({"format": FORMAT, "rows": ordered})


def file_name(version: str) -> str:
    """Return what the file of a snapshot is called."""
    return f"memory-{version}.parquet"


def snapshot_bytes(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """Return a snapshot file of MEMORY rows; equal rows give equal bytes, whatever their order."""
    ordered = sorted(rows, key=lambda row: tuple(row[name] for name in _KEY))
    schema = MEMORY.with_metadata({_VERSION: version_of(rows)})
    return parquet_bytes(pa.Table.from_pylist(list(map(dict, ordered)), schema=schema))


def read_tenants(config: MemoryConfig) -> Tenants:
    """Return what the snapshot of ``config`` says.

    Raises ConfigError if it names none, ModelError for a file that is missing, broken or no snapshot.
    """
    if config.path is None:
        raise ConfigError("memory.path names no file; needed is a snapshot that `rollcall learn` wrote (--memory).")
    try:
        status = os.stat(config.path)
    except OSError as error:
        raise ModelError(f"{config.path}: cannot be read ({error.strerror}); give the snapshot's path.") from error
    return _read_unchanged(config.path, status.st_mtime_ns, status.st_size)


@functools.lru_cache(maxsize=8)
def _read_unchanged(path: str, _modified: int, _size: int) -> Tenants:
    try:
        table = pq.read_table(pa.BufferReader(Path(path).read_bytes()))
        version = (table.schema.metadata or {}).get(_VERSION, b"").decode()
        rows = table.cast(MEMORY).to_pylist() if version else []
        if not version or version_of(rows) != version:
            raise ValueError("it is no snapshot" if not version else "its rows are not those that were written")
        return _by_tenant(rows)
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowInvalid, InputError) as error:
        raise ModelError(f"{path}: cannot be used as memory ({error}); make it with `rollcall learn`.") from error


def _by_tenant(rows: Iterable[Mapping[str, Any]]) -> Tenants:
    found: dict[str, dict[str, tuple[Form, ...]]] = {}
    for row in rows:
        form = Form(parse_phones(row["heard"]), float(row["lower"]), float(row["upper"]))
        of_tenant = found.setdefault(row["tenant"], {})
        of_tenant[row["entity"]] = (*of_tenant.get(row["entity"], ()), form)
    return found


class Recall:
    """What one configuration takes from its snapshot; a tenant's entries are never seen by another."""

    def __init__(self, config: MemoryConfig) -> None:
        """Raises as ``read_tenants`` does."""
        self.config, self._tenants = config, read_tenants(config)

    def names(self, tenant: str) -> Set[str]:
        """Return the names of which anything is known for the tenant."""
        return self._tenants.get(tenant, {}).keys()

    def knows(self, tenant: str, entity: Entity) -> bool:
        """Whether anything is known of the entity, under its own name or an alias."""
        known = self._tenants.get(tenant, {})
        return entity.text in known or any(alias in known for alias in entity.aliases)

    def changed(self, other: "Recall | None", tenant: str) -> frozenset[str]:
        """Return the names of which this one and the other, or none, know something else for the tenant."""
        mine, theirs = (one._tenants.get(tenant, {}) if one is not None else {} for one in (self, other))
        return frozenset(name for name in {*mine, *theirs} if mine.get(name) != theirs.get(name))

    def forms(self, tenant: str, entity: Entity) -> tuple[Form, ...]:
        """Return every way in which the entity was heard, under its own name or an alias."""
        known = self._tenants.get(tenant, {})
        found = [form for name in (entity.text, *entity.aliases) for form in known.get(name, ())]
        return tuple(dict.fromkeys(found))

    def confirmed(self, tenant: str, entity: Entity) -> list[Pronunciation]:
        """Return the forms whose lower bound is at least ``least``, the surest first."""
        sure = [form for form in self.forms(tenant, entity) if form.lower >= self.config.least]
        return [form.phones for form in sorted(sure, key=lambda form: (-form.lower, form.phones))]
