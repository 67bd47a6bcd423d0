"""Writes TRANSCRIPTS and EMISSIONS from a Ray Data plan so that readers see whole files only."""

from typing import BinaryIO

import pyarrow as pa
from ray.data._internal.execution.interfaces import TaskContext
from ray.data._internal.planner.plan_write_op import WRITE_UUID_KWARG_NAME
from ray.data.block import BlockAccessor
from ray.data.datasource import BlockBasedFileDatasink

from pipeline.runs.checkpoint import Attempt
from pipeline.runs.emission_cache import write_emissions
from pipeline.runs.transcript_files import write_transcripts


class FolderSink(BlockBasedFileDatasink):
    """One parquet file per block in the folder's ``data``, which readers see whole or not at all."""

    def __init__(self, attempt: Attempt) -> None:
        folder = attempt.folder
        super().__init__(folder.data.path, filesystem=folder.root.arrow(), file_format="parquet")
        self._attempt = attempt

    def write_block(self, block: BlockAccessor, block_index: int, ctx: TaskContext) -> None:
        """Write the block under the name that Ray Data's checkpoint expects."""
        name = self.filename_provider.get_filename_for_task(ctx.kwargs[WRITE_UUID_KWARG_NAME], ctx.task_idx)
        self._put(name, block)

    def _put(self, name: str, block: BlockAccessor) -> None:
        self._attempt.put(name, lambda file: self.write_block_to_file(block, file))


class TranscriptSink(FolderSink):
    """For TRANSCRIPTS rows, as they are written everywhere."""

    def _put(self, name: str, block: BlockAccessor) -> None:
        self._attempt.put_rows(name, block.to_arrow(), write_transcripts)


class EmissionSink(FolderSink):
    """For EMISSIONS rows."""

    def write_block_to_file(self, block: BlockAccessor, file: pa.NativeFile | BinaryIO) -> None:
        """Write as the cache is written everywhere."""
        write_emissions(block.to_arrow(), file)
