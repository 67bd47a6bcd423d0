"""A look at an audio dataset before any work on it starts: its files, columns, ids and identity."""

import dataclasses
import hashlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline import storage
from pipeline.config.fingerprint import fingerprint
from pipeline.errors import InputError
from pipeline.schemas import AUDIO, AUDIO_REQUIRED, ORIGIN, conform, is_text, is_text_list, refuse_repeated

_READ_ROWS = 8192  # ids, and their lists, per batch; bounds memory
_NAMED = 5  # duplicate ids that an error names
_MASK = (1 << 128) - 1
Ids = npt.NDArray[np.uint64]


@dataclasses.dataclass(frozen=True)
class Corpus:
    """An audio dataset that was found fit for work.

    files:   parquet files, sorted
    columns: columns that every file has
    ids:     [rows] sorted 64-bit hashes of the utterance ids, comparable within this process only
    version: content hash of every row's id, audio_sha256, own list and known origin; without audio_sha256 of the file
             footers too
    schema:  what to read the files as, where their text is encoded in another way than as plain strings; else None
    """

    files: tuple[storage.Location, ...]
    columns: tuple[str, ...]
    ids: Ids
    version: str
    schema: pa.Schema | None = None

    @property
    def rows(self) -> int:
        return len(self.ids)


def scan_corpus(files: Sequence[storage.Location], list_column: str | None = None) -> Corpus:
    """Check schemas and ids of every file; reads footers and the id and hash columns, never the audio.

    Raises InputError for missing columns, wrong types (``list_column`` must be list<string>), empty or duplicate ids
    and a dataset without rows; StorageError for unreadable files. Memory: 8 bytes per utterance.
    """
    columns, footers, schemas = [], [], []
    for file in files:
        with _open(file) as parquet:
            check_schema(parquet.schema_arrow, file.uri, list_column)
            columns.append(set(parquet.schema_arrow.names))
            schemas.append(parquet.schema_arrow)
            footers.append(fingerprint([_group(parquet.metadata, i) for i in range(parquet.metadata.num_row_groups)]))
    common = set.intersection(*columns)
    origin = [name for name in ORIGIN if name in common]
    ids, digest = _scan_rows(files, [name for name in ("audio_sha256", list_column) if name in common], origin)
    if not len(ids):
        raise InputError(f"{files[0].uri}: the audio dataset has no utterances.")
    _check_unique(files, ids)
    hashed = "audio_sha256" in common
    version = fingerprint([digest, [] if hashed else sorted(footers)])
    return Corpus(tuple(files), tuple(sorted(common)), ids, version, _plain(schemas, sorted(common)))


def _plain(schemas: Sequence[pa.Schema], common: Sequence[str]) -> pa.Schema | None:
    """Return the common columns with text as plain strings; None if it is that in all files."""
    fields, is_odd = [], False
    for name in common:
        kinds = {schema.field(name).type for schema in schemas if schema.names.count(name) == 1}
        text = any(is_text(kind) and kind != pa.string() for kind in kinds)
        is_odd |= text
        if kinds:
            fields.append((name, pa.string() if text else kinds.pop()))
    return pa.schema(fields) if is_odd else None


def scan_emissions(files: Sequence[storage.Location], version: str) -> Corpus:
    """Return the corpus behind EMISSIONS files, whose audio has the content hash ``version``; reads only the ids.

    Raises InputError for empty or duplicate ids, StorageError for unreadable files.
    """
    if not files:
        raise InputError("the cached first pass has no files; make it anew with --cache-emissions.")
    ids, _ = _scan_rows(files, [])
    _check_unique(files, ids)
    return Corpus(tuple(files), tuple(sorted(column_names(files[0]))), ids, version)


def column_names(file: storage.Location) -> list[str]:
    """Return the columns of one file; raises InputError if it is no parquet."""
    with _open(file) as parquet:
        return list(parquet.schema_arrow.names)


