"""Output files that appear whole, of bounded size, one set per partition."""

import dataclasses
import hashlib
import os
import re
import tempfile
import unicodedata
from collections.abc import Callable, Iterator
from itertools import count
from sqlite3 import Connection
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline import storage
from pipeline.storage import Location

NO_VALUE = "unknown"
"""Folder of rows without a value, which is null in their columns. Arrow, and so pandas, fails on Hive's own name."""
_LONGEST_NAME = 180  # bytes of a file name made of an id; file systems take 255
_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f/\\:*?"<>|]|%(?=[0-9A-Fa-f]{2})')
"""What some file system takes in no name, and what would be read as its replacement, so that names stay apart."""
_DEVICE = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
"""Names that Windows keeps for devices, whatever their ending."""
_HIVE = re.compile(r'[\x00-\x1f\x7f/\\:*?"<>|%=#\[\]{}^\']')
"""What Hive escapes in the values of folders, and what file systems take in no name."""
_OPEN_AT_ONCE = 64  # files; more partitions than that take turns, with a part each time
_HELD_ROWS = 16_384  # rows of all open parquet files that wait for their row group: some 160 MB with n-best lists


def part_name(number: int, suffix: str) -> str:
    return f"part-{number:05d}{suffix}"


def partition_folder(key: str, value: str | None) -> str:
    """Return ``key=value`` as Hive writes it; any value is one safe name.

    >>> partition_folder("by_tenant", "Łódź 24/7")
    'by_tenant=Łódź 24%2F7'
    """
    return f"{key}={NO_VALUE if value is None else _HIVE.sub(_escaped, value)}"


def file_name(name: str) -> str:
    """Return a name of the data as a file name, without its ending: one level, of bounded length, letters as they are.

    What a file system forbids is percent-encoded. Different names stay different where case and accents count; Names
    sees to the rest.

    >>> file_name("Vorstand: Q1/Q2 – 2026")
    'Vorstand%3A Q1%2FQ2 – 2026'
    """
    safe = _FORBIDDEN.sub(_escaped, name)
    if not safe or safe.strip(". ") != safe or len(safe.encode()) > _LONGEST_NAME or _DEVICE.fullmatch(safe):
        safe = f"{_shortened(safe.strip('. '), _LONGEST_NAME - 20)}{_mark(name)}"
    return safe


def _escaped(match: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in match[0].encode())


def _shortened(text: str, most: int) -> str:
    """Return the beginning of a text, whole characters of at most ``most`` bytes of UTF-8."""
    return text.encode()[:most].decode(errors="ignore")


def _mark(name: str) -> str:
    return f"~{hashlib.sha256(name.encode()).hexdigest()[:16]}"


class Names:
    """File names that were given out, so that no two files of a folder are one.

    Some file systems take names for the same that differ in case or in how an accent is written; and two recordings of
    a run may be called the same. The second one gets a mark that its ``identity`` decides.
    """

    def __init__(self, database: Connection) -> None:
        self._database = database
        database.execute("CREATE TABLE names (folder TEXT, name TEXT, PRIMARY KEY (folder, name)) WITHOUT ROWID")

    def give(self, folder: str, name: str, identity: str) -> str:
        """Return a file name for ``name`` that no other file of ``folder`` has."""
        wanted = candidate = file_name(name)
        for number in count():
            key = unicodedata.normalize("NFC", unicodedata.normalize("NFC", candidate).casefold())
            if self._database.execute("INSERT OR IGNORE INTO names VALUES (?, ?)", (folder, key)).rowcount:
                break
            candidate = f"{_shortened(wanted, _LONGEST_NAME - 20)}{_mark(identity + '#' * number)}"
        return candidate


class Writing:
    """A file that is being written, out of sight until it is published."""

    def __init__(self, target: Location) -> None:
        self.target = target
        folder = None
        if target.is_local:
            folder = target.parent.path
            os.makedirs(folder, exist_ok=True)
        self._descriptor, self._path = tempfile.mkstemp(prefix=".rollcall-", dir=folder)
        self.stream: BinaryIO = os.fdopen(self._descriptor, "wb")

    def publish(self) -> None:
        """Let readers see the whole file; raises StorageError."""
        self.stream.close()
        os.chmod(self._path, 0o644)  # mkstemp's is for one's own eyes
        storage.publish(self._path, self.target)

    def discard(self) -> None:
        self.stream.close()
        if os.path.exists(self._path):
            os.unlink(self._path)


