"""Corpora of any size, made by repeating one."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.storage import list_parquet

GROUP_ROWS = 100  # rows per row group: how finely a reader can stream


def repeat(source: str, target: Path, copies: int, rows: int | None = None) -> Path:
    """Write ``copies`` of the first ``rows`` utterances of ``source``, ids made unique by a suffix; streams."""
    writer = None
    for copy in range(copies):
        left = float("inf") if rows is None else rows
        for file in list_parquet(source):
            with pq.ParquetFile(file.path, filesystem=file.arrow()) as parquet:
                for batch in parquet.iter_batches(GROUP_ROWS):
                    table = pa.Table.from_batches([batch.slice(0, int(min(left, GROUP_ROWS)))])
                    left -= table.num_rows
                    ids = pa.array([f"{name}-x{copy}" for name in table["utterance_id"].to_pylist()], pa.string())
                    table = table.set_column(table.schema.get_field_index("utterance_id"), "utterance_id", ids)
                    writer = writer or pq.ParquetWriter(target, table.schema)
                    writer.write_table(table, row_group_size=GROUP_ROWS)
    if writer is not None:
        writer.close()
    return target
