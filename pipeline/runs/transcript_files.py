"""How TRANSCRIPTS rows lie in the files of a run."""

from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.schemas import TRANSCRIPTS


def write_transcripts(table: pa.Table, file: pa.NativeFile | BinaryIO) -> None:
    """Write TRANSCRIPTS rows, with the schema's units and meanings in the metadata."""
    pq.write_table(table.cast(TRANSCRIPTS), file, compression="zstd")
