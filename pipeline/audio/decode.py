"""Encoded audio to mono 16 kHz samples: libsndfile first, FFmpeg (PyAV) for what it does not know.

Both paths stream in blocks, so that an hour of audio needs no more memory than a sentence does.
"""

import dataclasses
import io
from collections.abc import Iterator
from typing import Any, BinaryIO, cast

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from pipeline.audio.integrity import check_complete, counts_frames, mended_wav
from pipeline.audio.joined import Part, parts_of
from pipeline.audio.stream import BLOCK_SECONDS, AudioStream, broken, reason_of
from pipeline.errors import RowError

SAMPLE_RATE = 16_000
"""Hz, of everything that this module returns."""
MAX_SECONDS = 120.0
"""Longest audio of one row: bounds a worker's memory; longer recordings are cut by jobs.ingest."""
MIN_SAMPLES = 400
"""25 ms: less than one analysis window of the models has nothing to transcribe."""
_MAX_PEAK = 16.0  # full scale is 1.0; 24 dB above it the file surely holds something else than audio
_QUIET_MIX = 10 ** (-12 / 10)  # of the loudest channel's power

_FULL_SCALE = 32_768  # of 16 bits
_LOUDEST = 32_767  # of 16 bits; there is one step more below zero than above

Samples = npt.NDArray[np.float32]
Pcm = npt.NDArray[np.int16]
"""Mono 16 kHz in 16 bits, [N]: what is passed on to the encoder."""


@dataclasses.dataclass(frozen=True)
class Waveform:
    """Decoded audio: ``samples`` are mono at 16 kHz, [N], full scale 1.0; the rest says what the file held."""

    samples: Samples
    source_rate: int
    channels: int

    @property
    def duration_seconds(self) -> float:
        return len(self.samples) / SAMPLE_RATE


def decode_audio(data: bytes, source: str, max_seconds: float = MAX_SECONDS) -> Waveform:
    """Decode one utterance; channels are averaged, other rates resampled (soxr, high quality).

    Raises RowError, naming ``source`` (utterance or file), if the audio is empty, truncated, no audio at all, shorter
    than 25 ms, longer than ``max_seconds``, or holds NaN, infinite or absurdly large samples.
    """
    stream = open_audio(io.BytesIO(data), source)
    parts: list[Samples] = []
    total = 0
    for block in resampled(stream, source):
        parts.append(block)
        total += len(block)
        if total > max_seconds * SAMPLE_RATE:
            raise RowError(
                f"{source}: audio is longer than {max_seconds:g} s; cut it with `python -m jobs.ingest --max-seconds`."
            )
    samples = parts[0] if len(parts) == 1 else np.concatenate(parts)
    return Waveform(samples, stream.rate, stream.channels)


def open_audio(file: BinaryIO, source: str) -> AudioStream:
    """Open encoded audio in a seekable file; raises RowError if it is empty, truncated or not audio.

    Streams that lie in the file one after the other (joined.py) are read one after the other, each checked as a file;
    one of another rate than the first is brought to the first one's.
    """
    parts = parts_of(file)
    if len(parts) == 1:
        return _open_part(file, source)
    first = _open_part(parts[0], _of_part(source, 0, parts))
    return dataclasses.replace(first, blocks=_joined(first, parts, source))


def _joined(first: AudioStream, parts: list[BinaryIO], source: str) -> Iterator[npt.NDArray[np.float32]]:
    yield from first.blocks
    for number, part in enumerate(parts[1:], 1):
        stream = _open_part(part, _of_part(source, number, parts))
        yield from stream.blocks if stream.rate == first.rate else _at_rate(stream, first.rate)


def _of_part(source: str, number: int, parts: list[BinaryIO]) -> str:
    """Name a stream of a joined file in messages, with the bytes that its error leaves unread."""
    left = sum(part.seek(0, 2) for part in parts[number:])
    return f"{source} (stream {number + 1} of {len(parts)} joined ones; {left} bytes from there on)"


def _at_rate(stream: AudioStream, rate: int) -> Iterator[npt.NDArray[np.float32]]:
    converter = soxr.ResampleStream(stream.rate, rate, stream.channels, dtype="float32", quality="HQ")
    for block in stream.blocks:
        yield converter.resample_chunk(block).reshape(-1, stream.channels)
    yield converter.resample_chunk(np.zeros((0, stream.channels), np.float32), last=True).reshape(-1, stream.channels)


def _open_part(file: BinaryIO, source: str) -> AudioStream:
    check_complete(file, source)
    head = mended_wav(file)
    if head:
        file = cast(BinaryIO, Part(file, 0, file.seek(0, 2), head))
    if not counts_frames(file):
        # libsndfile ends an mp3 without a count where it guesses, in the midst of one whose bit rate varies.
        return _try_ffmpeg(file, source, "an mp3 that does not count its frames is left to FFmpeg")
    try:
        return _open_soundfile(file, source)
    except soundfile.LibsndfileError as error:
        return _try_ffmpeg(file, source, reason_of(error))


