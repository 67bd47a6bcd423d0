"""The default model behind the CtcModel interface."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from pipeline.acoustic import checkpoint, model_files
from pipeline.acoustic.adapter import OutputLayer
from pipeline.acoustic.backbone import FRAME_SAMPLES
from pipeline.acoustic.features import log_mel
from pipeline.acoustic.head import HeadOutput
from pipeline.acoustic.interface import SAMPLE_RATE
from pipeline.acoustic.network import CtcNetwork
from pipeline.acoustic.precision import autocast, choose_device, choose_dtype
from pipeline.config import AcousticConfig
from pipeline.errors import ConfigError
from pipeline.types.emissions import Emissions, SparseLogProbs, sparsify

MAX_SECONDS = 120.0  # as long as one row of audio may be
WINDOW_FRAMES = 700  # 28 s at 25 Hz: Whisper's encoder knows positions up to 30 s
OVERLAP_FRAMES = 100  # each side of a seam is heard with 2 s of context


class RollcallCtc:
    """Whisper encoder, Conformer-like head, subword and phone CTC."""

    takes_threads = True  # nothing is kept between or during calls

    def __init__(self, folder: Path, config: AcousticConfig) -> None:
        network, shapes = checkpoint.load(folder)
        self.device = choose_device(config.device)
        self._dtype = choose_dtype(config.dtype, self.device)
        self.network: CtcNetwork = network.to(self.device)
        self.tokens = model_files.load_tokens(folder / model_files.TOKENISER)
        self.phones: tuple[str, ...] | None = tuple(shapes["phones"])
        self.model_id = model_files.content_hash(folder)
        self._stack = network.head.config.stack
        self.frame_seconds = self._stack * FRAME_SAMPLES / SAMPLE_RATE
        self.max_seconds = MAX_SECONDS
        self._top_k = config.top_k
        if config.tapped_layers is not None:
            levels = tuple(config.tapped_layers)
            if levels != network.head.config.token_levels:
                raise ConfigError(
                    f"acoustic.tapped_layers {list(levels)}: this model's CTC levels are fixed in training at "
                    f"{list(network.head.config.token_levels)}; leave tapped_layers out."
                )

    def output_layer(self) -> OutputLayer:
        """Return a copy of the final subword CTC layer, for what biases the last state (pipeline.acoustic.adapter)."""
        layer = self.network.head.tokens
        return OutputLayer(layer.weight, layer.bias, torch.arange(len(layer.weight)))

    def encode(self, waveforms: Sequence[npt.NDArray[np.float32]], with_states: bool = False) -> list[Emissions]:
        """Return the emissions of mono 16 kHz waveforms, each at most ``max_seconds`` long.

        On a CPU each waveform is a batch of its own: padding gains nothing there, and no output can depend on what
        shared its batch. On a GPU they are one padded batch. What is longer than a window is heard in overlapping
        windows.
        """
        windows = [cut(waveform, self._stack * FRAME_SAMPLES) for waveform in waveforms]
        flat = [window for parts in windows for window in parts]
        size = len(flat) if self.device.type == "cuda" else 1
        groups = [flat[start : start + size] for start in range(0, len(flat), max(1, size))]
        heard = iter([emissions for group in groups for emissions in self._encode_batch(group, with_states)])
        return [join([next(heard) for _ in parts]) for parts in windows]

    def _encode_batch(self, waveforms: Sequence[npt.NDArray[np.float32]], with_states: bool) -> list[Emissions]:
        unit = self._stack * 2  # mel frames per output frame
        with torch.inference_mode():
            mels = [log_mel(torch.from_numpy(waveform).to(self.device)) for waveform in waveforms]
            frames = [max(1, mel.shape[1] // unit) for mel in mels]
            batch = torch.zeros(len(mels), mels[0].shape[0], max(frames) * unit, device=self.device)
            for row, mel in enumerate(mels):
                kept = min(mel.shape[1], frames[row] * unit)
                batch[row, :, :kept] = mel[:, :kept]
            lengths = torch.tensor(frames, device=self.device) * self._stack
            with autocast(self.device, self._dtype):
                output = self.network(batch, lengths)
        return [self._emissions(output, row, count, with_states) for row, count in enumerate(frames)]

    def _emissions(self, output: HeadOutput, row: int, frames: int, with_states: bool) -> Emissions:
        states = output.states[row, :, :frames].to(torch.float16).cpu().numpy() if with_states else None
        return Emissions(
            tokens=sparsify(output.tokens[row, :frames].cpu().numpy(), self._top_k),
            phone_log_probs=output.phones[row, :frames].to(torch.float16).cpu().numpy(),
            states=states,
        )


def cut(samples: npt.NDArray[np.float32], frame_samples: int) -> list[npt.NDArray[np.float32]]:
    """Return overlapping windows of WINDOW_FRAMES output frames; audio that fits is one window."""
    window, hop = WINDOW_FRAMES * frame_samples, (WINDOW_FRAMES - OVERLAP_FRAMES) * frame_samples
    starts = range(0, max(1, len(samples) - window + hop), hop)
    return [samples[start : start + window] for start in starts]


def join(parts: Sequence[Emissions]) -> Emissions:
    """Join the emissions of overlapping windows in the middle of each overlap."""
    if len(parts) == 1:
        return parts[0]
    half, last = OVERLAP_FRAMES // 2, len(parts) - 1
    spans = [
        slice(half if number else 0, part.tokens.frames - (half if number < last else 0))
        for number, part in enumerate(parts)
    ]
    pairs = list(zip(parts, spans, strict=True))
    phones = [part.phone_log_probs[span] for part, span in pairs if part.phone_log_probs is not None]
    states = [part.states[:, span] for part, span in pairs if part.states is not None]
    return Emissions(
        tokens=SparseLogProbs(
            ids=np.concatenate([part.tokens.ids[span] for part, span in pairs]),
            values=np.concatenate([part.tokens.values[span] for part, span in pairs]),
        ),
        phone_log_probs=np.concatenate(phones) if phones else None,
        states=np.concatenate(states, axis=1) if states else None,
    )
