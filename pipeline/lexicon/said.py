"""Pronunciations that were found once, kept by what they are pronunciations of.

A folder holds files of keys and values; each appears whole or not at all, so that work that is broken off goes on
from the last of them. The folder's name must say what the values depend on besides their keys.
"""

import uuid
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

_MANY = 64  # files, from which on they are joined into one
KEY_BYTES = 16
Keys = npt.NDArray[np.void]


class Said:
    """Keys of KEY_BYTES to pronunciations (pipeline.retrieval.sound_index.encode), in files of a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def find(self, keys: Keys) -> tuple[npt.NDArray[np.bool_], pa.Array]:
        """Return which of ``keys`` are known, and the values of those, in their order."""
        table = self._read()
        known = np.frombuffer(table["key"].combine_chunks().buffers()[1] or b"", f"V{KEY_BYTES}", table.num_rows)
        order = np.argsort(known)
        place = np.searchsorted(known[order], keys) if len(known) else np.zeros(len(keys), np.int64)
        rows = order[np.minimum(place, len(known) - 1)] if len(known) else place
        there = known[rows] == keys if len(known) else np.zeros(len(keys), np.bool_)
        return there, table["said"].take(pa.array(rows[there], pa.int64())).combine_chunks()

    def add(self, keys: Keys, values: Sequence[bytes]) -> None:
        """Keep values from now on, whatever happens to this process."""
        column = pa.FixedSizeBinaryArray.from_buffers(pa.binary(KEY_BYTES), len(keys), [None, pa.py_buffer(keys)])
        self._write(pa.table({"key": column, "said": pa.array(values, pa.large_binary())}))

    def join(self) -> None:
        """Make one file of many."""
        files = self._files()
        if len(files) > _MANY:
            self._write(self._read())
            for file in files:
                file.unlink(missing_ok=True)

    def _files(self) -> list[Path]:
        return sorted(self._folder.glob("*.arrow"))

    def _read(self) -> pa.Table:
        empty = pa.schema([("key", pa.binary(KEY_BYTES)), ("said", pa.large_binary())]).empty_table()
        tables = [pa.ipc.open_file(pa.memory_map(str(file))).read_all() for file in self._files()]
        return pa.concat_tables([empty, *tables])

    def _write(self, table: pa.Table) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        partial = self._folder / f".{uuid.uuid4().hex}"
        with pa.OSFile(str(partial), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
            writer.write_table(table.combine_chunks())
        partial.rename(self._folder / f"{uuid.uuid4().hex}.arrow")


def lengths_of(values: pa.Array) -> npt.NDArray[np.int64]:
    """Return the bytes of each value."""
    lengths: npt.NDArray[np.int64] = pc.binary_length(values).to_numpy(zero_copy_only=False).astype(np.int64)
    return lengths