def _try_ffmpeg(file: BinaryIO, source: str, first: str) -> AudioStream:
    """Open with FFmpeg; ``first`` is why libsndfile did not."""
    from pipeline.audio.ffmpeg import UNREADABLE, open_ffmpeg  # needs PyAV, which few files do

    file.seek(0)
    try:
        return open_ffmpeg(file, source)
    except UNREADABLE as error:
        raise RowError(
            f"{source}: not audio that can be decoded (libsndfile: {first}; FFmpeg: {reason_of(error)}); "
            "needed is wav, flac, mp3, ogg, opus, m4a or another format of these libraries."
        ) from error


class MixLevel:
    """How loud the mean of the channels is beside the loudest of them: opposite phases leave nothing of both."""

    def __init__(self) -> None:
        self._mix = 0.0
        self._channels: npt.NDArray[np.float64] = np.zeros(0)

    def note(self, block: npt.NDArray[np.float32], mix: Samples) -> None:
        """Take in samples [N, channels] and their mean [N]."""
        power = np.einsum("nc,nc->c", block, block, dtype=np.float64)
        self._channels = power if len(self._channels) != len(power) else self._channels + power
        self._mix += float(np.dot(mix, mix))

    @property
    def is_quiet(self) -> bool:
        """Whether the mix is more than 12 dB below its loudest channel; one speaker of two alone takes 6 dB."""
        return bool(len(self._channels)) and self._mix < float(self._channels.max()) * _QUIET_MIX


def resampled(
    stream: AudioStream, source: str, channel: int | None = None, level: MixLevel | None = None
) -> Iterator[Samples]:
    """Yield the stream as mono 16 kHz blocks; raises RowError for bad samples and if it holds less than 25 ms.

    channel: the one to take, from 0; None for their mean, whose level ``level`` takes note of
    """
    converter = None
    if stream.rate != SAMPLE_RATE:
        converter = soxr.ResampleStream(stream.rate, SAMPLE_RATE, 1, dtype="float32", quality="HQ")
    total = 0
    for block in stream.blocks:
        if block.shape[1] == 1 or channel is not None:
            mono = block[:, min(channel or 0, block.shape[1] - 1)]
        else:
            mono = block.mean(axis=1, dtype=np.float32)
            if level is not None:
                level.note(block, mono)
        _check_samples(mono, source)
        mono = mono if converter is None else converter.resample_chunk(mono)
        total += len(mono)
        if len(mono):
            yield np.ascontiguousarray(mono, dtype=np.float32)
    if converter is not None:
        rest = converter.resample_chunk(np.zeros(0, np.float32), last=True)
        total += len(rest)
        if len(rest):
            yield rest
    if total < MIN_SAMPLES:
        raise RowError(f"{source}: audio is {total / SAMPLE_RATE * 1000:.1f} ms long; needed is at least 25 ms.")


def to_pcm(samples: Samples) -> Pcm:
    """Round samples [N] of full scale 1.0 to 16 bits; audio of 16 bits at 16 kHz gets its own numbers back.

    Louder audio, as floating-point files and lossy codecs have it, is brought down to full scale, not clipped.
    """
    scaled = samples * np.float32(_FULL_SCALE)
    peak = max(float(scaled.max(initial=0.0)), -float(scaled.min(initial=0.0)))
    if peak > _FULL_SCALE:
        scaled *= np.float32(_LOUDEST / peak)
    rounded: Pcm = np.rint(scaled, out=scaled).clip(-_FULL_SCALE, _LOUDEST, out=scaled).astype(np.int16)
    return rounded


def encode_flac(samples: Samples) -> bytes:
    """Encode mono 16 kHz samples [N] as 16-bit FLAC (values beyond full scale are clipped)."""
    buffer = io.BytesIO()
    soundfile.write(buffer, np.clip(samples, -1.0, 1.0), SAMPLE_RATE, format="FLAC", subtype="PCM_16")
    return buffer.getvalue()


def _open_soundfile(file: BinaryIO, source: str) -> AudioStream:
    handle = soundfile.SoundFile(file)
    return AudioStream(handle.samplerate, handle.channels, _soundfile_blocks(handle, source))


def _soundfile_blocks(handle: Any, source: str) -> Iterator[npt.NDArray[np.float32]]:
    declared, done = handle.frames, 0
    with handle:
        size = min(declared, BLOCK_SECONDS * handle.samplerate) or handle.samplerate
        while True:
            try:
                block = handle.read(size, dtype="float32", always_2d=True)
            except soundfile.LibsndfileError as error:
                raise broken(source, done / handle.samplerate, reason_of(error)) from error
            done += len(block)
            if len(block):
                yield block
            if len(block) < size or done >= declared:
                break
        if done < declared:
            raise broken(source, done / handle.samplerate, f"{declared / handle.samplerate:.2f} s declared")


def _check_samples(mono: Samples, source: str) -> None:
    """NaN and infinity survive the sum, so the common case costs one pass."""
    low, high = (float(mono.min()), float(mono.max())) if len(mono) else (0.0, 0.0)
    if not np.isfinite(low) or not np.isfinite(high):
        bad = int(np.count_nonzero(~np.isfinite(mono)))
        raise RowError(f"{source}: {bad} samples are NaN or infinite; needed are finite values, full scale 1.0.")
    if max(-low, high) > _MAX_PEAK:
        raise RowError(
            f"{source}: samples reach {max(-low, high):.4g}, full scale is 1.0; "
            "floating-point audio must be scaled to [-1, 1]."
        )
