"""The one interface behind which every CTC model stands, ours or a user's."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from pipeline.types.emissions import Emissions
from pipeline.types.tokens import Tokens

if TYPE_CHECKING:  # these need torch, which those who only name the interface need not load
    from pipeline.acoustic.adapter import OutputLayer
    from pipeline.acoustic.batching import Audio, Query, Results

SAMPLE_RATE = 16_000
"""Hz; what every model here hears."""


class CtcModel(Protocol):
    """A loaded acoustic model."""

    tokens: Tokens
    frame_seconds: float  # time between output frames
    max_seconds: float  # longest audio that one forward pass takes
    model_id: str  # content hash of weights and tokeniser
    phones: tuple[str, ...] | None  # columns of the phone head after the blank (column 0), or None
    phone_frame_seconds: float | None  # time between phone frames where they are not the model's own frames
    takes_threads: bool  # whether several threads may encode at the same time

    together: bool  # whether waveforms given at once are one padded batch; on CPUs each is one of its own

    def begin(self, waveforms: Sequence["Audio"], with_states: bool = False, query: "Query | None" = None) -> "Results":
        """Begin with mono 16 kHz waveforms and return what waits for their emissions.

        With ``query`` they have the last state and the query in place of all states. A GPU computes meanwhile.
        """
        ...

    def encode(self, waveforms: Sequence["Audio"], with_states: bool = False) -> list[Emissions]:
        """Return the emissions of each mono 16 kHz waveform."""
        ...

    def output_layer(self) -> "OutputLayer":
        """Return a copy of the final CTC layer over tokens, for what biases the last state."""
        ...
