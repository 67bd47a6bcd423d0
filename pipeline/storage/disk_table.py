"""Joins and duplicate checks over corpora that do not fit into memory: SQLite in a temporary file."""

import contextlib
import sqlite3
from collections.abc import Iterable, Iterator
from itertools import islice

from pipeline.errors import InputError

_BATCH = 10_000  # rows per insert
_CACHE_KIB = 65_536  # SQLite's page cache: the memory that these tables take, whatever they hold
_NAMED = 5  # duplicates that a message names


@contextlib.contextmanager
def temporary_database(folder: str) -> Iterator[sqlite3.Connection]:
    """Open a database in ``folder`` that needs no durability."""
    connection = sqlite3.connect(f"{folder}/tables.sqlite", isolation_level=None)
    try:
        for pragma in ("journal_mode=OFF", "synchronous=OFF", f"cache_size=-{_CACHE_KIB}"):
            connection.execute(f"PRAGMA {pragma}")
        yield connection
    finally:
        connection.close()


def insert(connection: sqlite3.Connection, statement: str, rows: Iterable[tuple[object, ...]]) -> None:
    """Run an INSERT for all rows, in batches."""
    iterator = iter(rows)
    while batch := list(islice(iterator, _BATCH)):
        connection.execute("BEGIN")
        connection.executemany(statement, batch)
        connection.execute("COMMIT")


class DuplicateIds(InputError):
    """Utterance ids that came more than once."""


class UniqueIds:
    """Collects utterance ids with where they came from, and names the ones that came twice."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._pending: list[tuple[str, str]] = []
        connection.execute("CREATE TABLE ids (id TEXT PRIMARY KEY, origin TEXT) WITHOUT ROWID")
        connection.execute("CREATE TABLE doubles (id TEXT, origin TEXT)")
        connection.execute(
            "CREATE TRIGGER seen BEFORE INSERT ON ids WHEN EXISTS (SELECT 1 FROM ids WHERE id = NEW.id) "
            "BEGIN INSERT INTO doubles VALUES (NEW.id, NEW.origin); SELECT RAISE(IGNORE); END"
        )

    def add(self, utterance_id: str, origin: str) -> None:
        self._pending.append((utterance_id, origin))
        if len(self._pending) >= _BATCH:
            self._flush()

    def _flush(self) -> None:
        insert(self._connection, "INSERT INTO ids VALUES (?, ?)", self._pending)
        self._pending = []

    def check(self, source: str) -> None:
        """Raise DuplicateIds, naming ids and where they are, if any came more than once."""
        self._flush()
        (count,) = self._connection.execute("SELECT count(*) FROM doubles").fetchone()
        if not count:
            return
        pairs = self._connection.execute(
            "SELECT d.id, i.origin, d.origin FROM doubles d JOIN ids i ON i.id = d.id ORDER BY 1, 3 LIMIT ?", (_NAMED,)
        ).fetchall()
        named = "; ".join(f"'{name}' in {first} and in {second}" for name, first, second in pairs)
        more = f"; and {count - _NAMED} more" if count > _NAMED else ""
        raise DuplicateIds(
            f"{source}: {count} duplicate utterance ids: {named}{more}. Every id must be unique; rename or "
            "remove them, or name another column of a table or parquet with --id-column."
        )
