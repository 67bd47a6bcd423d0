"""Small real audio files for tests, encoded by libsndfile and FFmpeg."""

import io
from collections.abc import Sequence
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import soundfile

SUBTYPES = {"wav": "PCM_16", "flac": "PCM_16", "mp3": "MPEG_LAYER_III", "ogg": "VORBIS", "opus": "OPUS"}


def noise(seconds: float, rate: int = 16_000, level: float = 0.1, seed: int = 0) -> npt.NDArray[np.float32]:
    """White noise, [N]."""
    generator = np.random.default_rng(seed)
    return (level * generator.standard_normal(round(seconds * rate))).astype(np.float32)


def labelled_noise(path: Path, texts: Sequence[str], speakers: int) -> Path:
    """Write AUDIO of noise with ``texts``, which so many speakers say in turn."""
    rows = [
        {
            "utterance_id": f"u{n}", "speaker": f"s{n % speakers}", "text": text,
            "audio": {"bytes": encoded(noise(1.5, seed=n)), "path": None},
        }
        for n, text in enumerate(texts)
    ]  # fmt: skip
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


def tone(seconds: float, rate: int = 16_000, hertz: float = 440.0) -> npt.NDArray[np.float32]:
    """A sine of amplitude 0.5, [N]."""
    return (0.5 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def encoded(
    samples: npt.NDArray[np.float32], kind: str = "wav", rate: int = 16_000, subtype: str | None = None
) -> bytes:
    """Encode [N] or [N, channels] as wav, flac, mp3, ogg or opus."""
    buffer = io.BytesIO()
    container = "OGG" if kind == "opus" else kind.upper()
    soundfile.write(buffer, samples, rate, format=container, subtype=subtype or SUBTYPES[kind])
    return buffer.getvalue()


def encoded_m4a(samples: npt.NDArray[np.float32], folder: Path, rate: int = 16_000, index_first: bool = False) -> bytes:
    """Encode [N] as AAC in m4a; with ``index_first`` a truncated file still opens."""
    path = folder / "made.m4a"
    options = {"movflags": "faststart"} if index_first else {}
    with av.open(str(path), "w", format="mp4", options=options) as container:
        track = container.add_stream("aac", rate=rate)
        track.layout = "mono"
        frame = av.AudioFrame.from_ndarray(samples[None], format="fltp", layout="mono")
        frame.sample_rate = rate
        for packet in [*track.encode(frame), *track.encode(None)]:
            container.mux(packet)
    data = path.read_bytes()
    path.unlink()
    return data
