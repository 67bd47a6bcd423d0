"""Attention of the encoder. On CPUs it is written out for training, where the fused kernel's way back is slow."""

from typing import Any

import torch
from torch import nn
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

TRAINABLE = "trainable"
"""Its name among the attention functions of transformers."""
_HIDDEN = -30_000.0  # softmax makes it zero in bfloat16, and no row of it alone becomes NaN as -inf would


def trainable_attention(
    module: nn.Module, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, attention_mask: torch.Tensor | None,
    **options: Any,
) -> tuple[torch.Tensor, None]:  # fmt: skip
    """Return [B, T, H, d] from ``query`` (scaled already), ``key`` and ``value`` [B, H, T, d]; ``attention_mask``
    [B, 1, 1, T] is True where it may be attended to.

    Forwards and backwards it takes half of the time of the fused kernel on CPUs in bfloat16 (12 s of audio, AMX). What
    is only run forwards keeps the fused kernel.
    """
    if query.device.type != "cpu" or not torch.is_grad_enabled():
        return sdpa_attention_forward(module, query, key, value, attention_mask, **options)
    with torch.autocast("cpu", enabled=False):  # which would make the softmax float32, four times its memory
        scores = query @ key.transpose(-1, -2)
        if attention_mask is not None:
            hidden = torch.zeros_like(attention_mask, dtype=query.dtype).masked_fill(~attention_mask, _HIDDEN)
            scores = scores + hidden
        mixed = scores.softmax(-1) @ value
    return mixed.transpose(1, 2).contiguous(), None


ALL_ATTENTION_FUNCTIONS.register(TRAINABLE, trainable_attention)
