"""Conformer-like blocks: attention, convolution, feed-forward, shared by the head and the speller."""

import functools

import torch
from torch import nn


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


@functools.lru_cache(maxsize=64)  # a few lengths of all audio (pipeline.acoustic.batching.padded_length), some 5 MB
def _turns(frames: int, rotated: int, device: torch.device, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    """Return sine and cosine [T, d/2] of the angles by which each frame is rotated; every block asks for the same."""
    with torch.inference_mode(mode=False):  # training takes them too
        frequencies = 10_000.0 ** (-torch.arange(rotated, device=device) / rotated)
        angles = torch.arange(frames, device=device)[:, None] * frequencies
        return angles.sin().to(dtype), angles.cos().to(dtype)


class SelfAttention(nn.Module):
    """Multi-head attention with rotary positions (Su et al. 2021): relative, and no table to outgrow."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.projection = nn.Linear(width, 3 * width)
        self.output = nn.Linear(width, width)
        self.rotated = width // heads // 2

    def _rotate(self, x: torch.Tensor) -> torch.Tensor:
        sine, cosine = _turns(x.shape[2], self.rotated, x.device, x.dtype)
        first, second = x.chunk(2, dim=-1)
        return torch.cat([first * cosine - second * sine, first * sine + second * cosine], dim=-1)

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        batch, frames, width = x.shape
        query, key, value = self.projection(x).view(batch, frames, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        # Written out: twice as fast as the fused kernel on CPUs in bfloat16, forwards and backwards.
        scores = self._rotate(query) @ self._rotate(key).transpose(-1, -2) * query.shape[-1] ** -0.5  # [B, H, T, T]
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

    def forward(self, x: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:
        x = nn.functional.glu(self.gate(x), dim=-1)
        x = x * valid  # padding must look like the silence beyond the edge
        x = self.depthwise(x.transpose(1, 2)).transpose(1, 2)
        out: torch.Tensor = self.output(nn.functional.silu(self.norm(x)))
        return out


class Block(nn.Module):
    """Attention, convolution, feed-forward, each pre-normed with a residual."""

    def __init__(self, width: int, heads: int, kernel: int, dropout: float) -> None:
        super().__init__()
        self.attention_norm, self.convolution_norm, self.feed_norm = (nn.LayerNorm(width) for _ in range(3))
        self.attention = SelfAttention(width, heads)
        self.convolution = Convolution(width, kernel)
        self.feed = nn.Sequential(
            nn.Linear(width, 4 * width), nn.SiLU(), ChannelDropout(dropout), nn.Linear(4 * width, width)
        )
        self.dropout = ChannelDropout(dropout)

    def forward(self, x: torch.Tensor, mask: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:
        x = x + self.dropout(self.attention(self.attention_norm(x), mask))
        x = x + self.dropout(self.convolution(self.convolution_norm(x), valid))
        x = x + self.dropout(self.feed(self.feed_norm(x)))
        return x
