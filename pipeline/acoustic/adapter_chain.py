"""The best reading of a whole spelling through each cell of a match matrix: the recursion of pipeline.acoustic.adapter.

On CPUs it is compiled, forwards and backwards, some ten times faster than tensor operations; elsewhere it is written
with them. Both give the same scores; where several earlier cells are equal, gradients may go to different ones.
"""

from typing import Any

import numba
import numpy as np
import torch
from torch import nn

NEVER = -1e4
"""Score of what cannot be; finite, so that sums of it stay numbers."""


def latest_max(x: torch.Tensor, window: int) -> torch.Tensor:
    """Return y[..., t, :] = max of x over the ``window`` (a power of two) frames before t; x is [B, H, T, N]."""
    y, reach = _later(x, 1), 1
    while reach < window:
        y = torch.maximum(y, _later(y, reach))
        reach *= 2
    return y


def _later(x: torch.Tensor, frames: int) -> torch.Tensor:
    """Shift [B, H, T, N] by ``frames`` towards later times."""
    frames = min(frames, x.shape[2])
    return nn.functional.pad(x[:, :, : x.shape[2] - frames], (0, 0, frames, 0), value=NEVER)


def chain_scores(match: torch.Tensor, sizes: torch.Tensor, window: int) -> torch.Tensor:
    """Return [B, H, J, T, N], the score of the best whole reading through each cell of ``match`` of that shape.

    ``sizes`` [N], or [B, N] where each utterance has spellings of its own, are their lengths; cells beyond them are
    NEVER.
    """
    if match.device.type == "cpu" and sizes.dim() == 1:
        scores: torch.Tensor = _Compiled.apply(match, sizes, window)  # type: ignore[no-untyped-call]
        return scores
    return chain_of_tensors(match, sizes, window)


def chain_of_tensors(match: torch.Tensor, sizes: torch.Tensor, window: int) -> torch.Tensor:
    """As ``chain_scores``, with tensor operations."""
    longest, sizes = match.shape[2], sizes.view(-1, 1, 1, sizes.shape[-1])  # [1 or B, 1, 1, N]
    left, right = [match[:, :, 0]], [match[:, :, longest - 1]]
    for j in range(1, longest):
        left.append(match[:, :, j] + latest_max(left[-1], window))
    for j in range(longest - 2, -1, -1):
        following = latest_max(right[-1].flip(2), window).flip(2)  # [B, H, T, N]
        right.append(match[:, :, j] + torch.where(sizes > j + 1, following, 0.0))
    both = torch.stack(left, 2) + torch.stack(right[::-1], 2) - match
    inside = torch.arange(longest, device=sizes.device)[:, None] < sizes  # [1 or B, 1, J, N]
    return torch.where(inside[:, :, :, None], both, NEVER)


class _Compiled(torch.autograd.Function):
    """``chain_scores`` on a CPU."""

    @staticmethod
    def forward(ctx: Any, match: torch.Tensor, sizes: torch.Tensor, window: int) -> torch.Tensor:
        values = match.detach().float().contiguous().numpy()
        flat = values.reshape(-1, *values.shape[2:])  # [B * H, J, T, N]
        scores, left, right = _forward(flat, sizes.numpy(), window)
        if match.requires_grad:
            ctx.kept, ctx.window = (flat, sizes.numpy(), left, right), window
        return torch.from_numpy(scores.reshape(values.shape))

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        values = gradients[0].float().contiguous().numpy()
        match, sizes, left, right = ctx.kept
        flat = values.reshape(-1, *values.shape[2:])
        result = _backward(flat, match, sizes, left, right, ctx.window)
        return torch.from_numpy(result.reshape(values.shape)), None, None


@numba.njit(cache=True)
def _earlier_best(x, window, best):  # type: ignore[no-untyped-def]
    """Put into ``best`` [T, N] the maximum of ``x`` over the ``window`` frames before each frame, by doubling."""
    frames, count = x.shape
    best[0, :] = NEVER
    best[1:] = x[: frames - 1]
    reach = 1
    while reach < window:
        for t in range(frames - 1, reach - 1, -1):
            for n in range(count):
                best[t, n] = max(best[t, n], best[t - reach, n])
        reach *= 2


@numba.njit(cache=True)
def _later_best(x, window, best):  # type: ignore[no-untyped-def]
    """The same over the frames after each frame."""
    frames, count = x.shape
    best[frames - 1, :] = NEVER
    best[: frames - 1] = x[1:]
    reach = 1
    while reach < window:
        for t in range(frames - reach):
            for n in range(count):
                best[t, n] = max(best[t, n], best[t + reach, n])
        reach *= 2


@numba.njit(cache=True)
def _forward(match, sizes, window):  # type: ignore[no-untyped-def]
    """Return scores, left and right, each [G, J, T, N]."""
    groups, longest, frames, count = match.shape
    left, right = match.copy(), match.copy()
    scores = np.empty(match.shape, np.float32)
    best = np.empty((frames, count), np.float32)
    for g in range(groups):
        for j in range(1, longest):
            _earlier_best(left[g, j - 1], window, best)
            left[g, j] += best
        for j in range(longest - 2, -1, -1):
            _later_best(right[g, j + 1], window, best)
            for t in range(frames):
                for n in range(count):
                    right[g, j, t, n] += best[t, n] if sizes[n] > j + 1 else np.float32(0)
        for j in range(longest):
            for t in range(frames):
                for n in range(count):
                    both = left[g, j, t, n] + right[g, j, t, n] - match[g, j, t, n]
                    scores[g, j, t, n] = both if j < sizes[n] else np.float32(NEVER)
    return scores, left, right


@numba.njit(cache=True)
def _backward(gradient, match, sizes, left, right, window):  # type: ignore[no-untyped-def]
    """Send the gradient of every cell back along its best reading: the nearest frame that gave the maximum."""
    groups, longest, frames, count = gradient.shape
    result = np.zeros(gradient.shape, np.float32)
    to_left, to_right = np.zeros(gradient.shape[1:], np.float32), np.zeros(gradient.shape[1:], np.float32)
    for g in range(groups):
        for j in range(longest):
            for n in range(count):
                share = np.float32(1 if j < sizes[n] else 0)
                to_left[j, :, n] = gradient[g, j, :, n] * share
                to_right[j, :, n] = gradient[g, j, :, n] * share
        for j in range(longest - 1, 0, -1):
            for t in range(1, frames):
                for n in range(count):
                    if to_left[j, t, n] != 0.0:
                        source = _nearest(left[g, j - 1, :, n], t, -1, window)
                        to_left[j - 1, source, n] += to_left[j, t, n]
        for j in range(longest - 1):
            for t in range(frames - 1):
                for n in range(count):
                    if to_right[j, t, n] != 0.0 and sizes[n] > j + 1:
                        source = _nearest(right[g, j + 1, :, n], t, 1, window)
                        to_right[j + 1, source, n] += to_right[j, t, n]
        for j in range(longest):
            for n in range(count):
                if j < sizes[n]:
                    result[g, j, :, n] = to_left[j, :, n] + to_right[j, :, n] - gradient[g, j, :, n]
    return result


@numba.njit(cache=True)
def _nearest(x, t, direction, window):  # type: ignore[no-untyped-def]
    """Return the nearest frame of the ``window`` beside ``t`` where ``x`` [T] is at its maximum."""
    best = t + direction
    for d in range(2, window + 1):
        other = t + direction * d
        if other < 0 or other >= len(x):
            break
        if x[other] > x[best]:
            best = other
    return best
