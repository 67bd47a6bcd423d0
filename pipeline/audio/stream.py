"""An opened audio file, whichever library reads it."""

import dataclasses
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from pipeline.errors import RowError

BLOCK_SECONDS = 30
"""Audio that is decoded at a time."""


@dataclasses.dataclass(frozen=True)
class AudioStream:
    """An opened audio file; ``blocks`` yields native samples [frames, channels] and raises RowError."""

    rate: int
    channels: int
    blocks: Iterator[npt.NDArray[np.float32]]


def broken(source: str, seconds: float, reason: str) -> RowError:
    """Return the error of audio that ends, or breaks, after so many seconds."""
    return RowError(f"{source}: audio is truncated or corrupt after {seconds:.2f} s ({reason}).")


def reason_of(error: Exception) -> str:
    """The library's own words, without the address of the buffer that it read from."""
    text = getattr(error, "error_string", None) or getattr(error, "strerror", None) or str(error)
    return str(text).strip().rstrip(".")
