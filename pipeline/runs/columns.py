"""Some columns of a run's files, a batch at a time."""

from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.errors import InputError
from pipeline.storage import Location


def read_columns(files: Sequence[Location], columns: Sequence[str], rows: int) -> Iterator[pa.RecordBatch]:
    """Yield ``columns`` of all files, at most ``rows`` rows at a time; raises InputError for what is no parquet."""
    for file in files:
        try:
            with pq.ParquetFile(file.path, filesystem=file.arrow()) as parquet:
                yield from parquet.iter_batches(rows, columns=list(columns))
        except (pa.ArrowInvalid, OSError) as error:
            raise InputError(f"{file.uri}: cannot be read as parquet ({error}).") from error
