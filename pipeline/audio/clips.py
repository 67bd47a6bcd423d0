"""An utterance's samples as a file: Ogg, which every browser plays, for pages and people, and WAV for what goes on."""

import base64
import io

import soundfile

from pipeline.audio.decode import SAMPLE_RATE, Samples, decode_audio
from pipeline.errors import RowError

_OGG = b"OggS"


def ogg_clip(name: str, data: bytes | None) -> bytes | None:
    """Return the audio as Ogg Opus, or None if it cannot be decoded: the row's own error says why."""
    if not data or data.startswith(_OGG):
        return data or None
    try:
        samples = decode_audio(data, name).samples
    except RowError:
        return None
    return as_ogg(samples)


def as_ogg(samples: Samples) -> bytes:
    """Return mono 16 kHz samples as Ogg Opus."""
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, SAMPLE_RATE, format="OGG", subtype="OPUS")
    return buffer.getvalue()


def as_wav(samples: Samples) -> bytes:
    """Return mono 16 kHz samples as WAV in 32-bit floats, so that nothing is rounded."""
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, SAMPLE_RATE, format="WAV", subtype="FLOAT")
    return buffer.getvalue()


def data_uri(clip: bytes) -> str:
    """Return an Ogg clip as a data URI, so that the page needs no other file."""
    return f"data:audio/ogg;base64,{base64.b64encode(clip).decode()}"