def check_schema(schema: pa.Schema, source: str, list_column: str | None = None) -> None:
    """Raise InputError, naming ``source`` and the column, unless ``schema`` fits AUDIO."""
    refuse_repeated(schema.names, [*AUDIO.names, list_column or ""], source)
    # A column "entities" that is not asked for may be anything.
    wanted = pa.schema([field for field in AUDIO if field.name != "entities"])
    conform(schema.empty_table(), wanted, AUDIO_REQUIRED, source)
    if not is_text(schema.field("utterance_id").type):
        kind = schema.field("utterance_id").type
        raise InputError(f"{source}: column 'utterance_id' is {kind}, needed is string.")
    if list_column is None:
        return
    if list_column not in schema.names:
        raise InputError(f"{source}: column '{list_column}' for the entity lists is missing; it has {schema.names}.")
    kind = schema.field(list_column).type
    if not is_text_list(kind):
        raise InputError(f"{source}: column '{list_column}' is {kind}, needed is list<string>.")


def _open(file: storage.Location) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(file.path, filesystem=file.arrow())
    except pa.ArrowInvalid as error:
        raise InputError(f"{file.uri}: is not a parquet file, or was cut off ({error}).") from error
    except OSError as error:
        raise InputError(f"{file.uri}: cannot be read ({error}).") from error


def _group(metadata: Any, index: int) -> list[Any]:
    group = metadata.row_group(index)
    columns = [group.column(position) for position in range(group.num_columns)]
    sizes = [(c.path_in_schema, c.total_compressed_size, c.total_uncompressed_size) for c in columns]
    return [group.num_rows, sizes]


def _scan_rows(
    files: Sequence[storage.Location], more: Sequence[str | None], optional: Sequence[str] = ()
) -> tuple[Ids, str]:
    """Return the sorted id hashes, and a digest of ids and the columns ``more`` that does not depend on their order.

    A null in the columns ``optional`` is as if the column were not there.
    """
    parts, total = [np.zeros(0, np.uint64)], 0
    for file, rows in _id_batches(files, [*more, *optional]):
        if any(not row[0] for row in rows):
            raise InputError(f"{file.uri}: column 'utterance_id' has empty values; every utterance needs an id.")
        parts.append(id_hashes([row[0] for row in rows]))
        for row in (_known(row, optional) for row in rows):
            total += int.from_bytes(hashlib.blake2b(repr(row).encode(), digest_size=16).digest())
    return np.sort(np.concatenate(parts)), f"{total & _MASK:032x}"


def _known(row: tuple[Any, ...], optional: Sequence[str]) -> tuple[Any, ...]:
    """Return the row with its last columns, ``optional``, named, and left out where they are null."""
    first = len(row) - len(optional)
    named = zip(optional, row[first:], strict=True)
    return (*row[:first], *((name, value) for name, value in named if value is not None))


def id_hashes(ids: Sequence[str]) -> Ids:
    """Return the 64-bit hashes of ids, comparable within this process only."""
    return np.fromiter((hash(utterance_id) & (1 << 64) - 1 for utterance_id in ids), np.uint64, len(ids))


def _id_batches(
    files: Sequence[storage.Location], more: Sequence[str | None] = ()
) -> Iterator[tuple[storage.Location, list[tuple[Any, ...]]]]:
    columns = ["utterance_id", *more]
    for file in files:
        with _open(file) as parquet:
            for batch in parquet.iter_batches(_READ_ROWS, columns=columns):
                yield file, list(zip(*(batch[name].to_pylist() for name in columns), strict=True))


def _check_unique(files: Sequence[storage.Location], ids: Ids) -> None:
    repeated = np.unique(ids[1:][ids[1:] == ids[:-1]])
    if not len(repeated):
        return
    suspects = set(repeated.tolist())
    seen: set[str] = set()
    twice: dict[str, str] = {}
    for file, rows in _id_batches(files):
        names = [row[0] for row in rows]
        for utterance_id, hashed in zip(names, id_hashes(names).tolist(), strict=True):
            if hashed in suspects:
                if utterance_id in seen:
                    twice.setdefault(utterance_id, file.uri)
                seen.add(utterance_id)
    if twice:
        named = ", ".join(f"'{utterance_id}' ({source})" for utterance_id, source in list(twice.items())[:_NAMED])
        raise InputError(f"{len(twice)} utterance ids occur more than once: {named}; ids must be unique in a dataset.")
