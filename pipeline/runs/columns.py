"""Some columns of a dataset's files: a batch at a time, or those of a few utterances."""

from collections.abc import Collection, Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.errors import InputError
from pipeline.storage import Location

_BATCH = 256  # rows of audio held at once


def read_columns(files: Sequence[Location], columns: Sequence[str], rows: int) -> Iterator[pa.RecordBatch]:
    """Yield ``columns`` of all files, at most ``rows`` rows at a time; raises InputError for what is no parquet."""
    for file in files:
        try:
            with pq.ParquetFile(file.path, filesystem=file.arrow()) as parquet:
                yield from parquet.iter_batches(rows, columns=list(columns))
        except (pa.ArrowInvalid, OSError) as error:
            raise InputError(f"{file.uri}: cannot be read as parquet ({error}).") from error


def rows_of(files: Sequence[Location], ids: Collection[str], columns: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Yield the rows of the utterances ``ids`` with ``columns``, as ``batches_of`` finds them."""
    for batch in batches_of(files, ids, columns):
        yield from batch.to_pylist()


def batches_of(
    files: Sequence[Location], ids: Collection[str], columns: Sequence[str], rows: int = _BATCH
) -> Iterator[pa.RecordBatch]:
    """Yield ``columns`` of the utterances ``ids``, of at most ``rows`` rows at a time.

    Reads only the row groups that have one of them; files that lack a column are passed over. Raises InputError for
    what is no parquet.
    """
    wanted = pa.array(sorted(ids), pa.string())
    for location in files:
        try:
            with location.filesystem.open(location.path, "rb") as stream:
                file = pq.ParquetFile(stream)
                if {"utterance_id", *columns} <= set(file.schema_arrow.names):
                    yield from _wanted(file, wanted, columns, rows)
        except (pa.ArrowInvalid, OSError) as error:
            raise InputError(f"{location.uri}: cannot be read as parquet ({error}).") from error


def _wanted(file: pq.ParquetFile, wanted: pa.Array, columns: Sequence[str], rows: int) -> Iterator[pa.RecordBatch]:
    groups = [
        group
        for group in range(file.num_row_groups)
        if pc.any(
            pc.is_in(file.read_row_group(group, ["utterance_id"])["utterance_id"].cast(pa.string()), wanted)
        ).as_py()
    ]
    for batch in file.iter_batches(rows, row_groups=groups, columns=list(dict.fromkeys(["utterance_id", *columns]))):
        yield batch.filter(pc.is_in(batch["utterance_id"].cast(pa.string()), wanted))
