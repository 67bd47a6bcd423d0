"""Catalogs: entity lists of any size as files that workers map into memory.

A catalog is a folder with ``catalog.json``, which says what is in it, and parts, each in a folder named by a hash of
all that it depends on. This module has the names (``names-<list version>``); what is known of their sound is in
pipeline.retrieval.catalog. A part appears whole or not at all, and is never changed.
"""

import dataclasses
import functools
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from pathlib import Path
from typing import Any, overload

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline import storage
from pipeline.entities.columns import entities_of, entity_table
from pipeline.errors import InputError
from pipeline.storage import Location
from pipeline.types.entity import Entity, EntityList, Rejected

RECORD = "catalog.json"
FORMAT = 1
_NAMES, _DIGESTS, _ALIASES = "names.arrow", "digests.npy", "aliases.arrow"
_REMEMBERED = 50_000  # entities, some 20 MB
Digests = npt.NDArray[np.void]


class Rows(Sequence[Entity]):
    """The entities of a catalog, made when they are asked for."""

    def __init__(self, table: pa.Table) -> None:
        """``table``: ENTITIES in one chunk."""
        self.table = table
        self._known: dict[int, Entity] = {}

    def __len__(self) -> int:
        return int(self.table.num_rows)

    @overload
    def __getitem__(self, index: int) -> Entity: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Entity]: ...
    def __getitem__(self, index: int | slice) -> Entity | Sequence[Entity]:
        if isinstance(index, slice):
            return self.take(range(*index.indices(len(self))))
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        return self.take((index % len(self),))[0]

    def __iter__(self) -> Iterator[Entity]:
        for batch in self.table.to_batches(10_000):
            yield from entities_of(pa.Table.from_batches([batch]))

    def take(self, indices: Sequence[int]) -> tuple[Entity, ...]:
        """Return the entities at ``indices``; those that were asked for lately are remembered."""
        known = self._known  # one and the same throughout, whatever other threads ask for
        new = [index for index in indices if index not in known]
        if len(known) + len(new) > _REMEMBERED:
            known = self._known = {index: known[index] for index in indices if index in known}
        if new:
            known |= zip(new, entities_of(self.table.take(pa.array(new, pa.int64()))), strict=True)
        return tuple(known[index] for index in indices)


class Spellings(Mapping[str, Entity]):
    """Every spelling of a catalog, canonical or alias, to its entity; looked up in the sorted files."""

    def __init__(self, rows: Rows, aliases: pa.Table) -> None:
        self._rows, self._aliases = rows, aliases

    def __getitem__(self, spelling: str) -> Entity:
        for row in self.rows_of(spelling):
            return self._rows[row]
        raise KeyError(spelling)

    def rows_of(self, spelling: str) -> Iterator[int]:
        """Yield the rows of the entities that have the spelling: as canonical form, then as alias."""
        row = _search(self._names, spelling)
        if row is not None:
            yield row
        alias = _search(self._aliases["alias"].chunk(0), spelling) if self._aliases.num_rows else None
        if alias is not None:
            yield int(self._aliases["row"][alias].as_py())

    def __iter__(self) -> Iterator[str]:
        yield from (entity.text for entity in self._rows)
        yield from (one for one in self._aliases["alias"].to_pylist() if _search(self._names, one) is None)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    @property
    def _names(self) -> pa.Array:
        return self._rows.table["entity"].chunk(0)


def _search(texts: pa.Array, wanted: str) -> int | None:
    """Return the place of ``wanted`` among sorted texts."""
    low, high = 0, len(texts)
    while low < high:
        middle = (low + high) // 2
        if texts[middle].as_py() < wanted:
            low = middle + 1
        else:
            high = middle
    return low if low < len(texts) and texts[low].as_py() == wanted else None


@dataclasses.dataclass(frozen=True, eq=False)
class Catalog(EntityList):
    """An entity list whose entities lie in a file; equal content has the version of the plain list.

    folder: with the parts; ``digests`` is a hash of each entity without its tags
    """

    folder: Path = Path()
    record: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    digests: Digests = dataclasses.field(default_factory=lambda: np.zeros(0, "V16"))

    @functools.cached_property
    def version(self) -> str:
        return str(self.record["version"])

    @functools.cached_property
    def by_text(self) -> Mapping[str, Entity]:
        return Spellings(self.rows, _read_arrow(self.names / _ALIASES))

    @functools.cached_property
    def lengths(self) -> tuple[int, ...]:
        return tuple(self.record["lengths"])

    @property
    def rows(self) -> Rows:
        assert isinstance(self.entities, Rows)
        return self.entities

    @property
    def names(self) -> Path:
        """The part with the names."""
        return self.folder / f"names-{self.version}"

    @property
    def parts(self) -> list[Path]:
        """The folders of all that is known of this version of the list."""
        return sorted(path for path in self.folder.glob(f"[a-z]*-{self.version}*") if path.is_dir())

    def having(self, spellings: Set[str]) -> list[int]:
        assert isinstance(self.by_text, Spellings)
        return sorted({row for one in spellings for row in self.by_text.rows_of(one)})

    def at(self, indices: Sequence[int]) -> tuple[Entity, ...]:
        return self.rows.take(indices)


def digests_of(entities: EntityList) -> Digests:
    """Return [N] V16, a hash of each entity without its tags."""
    if isinstance(entities, Catalog):
        return entities.digests
    return np.array([_digest(entity) for entity in entities.entities], "V16")


