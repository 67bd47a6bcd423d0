"""The default model behind the CtcModel interface."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch

from pipeline.acoustic import checkpoint, model_files
from pipeline.acoustic.adapter import OutputLayer
from pipeline.acoustic.backbone import FRAME_SAMPLES
from pipeline.acoustic.batching import Audio, Heard, Query, Results, pad, padded_length, start
from pipeline.acoustic.features import FFT_SAMPLES, log_mel_batch
from pipeline.acoustic.interface import SAMPLE_RATE
from pipeline.acoustic.network import CtcNetwork
from pipeline.acoustic.precision import autocast, choose_device, choose_dtype, hold_weights
from pipeline.config import AcousticConfig
from pipeline.errors import ConfigError
from pipeline.types.emissions import Emissions, SparseLogProbs

MAX_SECONDS = 120.0  # as long as one row of audio may be
WINDOW_FRAMES = 700  # 28 s at 25 Hz: Whisper's encoder knows positions up to 30 s
OVERLAP_FRAMES = 100  # each side of a seam is heard with 2 s of context


_Part = TypeVar("_Part")


class RollcallCtc:
    """Whisper encoder, Conformer-like head, subword and phone CTC."""

    takes_threads = True  # nothing is kept between or during calls
    phone_frame_seconds: float | None = None

    def __init__(self, folder: Path, config: AcousticConfig) -> None:
        network, shapes = checkpoint.load(folder)
        self.device = choose_device(config.device)
        self.together = self.device.type != "cpu"
        self._dtype = choose_dtype(config.dtype, self.device)
        layer = network.head.tokens
        self._output = layer.weight.detach().clone(), layer.bias.detach().clone()
        self.network: CtcNetwork = hold_weights(network, self._dtype).to(self.device)
        self.tokens = model_files.load_tokens(folder / model_files.TOKENISER)
        self.phones: tuple[str, ...] | None = tuple(shapes["phones"])
        self.model_id = model_files.content_hash(folder)
        self._stack = network.head.config.stack
        self._frame_samples = self._stack * FRAME_SAMPLES
        self.frame_seconds = self._frame_samples / SAMPLE_RATE
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
        weight, bias = self._output
        return OutputLayer(weight, bias, torch.arange(len(weight)))

    def begin(self, waveforms: Sequence[Audio], with_states: bool = False, query: Query | None = None) -> Results:
        """Begin with mono 16 kHz waveforms, each at most ``max_seconds`` long; see pipeline.acoustic.interface.

        What is longer than a window is heard in overlapping windows.
        """
        windows = [cut(waveform, self._frame_samples) for waveform in waveforms]
        return by_windows(windows, self.together, lambda group: self._start(group, with_states, query), join)

    def encode(self, waveforms: Sequence[Audio], with_states: bool = False) -> list[Emissions]:
        """Return the emissions of mono 16 kHz waveforms, each at most ``max_seconds`` long."""
        return self.begin(waveforms, with_states)()

    def _start(self, waveforms: Sequence[Audio], with_states: bool, query: Query | None) -> Results:
        with torch.inference_mode():
            mel, counts, frames = features(waveforms, self._stack, self.device)
            with autocast(self.device, self._dtype):
                said = self.network(mel, counts)
            states = said.states if with_states or query is not None else None
            return start(Heard(said.tokens, said.phones, states), frames, self._top_k, query)


def features(
    waveforms: Sequence[Audio], stack: int, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor, list[int]]:
    """Return what a network of ours hears of a batch, and the output frames of each waveform.

    [B, M, F] log-mel, padded to one of a few lengths; [B] encoder frames; ``stack`` of these are an output frame.
    """
    frame_samples = stack * FRAME_SAMPLES
    frames = [max(1, len(waveform) // frame_samples) for waveform in waveforms]
    longest = padded_length(max(frames))
    batch = pad(waveforms, FFT_SAMPLES, (longest + 1) * frame_samples, device)
    mel, counts = log_mel_batch(batch.samples, batch.lengths)
    return mel[:, :, : longest * stack * 2], counts // 2, frames


def by_windows(
    windows: Sequence[Sequence[Audio]],
    together: bool,
    begin: Callable[[Sequence[Audio]], Callable[[], list[_Part]]],
    join: Callable[[Sequence[_Part]], _Part],
) -> Callable[[], list[_Part]]:
    """Begin with the windows of each waveform, as one batch or each by itself; return what waits, and joins them."""
    flat = [window for parts in windows for window in parts]
    begun = [begin(group) for group in ([flat] if together and flat else [[window] for window in flat])]

    def take() -> list[_Part]:
        heard = iter([one for results in begun for one in results()])
        return [join([next(heard) for _ in parts]) for parts in windows]

    return take


def cut(samples: Audio, frame_samples: int) -> list[Audio]:
    """Return overlapping windows of WINDOW_FRAMES output frames; audio that fits is one window."""
    window, hop = WINDOW_FRAMES * frame_samples, (WINDOW_FRAMES - OVERLAP_FRAMES) * frame_samples
    starts = range(0, max(1, len(samples) - window + hop), hop)
    return [samples[start : start + window] for start in starts]


def seams(frames: Sequence[int]) -> list[slice]:
    """Return what is kept of overlapping windows with so many frames each: they meet in the middle of each overlap."""
    half, end = OVERLAP_FRAMES // 2, len(frames) - 1
    return [slice(half if at else 0, count - (half if at < end else 0)) for at, count in enumerate(frames)]


def join(parts: Sequence[Emissions]) -> Emissions:
    """Join the emissions of overlapping windows in the middle of each overlap."""
    if len(parts) == 1:
        return parts[0]
    pairs = list(zip(parts, seams([part.tokens.frames for part in parts]), strict=True))
    phones = [part.phone_log_probs[span] for part, span in pairs if part.phone_log_probs is not None]
    states = [part.states[:, span] for part, span in pairs if part.states is not None]
    last = [part.last[span] for part, span in pairs if part.last is not None]
    query = [part.query[span] for part, span in pairs if part.query is not None]
    return Emissions(
        tokens=SparseLogProbs(
            ids=np.concatenate([part.tokens.ids[span] for part, span in pairs]),
            values=np.concatenate([part.tokens.values[span] for part, span in pairs]),
        ),
        phone_log_probs=np.concatenate(phones) if phones else None,
        states=np.concatenate(states, axis=1) if states else None,
        last=np.concatenate(last) if last else None,
        query=np.concatenate(query) if query else None,
    )
