"""Writes TRANSCRIPTS and EMISSIONS so that readers see whole files only."""

import os
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq
from ray.data._internal.execution.interfaces import TaskContext
from ray.data._internal.planner.plan_write_op import WRITE_UUID_KWARG_NAME
from ray.data.block import BlockAccessor
from ray.data.datasource import BlockBasedFileDatasink

from pipeline.errors import StorageError
from pipeline.runs.emission_cache import write_emissions
from pipeline.runs.folder import RunFolder
from pipeline.schemas import TRANSCRIPTS
from pipeline.storage import read_bytes, remove


class FolderSink(BlockBasedFileDatasink):
    """One parquet file per block in the folder's ``data``, which readers see whole or not at all.

    Objects on s3 appear when their upload is complete; local files are written elsewhere on the same disk and renamed.
    """

    def __init__(self, folder: RunFolder, attempt: str) -> None:
        super().__init__(folder.data.path, filesystem=folder.root.arrow(), file_format="parquet")
        self._folder, self._attempt = folder, attempt

    def write_block(self, block: BlockAccessor, block_index: int, ctx: TaskContext) -> None:
        """Write the block under the name that Ray Data's checkpoint expects."""
        name = self.filename_provider.get_filename_for_task(ctx.kwargs[WRITE_UUID_KWARG_NAME], ctx.task_idx)
        if self._folder.root.is_local:
            self._write_and_rename(block, name)
            return
        self._check_attempt()
        super().write_block(block, block_index, ctx)
        try:
            self._check_attempt()
        except StorageError:
            remove(self._folder.data.join(name))  # a newer attempt began meanwhile; it does these rows itself
            raise

    def _check_attempt(self) -> None:
        """Raise StorageError if this attempt is no longer the one that may write."""
        current = read_bytes(self._folder.fence).decode()
        if current != self._attempt:
            raise StorageError(f"{self._folder.root.uri}: attempt {current} has taken over from {self._attempt}.")

    def _write_and_rename(self, block: BlockAccessor, name: str) -> None:
        unfinished = os.path.join(self._folder.writing.join(self._attempt).path, name)
        with open(unfinished, "wb") as file:  # fails if a newer attempt has removed the folder
            self.write_block_to_file(block, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, os.path.join(self.path, name))


class TranscriptSink(FolderSink):
    """For TRANSCRIPTS rows."""

    def write_block_to_file(self, block: BlockAccessor, file: pa.NativeFile | BinaryIO) -> None:
        """Write with the schema's units and meanings in the metadata."""
        pq.write_table(block.to_arrow().cast(TRANSCRIPTS), file, compression="zstd")


class EmissionSink(FolderSink):
    """For EMISSIONS rows."""

    def write_block_to_file(self, block: BlockAccessor, file: pa.NativeFile | BinaryIO) -> None:
        """Write as the cache is written everywhere."""
        write_emissions(block.to_arrow(), file)