def _digest(entity: Entity) -> bytes:
    content = (entity.text, entity.display_as, entity.aliases, entity.pronunciations, entity.weight)
    return hashlib.blake2b(json.dumps(content, ensure_ascii=False).encode(), digest_size=16).digest()


def write_catalog(entities: EntityList, folder: Path) -> Catalog:
    """Write the names of a list into ``folder``, unless they are there, and return it as a catalog."""
    record = {
        "format": FORMAT,
        "version": entities.version,
        "entities": len(entities),
        "lengths": list(entities.lengths),
        "rejected": [dataclasses.astuple(one) for one in entities.rejected],
        "merged": [dataclasses.astuple(one) for one in entities.merged],
    }
    write_part(folder / f"names-{entities.version}", lambda part: _write_names(entities, part))
    storage.write_atomic(_location(folder / RECORD), json.dumps(record, ensure_ascii=False).encode())
    return _open(folder)


def write_part(part: Path, write: Callable[[Path], None]) -> None:
    """Let ``write`` fill the folder of a part, which then appears at once; nothing is done if it is there."""
    if part.is_dir():
        return
    part.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=".part-", dir=part.parent))
    try:
        write(partial)
        partial.chmod(0o755)
        os.rename(partial, part)
    except OSError:
        if not part.is_dir():  # another process was faster
            raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _write_names(entities: EntityList, part: Path) -> None:
    _write_arrow(entity_table(entities.entities), part / _NAMES)
    np.save(part / _DIGESTS, digests_of(entities))
    pairs = {alias: row for row, entity in enumerate(entities.entities) for alias in entity.aliases}
    ordered = sorted(pairs)
    rows = pa.array([pairs[alias] for alias in ordered], pa.int64())
    _write_arrow(pa.table({"alias": pa.array(ordered, pa.string()), "row": rows}), part / _ALIASES)


def is_catalog(location: Location) -> bool:
    """Whether a folder is a catalog."""
    return storage.exists(location.join(RECORD))


def open_catalog(location: Location) -> Catalog:
    """Return the catalog of a folder, its files mapped into memory; one on an object store is copied here first.

    Raises InputError if it is not whole, StorageError if it cannot be read.
    """
    return _open(Path(location.path) if location.is_local else _fetched(location))


def _open(folder: Path) -> Catalog:
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        if record["format"] != FORMAT:
            raise InputError(f"{folder}: is a catalog of format {record['format']}, needed is {FORMAT}; run "
                             "`rollcall index` again.")  # fmt: skip
        names = folder / f"names-{record['version']}"
        table = _read_arrow(names / _NAMES)
        digests = np.asarray(np.load(names / _DIGESTS, mmap_mode="r"))
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowInvalid) as error:
        raise InputError(f"{folder}: is no whole catalog ({error}); run `rollcall index` again.") from error
    rejected, merged = (tuple(Rejected(*one) for one in record[name]) for name in ("rejected", "merged"))
    return Catalog(Rows(table), rejected, merged, folder, record, digests)


def save_catalog(catalog: Catalog, target: Location) -> None:
    """Put a catalog with all its parts into another folder: by links where that can be, else by copies.

    ``catalog.json`` comes last, so that what has it is whole. Raises StorageError.
    """
    files = [path for part in catalog.parts for path in sorted(part.iterdir())]
    for path in [*files, catalog.folder / RECORD]:
        to = target.join(path.relative_to(catalog.folder).as_posix())
        if not storage.exists(to):
            storage.attempt(functools.partial(_put, path, to), to, "write")


def _put(path: Path, to: Location) -> None:
    if not to.is_local:
        to.filesystem.put_file(str(path), to.path)
        return
    os.makedirs(os.path.dirname(to.path), exist_ok=True)
    try:
        os.link(path, to.path)
    except OSError:  # another disk, or one without links
        shutil.copyfile(path, to.path)


def cache_folder() -> Path:
    """Where this machine keeps copies of catalogs, each in a folder named by its content."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "rollcall" / "catalogs"


def _fetched(location: Location) -> Path:
    """Copy the parts that are not here yet, and return the folder of the copy."""
    record = storage.read_bytes(location.join(RECORD))
    folder = cache_folder() / hashlib.sha256(record).hexdigest()[:16]
    listed: dict[str, list[str]] = {}
    for _, files in storage.walk_files(location):
        for path, _ in files:
            part, _, name = location.relative(path).partition("/")
            if name:
                listed.setdefault(part, []).append(path)
    for part, paths in listed.items():
        write_part(folder / part, functools.partial(_fetch, location, paths))
    storage.write_atomic(_location(folder / RECORD), record)
    return folder


def _fetch(location: Location, paths: Sequence[str], part: Path) -> None:
    for path in paths:
        target = str(part / os.path.basename(path))
        storage.attempt(functools.partial(location.filesystem.get_file, path, target), location, "read")


def _location(path: Path) -> Location:
    return storage.open_filesystem(str(path))


def _write_arrow(table: pa.Table, path: Path) -> None:
    """Write one batch, so that a column is one array when it is mapped."""
    batches = table.combine_chunks().to_batches()
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        for batch in batches:
            writer.write_batch(batch)


def _read_arrow(path: Path) -> pa.Table:
    return pa.ipc.open_file(pa.memory_map(str(path))).read_all()
