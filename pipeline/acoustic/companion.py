"""Phones beside a model that has none: the front of one of ours hears the same audio.

Its layers above the phone head are not loaded and not computed. The phones keep its clock: nothing is resampled, as
every weight on phones sums nats per frame. What maps between the two clocks is Emissions.phone_rate.
"""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from pipeline.acoustic import checkpoint, model_files
from pipeline.acoustic.adapter import OutputLayer
from pipeline.acoustic.backbone import FRAME_SAMPLES
from pipeline.acoustic.batching import Audio, Query, Results, start_phones
from pipeline.acoustic.interface import SAMPLE_RATE, CtcModel
from pipeline.acoustic.model import MAX_SECONDS, by_windows, cut, features, seams
from pipeline.acoustic.precision import autocast, choose_device, choose_dtype, hold_weights
from pipeline.config import AcousticConfig
from pipeline.errors import ConfigError
from pipeline.types.emissions import Emissions

Phones = npt.NDArray[np.float16]
"""[T, P] log-probs of one waveform."""


class PhoneFront:
    """What of a model of ours is needed to hear phones."""

    def __init__(self, folder: Path, config: AcousticConfig) -> None:
        """Raises ModelError if the model cannot be read, ConfigError if it is none of ours."""
        if not model_files.is_model_directory(folder):
            raise ConfigError(
                f"acoustic.phones {folder}: is no model of ours, and only these have a phone head; give the shipped "
                "models/base_en_ctc, or null to do without phones."
            )
        network, shapes = checkpoint.load(folder)
        network.head.blocks = nn.ModuleList(network.head.blocks[: network.head.config.phone_level])
        network.spelling = None
        self.phones = tuple(shapes["phones"])
        self.model_id = model_files.content_hash(folder)
        self._device = choose_device(config.device)
        self._dtype = choose_dtype(config.dtype, self._device)
        self._stack = network.head.config.stack
        self._network = hold_weights(network, self._dtype).to(self._device)
        self._frame_samples = self._stack * FRAME_SAMPLES
        self.frame_seconds = self._frame_samples / SAMPLE_RATE

    def begin(self, waveforms: Sequence[Audio], together: bool) -> Callable[[], list[Phones]]:
        """Begin with mono 16 kHz waveforms of at most MAX_SECONDS; return what waits for their phones."""
        windows = [cut(waveform, self._frame_samples) for waveform in waveforms]
        return by_windows(windows, together, self._start, _joined)

    def _start(self, waveforms: Sequence[Audio]) -> Callable[[], list[Phones]]:
        with torch.inference_mode():
            mel, counts, frames = features(waveforms, self._stack, self._device)
            with autocast(self._device, self._dtype):
                phones = self._network.hear(mel, counts)
            return start_phones(phones, frames)


def _joined(parts: Sequence[Phones]) -> Phones:
    kept = [part[span] for part, span in zip(parts, seams([len(part) for part in parts]), strict=True)]
    return kept[0] if len(kept) == 1 else np.concatenate(kept)


class WithPhones:
    """A model as it is, with the phones of another beside it: a CtcModel."""

    def __init__(self, model: CtcModel, front: PhoneFront) -> None:
        """Raises ConfigError for a model that has phones of its own."""
        if model.phones is not None:
            raise ConfigError(
                "acoustic.phones is for models without a phone head; this one has its own: set it to null."
            )
        self._model, self._front = model, front
        self.tokens, self.frame_seconds = model.tokens, model.frame_seconds
        self.max_seconds = min(model.max_seconds, MAX_SECONDS)
        self.model_id = f"{model.model_id}+{front.model_id}"
        self.phones: tuple[str, ...] | None = front.phones
        self.phone_frame_seconds: float | None = front.frame_seconds
        self.takes_threads, self.together = model.takes_threads, model.together
        self._rate = model.frame_seconds / front.frame_seconds

    def begin(self, waveforms: Sequence[Audio], with_states: bool = False, query: Query | None = None) -> Results:
        """Begin with both models; see pipeline.acoustic.interface."""
        said, heard = self._model.begin(waveforms, with_states, query), self._front.begin(waveforms, self.together)

        def take() -> list[Emissions]:
            return [
                dataclasses.replace(one, phone_log_probs=phones, phone_rate=self._rate)
                for one, phones in zip(said(), heard(), strict=True)
            ]

        return take

    def encode(self, waveforms: Sequence[Audio], with_states: bool = False) -> list[Emissions]:
        """Return the emissions of each mono 16 kHz waveform."""
        return self.begin(waveforms, with_states)()

    def output_layer(self) -> OutputLayer:
        """Return a copy of the model's final CTC layer."""
        return self._model.output_layer()
