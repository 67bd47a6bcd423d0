"""Whisper's encoder (Radford et al. 2022, section 2.2), with the parameter names of its published weights.

Written out, as importing transformers for it takes 2.4 s and 100 MB in every worker. The order of the operations is
that of transformers, so the numbers are the same to the bit (tests/acoustic/test_network.py), but for attention in
bfloat16 on CPUs.
"""

import math

import torch
from torch import nn

_TIMESCALE = 10_000.0  # of the sinusoids: the longest wave is so many times 2 pi positions
_DEVIATION = 0.02  # of new weights
_HIDDEN = -30_000.0  # softmax makes it zero in bfloat16, and no row of it alone becomes NaN as -inf would


def attend(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
    """Return [B, H, T, d]: ``value`` mixed by softmax(query key'), the query scaled already.

    ``mask`` [B, 1, 1, T] is True where it may be attended to.

    On CPUs, when gradients are wanted, the fused kernel's way back is slow: written out, forwards and backwards take
    half of its time in bfloat16 (12 s of audio, AMX). Without gradients it takes two fifths of it there
    (benchmarks/results/encoder.md); in float32 the fused kernel is as fast.
    """
    if query.device.type == "cpu" and query.dtype == torch.bfloat16 and not torch.is_grad_enabled():
        return _attend_written_out(query, key, value, mask)
    if query.device.type != "cpu" or not torch.is_grad_enabled():
        return nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=mask, scale=1.0)
    with torch.autocast("cpu", enabled=False):  # which would make the softmax float32, four times its memory
        scores = query @ key.transpose(-1, -2)
        if mask is not None:
            scores = scores + torch.zeros_like(mask, dtype=query.dtype).masked_fill(~mask, _HIDDEN)
        mixed: torch.Tensor = scores.softmax(-1) @ value
    return mixed


def _attend_written_out(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: torch.Tensor | None
) -> torch.Tensor:
    """Return ``attend`` without gradients; the mask is added within the first product, which spares a pass."""
    batch, heads, frames, width = query.shape
    query, key, value = (one.reshape(batch * heads, frames, width) for one in (query, key, value))
    hidden = query.new_zeros(batch, 1, 1, frames)
    if mask is not None:
        hidden = hidden.masked_fill(~mask, _HIDDEN)
    added = hidden.expand(batch, heads, frames, frames).reshape(batch * heads, frames, frames)
    with torch.autocast("cpu", enabled=False):  # which would make the softmax float32, four times its memory
        scores = torch.baddbmm(added, query, key.transpose(-1, -2))
        mixed = torch.bmm(scores.softmax(-1), value)
    return mixed.view(batch, heads, frames, width)


def sinusoids(positions: int, width: int) -> torch.Tensor:
    """Return [positions, width]: sines of the position at falling frequencies, then cosines (Vaswani et al. 2017)."""
    rates = torch.exp(-math.log(_TIMESCALE) / (width // 2 - 1) * torch.arange(width // 2))
    angles = torch.arange(positions)[:, None] * rates
    return torch.cat([angles.sin(), angles.cos()], dim=1)


class Attention(nn.Module):
    """Multi-head self-attention; keys have no bias."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads, self.scale = heads, (width // heads) ** -0.5
        self.k_proj = nn.Linear(width, width, bias=False)
        self.v_proj, self.q_proj, self.out_proj = (nn.Linear(width, width) for _ in range(3))

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
        x = x.to(self.q_proj.weight.dtype)  # at once, where autocast would do it three times
        # Whisper scales the query before the product: later, bfloat16 rounds otherwise.
        query, key, value = (
            one.view(*x.shape[:2], self.heads, -1).transpose(1, 2).contiguous()
            for one in (self.q_proj(x) * self.scale, self.k_proj(x), self.v_proj(x))
        )
        mixed = attend(query, key, value, mask).transpose(1, 2).reshape(x.shape)
        out: torch.Tensor = self.out_proj(mixed)
        return out


class Layer(nn.Module):
    """Attention and feed-forward, each pre-normed with a residual."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.self_attn = Attention(width, heads)
        self.self_attn_layer_norm, self.final_layer_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.fc1, self.fc2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
        x = x + self.self_attn(self.self_attn_layer_norm(x), mask)
        x = x + self.fc2(nn.functional.gelu(self.fc1(self.final_layer_norm(x))))
        return x


class WhisperEncoder(nn.Module):
    """The parameters; WhisperBackbone runs them."""

    def __init__(self, width: int, layers: int, heads: int, positions: int, mel_bins: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(mel_bins, width, kernel_size=3, padding=1)
        self.conv2 = nn.Conv1d(width, width, kernel_size=3, stride=2, padding=1)
        self.embed_positions = nn.Embedding(positions, width)
        self.layers = nn.ModuleList([Layer(width, heads) for _ in range(layers)])
        self.layer_norm = nn.LayerNorm(width)
        for module in self.modules():
            if isinstance(module, (nn.Linear, nn.Conv1d)):
                nn.init.normal_(module.weight, std=_DEVIATION)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        with torch.no_grad():
            self.embed_positions.weight.copy_(sinusoids(positions, width))
        self.embed_positions.weight.requires_grad_(False)
