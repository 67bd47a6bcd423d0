"""Audio that libsndfile does not know, read by FFmpeg (PyAV). Imported where such audio turns up."""

from collections.abc import Iterator
from itertools import chain
from typing import Any, BinaryIO, cast

import av
import numpy as np
import numpy.typing as npt

from pipeline.audio.stream import BLOCK_SECONDS, AudioStream, broken, reason_of

UNREADABLE = (av.error.FFmpegError, ValueError)
"""What opening raises for a file that holds no audio."""
_CONTAINERS = (
    "mov,mp4,m4a,aac,matroska,webm,mp3,ogg,wav,w64,flac,asf,aiff,caf,amr,amrnb,amrwb,au,ac3,eac3,avi,mpegts,"
    "mpeg,flv,nistsphere,wv,ape,tta"
)
"""What FFmpeg may open. Playlist formats (hls, concat, dash) are left out: they would fetch other files and URLs."""
_DECLARES_LENGTH = ("mov", "matroska", "avi")  # containers whose header states the duration exactly
_LENGTH_TOLERANCE = 0.25  # seconds that codec delay and padding may take from the declared length


def open_ffmpeg(file: BinaryIO, source: str) -> AudioStream:
    """Open encoded audio; raises one of UNREADABLE if there is none in it."""
    # Nothing in the data may make FFmpeg open anything else: no playlist formats and no protocols.
    options = {"format_whitelist": _CONTAINERS, "protocol_whitelist": "pipe"}
    container = av.open(file, options=options, metadata_errors="replace")  # old tags are often not UTF-8
    if not container.streams.audio:
        raise ValueError("the container has no audio track")
    track = container.streams.audio[0]
    if track.codec_context is None:
        raise ValueError("the audio track is in a codec that FFmpeg does not know")
    rate, channels = track.codec_context.sample_rate, track.codec_context.channels
    if not rate or not channels:
        raise ValueError("the audio track has no sample rate or no channels")
    return AudioStream(rate, channels, _ffmpeg_blocks(container, rate, source))


def _ffmpeg_blocks(container: Any, rate: int, source: str) -> Iterator[npt.NDArray[np.float32]]:
    resampler = av.AudioResampler(format="fltp", rate=rate)  # to one sample format; the rate rarely changes
    parts: list[npt.NDArray[np.float32]] = []
    done = held = 0
    with container:
        try:
            for frame in chain(container.decode(audio=0), [None]):
                for converted in resampler.resample(frame):
                    part = cast(npt.NDArray[np.float32], converted.to_ndarray()).T  # [frames, channels]
                    parts.append(part)
                    done, held = done + len(part), held + len(part)
                if held >= BLOCK_SECONDS * rate:
                    yield np.concatenate(parts)
                    parts, held = [], 0
        except (av.error.FFmpegError, ValueError) as error:  # ValueError: the layout changed on the way
            raise broken(source, done / rate, reason_of(error)) from error
        if parts:
            yield np.concatenate(parts)
        _check_declared(container, done / rate, source)


def _check_declared(container: Any, decoded: float, source: str) -> None:
    declared = (container.duration or 0) / av.time_base
    exact = container.format.name.split(",")[0] in _DECLARES_LENGTH
    if exact and decoded < declared - _LENGTH_TOLERANCE:
        raise broken(source, decoded, f"{declared:.2f} s declared")