class TextPart:
    """Rows as lines of UTF-8; ``head`` comes first in every file."""

    def __init__(self, target: Location, head: str = "") -> None:
        self._file = Writing(target)
        self._file.stream.write(head.encode())
        self.rows = self.held = 0

    def flush(self) -> None:
        """Nothing waits here."""

    def write(self, lines: list[str]) -> None:
        self._file.stream.write("".join(lines).encode())
        self.rows += len(lines)

    def close(self) -> None:
        self._file.publish()

    def discard(self) -> None:
        self._file.discard()


class ParquetPart:
    """Rows of one schema; row groups of up to ``GROUP`` rows."""

    GROUP = 8_192

    def __init__(self, target: Location, schema: pa.Schema) -> None:
        self._file = Writing(target)
        self._schema = schema
        self._writer = pq.ParquetWriter(self._file.stream, schema, compression="zstd")
        self._tables: list[pa.Table] = []
        self.rows = self.held = 0

    def write(self, table: pa.Table) -> None:
        self._tables.append(table)
        self.rows += len(table)
        self.held += len(table)
        if self.held >= self.GROUP:
            self.flush()

    def flush(self) -> None:
        """Write what waits as a row group."""
        if self._tables:
            self._writer.write_table(pa.concat_tables(self._tables).cast(self._schema))
        self._tables, self.held = [], 0

    def close(self) -> None:
        self.flush()
        self._writer.close()
        self._file.publish()

    def discard(self) -> None:
        self._writer.close()
        self._file.discard()


@dataclasses.dataclass
class _Open:
    part: Any
    number: int


class Parts:
    """One growing file per partition, closed at ``most_rows``; also the least recently used when there are many."""

    def __init__(self, root: Location, suffix: str, most_rows: int, open_part: Callable[[Location], Any]) -> None:
        self._root, self._suffix, self._most, self._make = root, suffix, most_rows, open_part
        self._open: dict[str, _Open] = {}
        self._numbers: dict[str, int] = {}
        self.files = 0

    def write(self, folder: str, rows: Any) -> None:
        """Append rows (a table, or lines) to the partition's file."""
        at = 0
        while at < len(rows):
            found = self._open.pop(folder, None) or self._begin(folder)
            self._open[folder] = found  # the last one is the one used last
            stop = min(len(rows), at + self._most - found.part.rows)
            found.part.write(rows[at:stop])
            at = stop
            if found.part.rows >= self._most:
                self._end(folder)
            if sum(one.part.held for one in self._open.values()) > _HELD_ROWS:
                max((one.part for one in self._open.values()), key=lambda part: part.held).flush()

    def _begin(self, folder: str) -> _Open:
        while len(self._open) >= _OPEN_AT_ONCE:
            self._end(next(iter(self._open)))
        number = self._numbers.get(folder, 0)
        self._numbers[folder] = number + 1
        name = part_name(number, self._suffix)
        return _Open(self._make(self._root.join(folder, name) if folder else self._root.join(name)), number)

    def _end(self, folder: str) -> None:
        self._open.pop(folder).part.close()
        self.files += 1

    def close(self) -> None:
        """Publish what is open."""
        for folder in list(self._open):
            self._end(folder)

    def discard(self) -> None:
        """Forget what is open; files that were published stay."""
        for folder in list(self._open):
            self._open.pop(folder).part.discard()


def split(table: pa.Table, values: list[str | None]) -> Iterator[tuple[str | None, pa.Table]]:
    """Yield the rows of each value, in the order in which values first come."""
    places: dict[str | None, list[int]] = {}
    for at, value in enumerate(values):
        places.setdefault(value, []).append(at)
    for value, rows in places.items():
        yield value, table if len(rows) == len(table) else table.take(rows)
