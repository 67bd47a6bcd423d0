"""The spelling branch: reads what the phone head heard and corrects the last state before the subword CTC layer.

A recogniser that is trained on few hours of speech hears well and spells by ear ("minit"): it has heard few words. The
branch takes the phone posterior, which text can be turned into (pipeline.training.spoken_text), so it is
trained on millions of words of text beside the little speech, in the manner of text injection (Sainath et al. 2023,
JOIST). With P the phone posterior and h the last state of the head, both of all frames,

    s, g = branch(P, softmax(W h + b))          s as wide as h, 0 < g < 1; h is 0 where there is text only
    log-probs = log softmax(W (g h + s) + b)

W and b are the head's own output layer and stay as they are, so g h + s is a last state like any other: what biases
the last state (pipeline.acoustic.adapter) need not know of the branch. The gate g closes where the head spells by ear.

Of h the branch is told what the head would write, not h itself: the segments of speech that text is spoken with come
back a hundred times, and by their states the branch knew them again. It wrote them right (10% word errors) and unseen
speech wrong (17%), with a higher loss than without h.
"""

import dataclasses

import torch
from torch import nn

from pipeline.acoustic.backbone import key_mask
from pipeline.acoustic.blocks import Block
from pipeline.acoustic.head import HeadOutput

_LEAST = 1e-4  # of a posterior: what is less likely is not heard
_LEAST_LOG = 9.21  # -log of it
_OPEN = 3.0  # bias of a gate that begins at 0.95
_SHARPNESS = (-0.5, 0.3)  # log of what the head's logits are multiplied by in training: how sure it is varies


@dataclasses.dataclass(frozen=True)
class SpellingConfig:
    """Shape of the branch."""

    width: int
    blocks: int
    heads: int
    kernel: int  # positions of the depthwise convolution
    stack: int = 2  # frames of the head per position
    passes: int = 2  # of the second half of the blocks, each told what the one before wrote
    dropout: float = 0.05


@dataclasses.dataclass(frozen=True)
class Spelled:
    """Log-probs [B, T, V] half way and after each pass, the last ones last, and the corrected last state [B, T, D]."""

    levels: tuple[torch.Tensor, ...]
    state: torch.Tensor


class SpellingBranch(nn.Module):
    """Conformer-like blocks over stacked frames, self-conditioned (Nozaki and Komatsu 2021).

    The second half runs several times with the same weights, each time told the posterior of the time before: CTC
    writes every frame by itself, so what is in doubt comes out twice or in two ways at once ("sleped"), and is mended
    by whoever sees the whole (Chi et al. 2021, Align-Refine).
    """

    _blank: torch.Tensor  # [P] the posterior of a blank

    def __init__(self, config: SpellingConfig, phones: int, output: nn.Linear) -> None:
        """``phones`` counts the phone head's columns; ``output`` [V, D] is the head's subword layer."""
        super().__init__()
        self.config = config
        self.register_buffer("_blank", torch.eye(phones)[0], persistent=False)
        vocabulary, state = output.weight.shape
        self.heard = nn.Linear(config.stack * 2 * phones, config.width)
        self.written = nn.Linear(config.stack * vocabulary, config.width)
        self.norm = nn.LayerNorm(config.width)
        self.blocks = nn.ModuleList(
            [Block(config.width, config.heads, config.kernel, config.dropout) for _ in range(config.blocks)]
        )
        self.half_way_norm, self.final_norm = nn.LayerNorm(config.width), nn.LayerNorm(config.width)
        self.half_way, self.final = (nn.Linear(config.width, config.stack * state) for _ in range(2))
        self.feedback = nn.Linear(config.stack * vocabulary, config.width)
        self.gate = nn.Linear(config.width, config.stack)
        nn.init.zeros_(self.gate.weight)
        nn.init.constant_(self.gate.bias, _OPEN)

    def forward(self, output: nn.Linear, phones: torch.Tensor, last: torch.Tensor, lengths: torch.Tensor) -> Spelled:
        """``phones`` [B, T, P] posteriors, ``last`` [B, T, D] states or zeros, ``lengths`` [B] in frames."""
        frames, stack = phones.shape[1], self.config.stack
        missing = -frames % stack
        phones, last = (nn.functional.pad(x, (0, 0, 0, missing)) for x in (phones, last))
        inside = (torch.arange(frames + missing, device=phones.device) < lengths[:, None])[..., None]  # [B, T, 1]
        phones, last = torch.where(inside, phones, self._blank), last * inside  # beyond the end is a blank
        count = phones.shape[1] // stack  # [B, N, ...] positions
        mask = key_mask((lengths + stack - 1) // stack, count)
        valid = mask[:, 0, 0, :, None]
        heard = torch.cat([phones, phones.clamp_min(_LEAST).log() / _LEAST_LOG + 1], dim=-1)
        written = self._written(output, last).to(heard.dtype)
        x = self.norm(self.heard(_stacked(heard, count)) + self.written(_stacked(written, count)))  # [B, N, D]
        half = len(self.blocks) // 2
        for block in self.blocks[:half]:
            x = block(x, mask, valid)
        state = self.half_way(self.half_way_norm(x)).view(*last.shape) + last
        levels = [output(state).float().log_softmax(-1)]
        for _ in range(self.config.passes):
            x = x + self.feedback(_stacked(levels[-1].exp().to(x.dtype), count))
            for block in self.blocks[half:]:
                x = block(x, mask, valid)
            final = self.final_norm(x)
            gate = self.gate(final).sigmoid().view(*last.shape[:2], 1)
            state = self.final(final).view(*last.shape) + gate * last
            levels.append(output(state).float().log_softmax(-1))
        return Spelled(tuple(level[:, :frames] for level in levels), state[:, :frames])

    def _written(self, output: nn.Linear, last: torch.Tensor) -> torch.Tensor:
        """Return [B, T, V] the head's posterior of subwords, 0 where it has no last state."""
        with torch.no_grad():
            logits = output(last).float()
            if self.training:
                sharpness = torch.empty(len(last), 1, 1, device=last.device).uniform_(*_SHARPNESS)
                logits = logits * sharpness.exp()
            posterior: torch.Tensor = logits.softmax(-1) * last.any(dim=-1, keepdim=True)
        return posterior

    def correct(self, heard: HeadOutput, output: nn.Linear, lengths: torch.Tensor) -> HeadOutput:
        """Return the head's output with its last state and its log-probs corrected."""
        last = heard.states[:, -1]
        spelled = self(output, heard.phones.exp(), last, lengths)
        states = torch.cat([heard.states[:, :-1], spelled.state[:, None].to(last.dtype)], dim=1)
        return dataclasses.replace(heard, tokens=spelled.levels[-1], states=states)


def _stacked(x: torch.Tensor, count: int) -> torch.Tensor:
    """Return [B, N, stack * D] from [B, T, D]."""
    return x.reshape(x.shape[0], count, -1)
