"""The one interface behind which every CTC model stands, ours or a user's."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from pipeline.types.emissions import Emissions
from pipeline.types.tokens import Tokens

if TYPE_CHECKING:  # it is a torch module, which those who only name the interface need not load
    from pipeline.acoustic.adapter import OutputLayer

SAMPLE_RATE = 16_000
"""Hz; what every model here hears."""


class CtcModel(Protocol):
    """A loaded acoustic model."""

    tokens: Tokens
    frame_seconds: float  # time between output frames
    max_seconds: float  # longest audio that one forward pass takes
    model_id: str  # content hash of weights and tokeniser
    phones: tuple[str, ...] | None  # columns of the phone head after the blank (column 0), or None
    takes_threads: bool  # whether several threads may encode at the same time

    def encode(self, waveforms: Sequence[npt.NDArray[np.float32]], with_states: bool = False) -> list[Emissions]:
        """Return the emissions of each mono 16 kHz waveform, computed as one padded batch."""
        ...

    def output_layer(self) -> "OutputLayer":
        """Return a copy of the final CTC layer over tokens, for what biases the last state."""
        ...
