"""The trainable head: Conformer-like blocks with CTC heads on several levels.

Levels that carry a CTC head feed their posterior back into the next block (self-conditioned CTC, Nozaki and Komatsu
2021), which lets the later blocks spell with knowledge of what the earlier ones heard.
"""

import dataclasses

import torch
from torch import nn

from pipeline.acoustic.backbone import key_mask
from pipeline.acoustic.blocks import Block, ChannelDropout


@dataclasses.dataclass(frozen=True)
class HeadConfig:
    """Shape of the head. Blocks count from 1."""

    inputs: int  # width of the tapped backbone levels side by side, per backbone frame
    width: int
    blocks: int
    heads: int
    kernel: int  # frames of the depthwise convolution
    vocabulary: int  # subword pieces with the blank
    phones: int  # phones with the blank
    token_levels: tuple[int, ...]  # blocks followed by an intermediate subword CTC head
    phone_level: int  # block followed by the phone CTC head
    stack: int = 2  # backbone frames per output frame
    dropout: float = 0.1


@dataclasses.dataclass(frozen=True)
class HeadOutput:
    """What one pass of the head gives; T counts output frames.

    tokens:       [B, T, V] log-probs of the final subword CTC head
    intermediate: one [B, T, V] per token level
    phones:       [B, T, P] log-probs
    states:       [B, L + 1, T, D] the token levels' states and the last one
    """

    tokens: torch.Tensor
    intermediate: tuple[torch.Tensor, ...]
    phones: torch.Tensor
    states: torch.Tensor


class CtcHead(nn.Module):
    """From backbone frames to log-probs on every level."""

    def __init__(self, config: HeadConfig) -> None:
        super().__init__()
        self.config = config
        stacked = config.inputs * config.stack
        self.input_norm = nn.LayerNorm(stacked)
        self.input = nn.Linear(stacked, config.width)
        self.dropout = ChannelDropout(config.dropout)
        self.blocks = nn.ModuleList(
            [Block(config.width, config.heads, config.kernel, config.dropout) for _ in range(config.blocks)]
        )
        self.token_norms = nn.ModuleDict({str(n): nn.LayerNorm(config.width) for n in config.token_levels})
        self.final_norm = nn.LayerNorm(config.width)
        self.phone_norm = nn.LayerNorm(config.width)
        self.tokens = nn.Linear(config.width, config.vocabulary)  # shared by all subword levels
        self.phones = nn.Linear(config.width, config.phones)
        self.token_feedback = nn.Linear(config.vocabulary, config.width)
        self.phone_feedback = nn.Linear(config.phones, config.width)

    def stack_frames(self, features: torch.Tensor) -> torch.Tensor:
        """Return [B, T // stack, inputs * stack] from backbone frames [B, T, inputs]; a rest is left out."""
        batch, frames, width = features.shape
        kept = frames // self.config.stack
        return features[:, : kept * self.config.stack].reshape(batch, kept, width * self.config.stack)

    def hear(self, stacked: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Return only the phone log-probs [B, T, P] of ``forward``, without the blocks above them."""
        mask = key_mask(lengths, stacked.shape[1])
        x = self.input(self.input_norm(stacked))
        for number, block in enumerate(self.blocks[: self.config.phone_level], start=1):
            x = block(x, mask, mask[:, 0, 0, :, None])
            if number in self.config.token_levels and number < self.config.phone_level:
                tokens = self.tokens(self.token_norms[str(number)](x)).float().log_softmax(-1)
                x = x + self.token_feedback(tokens.exp().to(x.dtype))
        phones: torch.Tensor = self.phones(self.phone_norm(x)).float().log_softmax(-1)
        return phones

    def forward(self, stacked: torch.Tensor, lengths: torch.Tensor) -> HeadOutput:
        """Return every level's output for stacked frames [B, T, inputs * stack]; ``lengths`` [B] counts them."""
        frames = stacked.shape[1]
        mask = key_mask(lengths, frames)
        valid = mask[:, 0, 0, :, None]
        x = self.dropout(self.input(self.input_norm(stacked)))  # [B, T, D]
        intermediate, states, phones = [], [], None
        for number, block in enumerate(self.blocks, start=1):
            x = block(x, mask, valid)
            feedback = torch.zeros_like(x)
            if number == self.config.phone_level:
                phones = self.phones(self.phone_norm(x)).float().log_softmax(-1)  # [B, T, P]
                feedback = feedback + self.phone_feedback(phones.exp().to(x.dtype))
            if number in self.config.token_levels:
                state = self.token_norms[str(number)](x)
                states.append(state)
                tokens = self.tokens(state).float().log_softmax(-1)  # [B, T, V]
                intermediate.append(tokens)
                feedback = feedback + self.token_feedback(tokens.exp().to(x.dtype))
            x = x + feedback
        last = self.final_norm(x)
        tokens = self.tokens(last).float().log_softmax(-1)
        if phones is None:
            raise ValueError(f"phone_level {self.config.phone_level} is beyond the {self.config.blocks} blocks")
        return HeadOutput(tokens, tuple(intermediate), phones, torch.stack([*states, last], dim=1))
