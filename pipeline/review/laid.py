"""A run with reviews laid over it, as TRANSCRIPTS in a place of its own; the run is only read."""

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.review.overlay import REVIEWED, Overlay, changed_lines
from pipeline.runs.reader import Run
from pipeline.schemas import TRANSCRIPTS

SCHEMA = pa.schema([*TRANSCRIPTS, *REVIEWED])
"""TRANSCRIPTS with what reviews changed."""


def write_laid(run: Run, overlay: Overlay, path: str) -> list[str]:
    """Write every row of the run, as reviewed, to a local file; return a JSON line per row that was changed.

    Raises InputError or StorageError as reading the run does.
    """
    lines: list[str] = []
    with pq.ParquetWriter(path, SCHEMA, compression="zstd") as writer:
        for batch in run.batches():
            laid = overlay.lay(batch)
            lines += changed_lines(laid)
            writer.write_table(laid.select(SCHEMA.names).cast(SCHEMA))
    return lines
