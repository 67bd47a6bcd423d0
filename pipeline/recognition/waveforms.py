"""AUDIO rows to rows of waveforms: mono, 16 kHz, 16 bits. Table in, table out, a row per row, errors kept in the row.

Where encoders compute on GPUs it is a stage of its own on the cores around them; elsewhere an encoder does it itself.
Either way the network hears the same 16 bits.
"""

import hashlib
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.acoustic.interface import SAMPLE_RATE
from pipeline.audio.decode import Pcm, decode_audio, to_pcm
from pipeline.errors import RowError
from pipeline.schemas import WAVEFORM

_READ = ("utterance_id", "audio", "audio_sha256", "error")
_SAMPLES = WAVEFORM.names[0]


def is_read(table: pa.Table) -> bool:
    """Return whether the rows have waveforms already."""
    return _SAMPLES in table.column_names


def read_audio(audio: pa.Table) -> pa.Table:
    """Return AUDIO rows with WAVEFORM in place of ``audio``; what cannot be read has ``error`` set and no waveform.

    A row without ``audio_sha256`` gets it. Other columns stay as they are.
    """
    rows = audio.select([name for name in _READ if name in audio.column_names]).to_pylist()
    decoded = [_decode(row) for row in rows]
    waveforms = [None if isinstance(item, str) else item for item in decoded]
    columns = {
        "duration_seconds": pa.array([None if w is None else len(w) / SAMPLE_RATE for w in waveforms], pa.float64()),
        "audio_sha256": pa.array([row.get("audio_sha256") or _sha256(row["audio"]) for row in rows], pa.string()),
        "error": pa.array([item if isinstance(item, str) else None for item in decoded], pa.string()),
        _SAMPLES: _column(waveforms),
    }
    kept = audio.select([name for name in audio.column_names if name not in (*columns, "audio")])
    for name, column in columns.items():
        kept = kept.append_column(name, column)
    return kept


def waveforms_of(table: pa.Table) -> list[Pcm | None]:
    """Return the waveform of each row, a view into the table; None for a row that has none."""
    found: list[Pcm | None] = []
    for chunk in table[_SAMPLES].chunks:
        offsets, values = chunk.offsets.to_numpy(), chunk.values.to_numpy(zero_copy_only=True)
        there = chunk.is_valid().to_numpy(zero_copy_only=False)
        found += [values[offsets[i] : offsets[i + 1]] if there[i] else None for i in range(len(chunk))]
    return found


def _column(waveforms: list[Pcm | None]) -> pa.ListArray:
    lengths = np.array([0 if waveform is None else len(waveform) for waveform in waveforms], np.int64)
    kept = [waveform for waveform in waveforms if waveform is not None]
    values: npt.NDArray[np.int16] = np.concatenate(kept) if kept else np.zeros(0, np.int16)
    offsets = pa.array(np.concatenate([[0], np.cumsum(lengths)]), pa.int32())
    mask = pa.array([waveform is None for waveform in waveforms], pa.bool_())
    return pa.ListArray.from_arrays(offsets, pa.array(values), mask=mask)


def _decode(row: dict[str, Any]) -> Pcm | str:
    """Return the waveform in 16 bits, or why there is none."""
    name = row["utterance_id"]
    if row.get("error"):
        return str(row["error"])
    data = (row["audio"] or {}).get("bytes")
    if data is None:
        return f"{name}: has no audio bytes; `python -m jobs.ingest` embeds the audio in the dataset."
    try:
        return to_pcm(decode_audio(data, name).samples)
    except RowError as error:
        return str(error)


def _sha256(audio: dict[str, Any] | None) -> str | None:
    data = (audio or {}).get("bytes")
    return None if data is None else hashlib.sha256(data).hexdigest()
