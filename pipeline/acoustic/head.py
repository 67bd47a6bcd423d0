"""The trainable head: Conformer-like blocks with CTC heads on several levels.

Levels that carry a CTC head feed their posterior back into the next block (self-conditioned CTC, Nozaki and Komatsu
2021), which lets the later blocks spell with knowledge of what the earlier ones heard.
"""

import dataclasses

import torch
from torch import nn

from pipeline.acoustic.backbone import key_mask


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


class ChannelDropout(nn.Module):
    """Dropout of whole channels per utterance (Gal and Ghahramani 2016): one mask [B, 1, D] for all frames.

    A mask per frame costs a tenth of the training time on CPUs, and neighbouring frames give its zeros away.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.training or self.rate == 0.0:
            return x
        keep = 1.0 - self.rate
        return x * torch.rand(x.shape[0], 1, x.shape[2], device=x.device).lt(keep).to(x.dtype).div(keep)


class SelfAttention(nn.Module):
    """Multi-head attention with rotary positions (Su et al. 2021): relative, and no table to outgrow."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.projection = nn.Linear(width, 3 * width)
        self.output = nn.Linear(width, width)
        self.rotated = width // heads // 2

    def _rotate(self, x: torch.Tensor) -> torch.Tensor:
        frequencies = 10_000.0 ** (-torch.arange(self.rotated, device=x.device) / self.rotated)
        angles = torch.arange(x.shape[2], device=x.device)[:, None] * frequencies  # [T, d/2]
        sine, cosine = angles.sin().to(x.dtype), angles.cos().to(x.dtype)
        first, second = x.chunk(2, dim=-1)
        return torch.cat([first * cosine - second * sine, first * sine + second * cosine], dim=-1)

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
        batch, frames, width = x.shape
        query, key, value = self.projection(x).view(batch, frames, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        # Written out: twice as fast as the fused kernel on CPUs in bfloat16, forwards and backwards.
        scores = self._rotate(query) @ self._rotate(key).transpose(-1, -2) * query.shape[-1] ** -0.5  # [B, H, T, T]
        if mask is not None:
            scores = scores.masked_fill(~mask, float("-inf"))
        mixed = scores.softmax(-1).to(value.dtype) @ value
        out: torch.Tensor = self.output(mixed.transpose(1, 2).reshape(batch, frames, width))
        return out


class Convolution(nn.Module):
    """The Conformer's convolution module (Gulati et al. 2020, figure 2) with layer norm in place of batch norm."""

    def __init__(self, width: int, kernel: int) -> None:
        super().__init__()
        self.gate = nn.Linear(width, 2 * width)
        self.depthwise = nn.Conv1d(width, width, kernel, padding=kernel // 2, groups=width)
        self.norm = nn.LayerNorm(width)
        self.output = nn.Linear(width, width)

    def forward(self, x: torch.Tensor, valid: torch.Tensor | None) -> torch.Tensor:
        x = nn.functional.glu(self.gate(x), dim=-1)
        if valid is not None:
            x = x * valid  # padding must look like the silence beyond the edge
        x = self.depthwise(x.transpose(1, 2)).transpose(1, 2)
        out: torch.Tensor = self.output(nn.functional.silu(self.norm(x)))
        return out


class Block(nn.Module):
    """Attention, convolution, feed-forward, each pre-normed with a residual."""

    def __init__(self, config: HeadConfig) -> None:
        super().__init__()
        width = config.width
        self.attention_norm, self.convolution_norm, self.feed_norm = (nn.LayerNorm(width) for _ in range(3))
        self.attention = SelfAttention(width, config.heads)
        self.convolution = Convolution(width, config.kernel)
        self.feed = nn.Sequential(
            nn.Linear(width, 4 * width), nn.SiLU(), ChannelDropout(config.dropout), nn.Linear(4 * width, width)
        )
        self.dropout = ChannelDropout(config.dropout)

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None, valid: torch.Tensor | None) -> torch.Tensor:
        x = x + self.dropout(self.attention(self.attention_norm(x), mask))
        x = x + self.dropout(self.convolution(self.convolution_norm(x), valid))
        x = x + self.dropout(self.feed(self.feed_norm(x)))
        return x


class CtcHead(nn.Module):
    """From backbone frames to log-probs on every level."""

    def __init__(self, config: HeadConfig) -> None:
        super().__init__()
        self.config = config
        stacked = config.inputs * config.stack
        self.input_norm = nn.LayerNorm(stacked)
        self.input = nn.Linear(stacked, config.width)
        self.dropout = ChannelDropout(config.dropout)
        self.blocks = nn.ModuleList([Block(config) for _ in range(config.blocks)])
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

    def forward(self, stacked: torch.Tensor, lengths: torch.Tensor) -> HeadOutput:
        """Return every level's output for stacked frames [B, T, inputs * stack]; ``lengths`` [B] counts them."""
        frames = stacked.shape[1]
        mask = key_mask(lengths, frames)
        valid = None if mask is None else mask[:, 0, 0, :, None]
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
