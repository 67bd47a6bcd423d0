"""The whole default network and its parts' shapes, as stored in a checkpoint's ``config.json``."""

import dataclasses

import torch
from torch import nn

from pipeline.acoustic.backbone import WhisperBackbone
from pipeline.acoustic.head import CtcHead, HeadConfig, HeadOutput
from pipeline.acoustic.spelling import SpellingBranch, SpellingConfig


@dataclasses.dataclass(frozen=True)
class BackboneConfig:
    """Shape of the Whisper encoder; the defaults are those of base.en. ``taps`` feed the head."""

    width: int = 512
    layers: int = 6
    heads: int = 8
    taps: tuple[int, ...] = (4, 6)


class CtcNetwork(nn.Module):
    """Backbone, head and, where there is one, spelling branch: log-mel features in, log-probs of every level out."""

    def __init__(self, backbone: BackboneConfig, head: HeadConfig, spelling: SpellingConfig | None = None) -> None:
        super().__init__()
        self.backbone = WhisperBackbone(backbone.width, backbone.layers, backbone.heads, backbone.taps)
        self.head = CtcHead(head)
        self.spelling = None if spelling is None else SpellingBranch(spelling, head.phones, self.head.tokens)

    def hear(self, mel: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Return only the phone log-probs [B, T, P]: nothing above the phone head is computed."""
        stacked = self.head.stack_frames(self.backbone(mel, lengths))
        return self.head.hear(stacked, lengths // self.head.config.stack)

    def forward(self, mel: torch.Tensor, lengths: torch.Tensor) -> HeadOutput:
        """``mel`` [B, 80, 2T] and ``lengths`` [B] in backbone frames; see HeadOutput."""
        stacked = self.head.stack_frames(self.backbone(mel, lengths))
        counts = lengths // self.head.config.stack
        output: HeadOutput = self.head(stacked, counts)
        return output if self.spelling is None else self.spelling.correct(output, self.head.tokens, counts)
