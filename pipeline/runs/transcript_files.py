"""How TRANSCRIPTS rows lie in the files of a run."""

from typing import BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.schemas import DECIDED, DECISIONS, TRANSCRIPTS


def write_transcripts(table: pa.Table, file: pa.NativeFile | BinaryIO) -> None:
    """Write TRANSCRIPTS rows, with the schema's units and meanings in the metadata."""
    pq.write_table(table.select(TRANSCRIPTS.names).cast(TRANSCRIPTS), file, compression="zstd")


def has_decisions(table: pa.Table) -> bool:
    """Whether the rows carry what a policy decided (DECIDED)."""
    return DECIDED.name in table.column_names


def write_decisions(table: pa.Table, file: pa.NativeFile | BinaryIO) -> None:
    """Write the DECISIONS rows that TRANSCRIPTS rows carry."""
    rows = pa.chunked_array([pc.list_flatten(chunk) for chunk in table[DECIDED.name].chunks], pa.struct(DECISIONS))
    flat = pa.Table.from_struct_array(rows.combine_chunks())
    pq.write_table(flat.cast(DECISIONS), file, compression="zstd")
