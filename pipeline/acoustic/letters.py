"""A model's own letters in place of phones: what it hears of each in each frame, as a phone head would say it."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from pipeline.acoustic.adapter import OutputLayer
from pipeline.acoustic.batching import Audio, Query, Results
from pipeline.acoustic.interface import CtcModel
from pipeline.acoustic.letter_units import columns_of
from pipeline.errors import ConfigError
from pipeline.types.emissions import Emissions, SparseLogProbs


class WithLetters:
    """A model as it is, with its letters where a phone head's output goes: a CtcModel."""

    def __init__(self, model: CtcModel) -> None:
        """Raises ConfigError for a model with a phone head, and for one that writes more than letters."""
        if model.phones is not None:
            raise ConfigError("acoustic.phones: letters is for models without a phone head; set it to null.")
        self._model, columns = model, columns_of(model.tokens)
        self.tokens, self.frame_seconds, self.max_seconds = model.tokens, model.frame_seconds, model.max_seconds
        self.model_id = f"{model.model_id}+letters"
        self.phones: tuple[str, ...] | None = columns.units.names
        self.phone_frame_seconds: float | None = None  # they are the model's own frames
        self.takes_threads, self.together = model.takes_threads, model.together
        self._letters, self._silent = np.array(columns.letters, np.int64), np.array(columns.silent, np.int64)

    def begin(self, waveforms: Sequence[Audio], with_states: bool = False, query: Query | None = None) -> Results:
        """Begin with the model; see pipeline.acoustic.interface."""
        said = self._model.begin(waveforms, with_states, query)
        return lambda: [dataclasses.replace(one, phone_log_probs=self._heard(one.tokens)) for one in said()]

    def _heard(self, tokens: SparseLogProbs) -> npt.NDArray[np.float16]:
        """Return [T, 1 + letters]; what stands between words counts as silence, as the blank does."""
        dense = tokens.dense(len(self.tokens.pieces))
        silence = np.logaddexp.reduce(dense[:, self._silent], axis=1)
        heard: npt.NDArray[np.float32] = np.concatenate([silence[:, None], dense[:, self._letters]], axis=1)
        return heard.astype(np.float16)

    def encode(self, waveforms: Sequence[Audio], with_states: bool = False) -> list[Emissions]:
        """Return the emissions of each mono 16 kHz waveform."""
        return self.begin(waveforms, with_states)()

    def output_layer(self) -> OutputLayer:
        """Return a copy of the model's final CTC layer."""
        return self._model.output_layer()
