"""A first pass over speech that is altered on its way to the recogniser."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.conditions import Spoken
from pipeline.audio.clips import as_wav
from pipeline.audio.decode import Samples, decode_audio
from pipeline.recognition.encode import Encoder
from pipeline.schemas import AUDIO

_ROWS = 64  # utterances that are altered and encoded at a time

Change = Callable[[Spoken], Samples]


def decode(row: dict[str, Any]) -> Spoken:
    """Return the audio of a row of AUDIO."""
    return Spoken(row["utterance_id"], row["speaker"], decode_audio(row["audio"]["bytes"], row["utterance_id"]).samples)


def encode(rows: Sequence[dict[str, Any]], change: Change, encoder: Encoder, target: Path) -> Path:
    """Write EMISSIONS of ``rows`` as ``change`` makes them; a file that is there is kept."""
    if target.is_file():
        return target
    tables = []
    for at in range(0, len(rows), _ROWS):
        part = [{**row, "audio": {"bytes": as_wav(change(decode(row))), "path": None}} for row in rows[at : at + _ROWS]]
        fields = [field for field in AUDIO if field.name in part[0]]
        tables.append(encoder.encode(pa.Table.from_pylist(part, pa.schema(fields))))
    new = target.with_name(target.name + ".new")
    pq.write_table(pa.concat_tables(tables), new)
    new.replace(target)
    return target
