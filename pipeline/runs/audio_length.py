"""How much audio a dataset holds, without decoding it: read where ingest wrote it, else estimated."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.errors import RowError
from pipeline.storage import Location, attempt

_COLUMN = "duration_seconds"
_ROWS = 65_536
_SAMPLED = 4  # rows at the start of the first and of the last file that are decoded for an estimate
_BYTES_PER_SECOND = 4_000.0  # where none of those can be: 32 kbit/s, of which few recordings have less


@dataclasses.dataclass(frozen=True)
class AudioLength:
    """Seconds of audio; ``at_least`` where counting stopped early, ``how`` an estimate was made, None for none."""

    seconds: float
    at_least: bool = False
    how: str | None = None


def audio_length(files: Sequence[Location], columns: Sequence[str], enough: float) -> AudioLength:
    """Return how much audio the files hold; counts no further than ``enough`` seconds.

    columns: those that every file has
    Raises StorageError for files that cannot be read.
    """
    if _COLUMN in columns:
        return attempt(lambda: _counted(files, enough), files[0], "read")
    return attempt(lambda: _estimated(files), files[0], "read")


def mean_seconds(files: Sequence[Location], columns: Sequence[str]) -> float:
    """Return how long a row is on average, from the first file and the last; 0.0 where they have no audio.

    columns: those that every file has
    Raises StorageError for files that cannot be read.
    """
    some = list({file.path: file for file in (files[0], files[-1])}.values())
    rows = attempt(lambda: sum(_rows(file) for file in some), files[0], "read")
    return audio_length(some, columns, math.inf).seconds / max(1, rows)


def _counted(files: Sequence[Location], enough: float) -> AudioLength:
    seconds, known, rows = 0.0, 0, 0
    for file in files:
        with pq.ParquetFile(file.path, filesystem=file.arrow()) as parquet:
            for batch in parquet.iter_batches(_ROWS, columns=[_COLUMN]):
                values = pc.drop_null(pc.cast(batch[_COLUMN], pa.float64()))
                seconds += pc.sum(pc.filter(values, pc.is_finite(values))).as_py() or 0.0
                known, rows = known + len(values), rows + len(batch)
                if seconds > enough:
                    return AudioLength(seconds, at_least=True)
    if known == rows or not known:
        return AudioLength(seconds) if known else _estimated(files)
    return AudioLength(seconds * rows / known, how=f"{known:,} of {rows:,} rows say how long they are")


def _estimated(files: Sequence[Location]) -> AudioLength:
    """Take what is heard in a few rows per byte for all bytes of audio."""
    heard, size, count = 0.0, 0, 0
    for file in dict.fromkeys((files[0].path, files[-1].path)):
        with pq.ParquetFile(file, filesystem=files[0].arrow(), buffer_size=1 << 20) as parquet:
            for row in next(parquet.iter_batches(_SAMPLED, columns=["audio"]), pa.table({"audio": []})).to_pylist():
                seconds = _seconds(row["audio"])
                if seconds is not None:
                    heard, size, count = heard + seconds, size + len(row["audio"]["bytes"]), count + 1
    total = sum(_audio_bytes(file) for file in files)
    if not heard:
        return AudioLength(total / _BYTES_PER_SECOND, how="from its bytes: no row of a few could be decoded")
    return AudioLength(total * heard / size, how=f"from its bytes and {count} decoded rows: no column {_COLUMN}")


def _seconds(audio: dict[str, Any] | None) -> float | None:
    """Return the length of one row's audio, None if it has none that can be decoded."""
    from pipeline.audio.decode import decode_audio  # loads the codecs

    data = (audio or {}).get("bytes")
    if not data:
        return None
    try:
        return decode_audio(data, "sample").duration_seconds
    except RowError:
        return None


def _rows(file: Location) -> int:
    return int(pq.read_metadata(file.path, filesystem=file.arrow()).num_rows)


def _audio_bytes(file: Location) -> int:
    """Return the bytes of the audio column from the footer: the audio is compressed already, so parquet adds little."""
    metadata = pq.read_metadata(file.path, filesystem=file.arrow())
    groups = [metadata.row_group(index) for index in range(metadata.num_row_groups)]
    columns = [group.column(index) for group in groups for index in range(group.num_columns)]
    return sum(column.total_uncompressed_size for column in columns if column.path_in_schema == "audio.bytes")
