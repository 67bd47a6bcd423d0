"""The frozen front: Whisper's encoder on unpadded audio."""

from collections.abc import Sequence

import torch
from torch import nn

from pipeline.acoustic.features import MEL_BINS
from pipeline.acoustic.whisper_encoder import WhisperEncoder

FRAME_SAMPLES = 320  # one encoder frame is two mel frames: 50 Hz


def key_mask(lengths: torch.Tensor, frames: int) -> torch.Tensor:
    """Return the [B, 1, 1, T] attention mask (True = may be attended to); it asks the device nothing."""
    return (torch.arange(frames, device=lengths.device)[None] < lengths[:, None])[:, None, None, :]


class WhisperBackbone(nn.Module):
    """Whisper's encoder, returning chosen levels. The weights are the published ones; the 30 s padding is not.

    ``taps`` counts layers from 1; the last layer's output passes through the final layer norm.
    """

    def __init__(self, width: int, layers: int, heads: int, taps: Sequence[int], positions: int = 1500) -> None:
        super().__init__()
        self.encoder = WhisperEncoder(width, layers, heads, positions, MEL_BINS)
        self.taps = tuple(taps)
        self.positions = positions
        self.depth = layers

    def embed(self, mel: torch.Tensor) -> torch.Tensor:
        """Return [B, T, D] from log-mel features [B, 80, 2T]."""
        hidden = nn.functional.gelu(self.encoder.conv1(mel))
        hidden = nn.functional.gelu(self.encoder.conv2(hidden)).transpose(1, 2)  # [B, T, D]
        return hidden + self.encoder.embed_positions.weight[: hidden.shape[1]]

    def run_layers(self, hidden: torch.Tensor, mask: torch.Tensor, first: int) -> dict[int, torch.Tensor]:
        """Run the layers from ``first`` (counted from 0) to the end; return the tapped levels by number."""
        levels = {}
        for number in range(first, self.depth):
            hidden = self.encoder.layers[number](hidden, mask)
            if number + 1 == self.depth:
                hidden = self.encoder.layer_norm(hidden)
            if number + 1 in self.taps:
                levels[number + 1] = hidden
        return levels

    def forward(self, mel: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Return [B, T, len(taps) * D]: the tapped levels side by side. ``lengths`` [B] counts encoder frames."""
        hidden = self.embed(mel)
        levels = self.run_layers(hidden, key_mask(lengths, hidden.shape[1]), 0)
        return torch.cat([levels[tap] for tap in self.taps], dim=-1)
