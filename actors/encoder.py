"""Audio rows to EMISSIONS rows on a GPU or a CPU core."""

import os
import time
from typing import Any

import pyarrow as pa

from actors.meter import Batch
from pipeline.config import AcousticConfig
from pipeline.encode import Encoder


class EncoderActor:
    """Holds one acoustic model."""

    def __init__(self, config: AcousticConfig, list_column: str | None, threads: int, meter: Any) -> None:
        # oneDNN keeps compiled kernels for 1,024 shapes by default, and every length of audio is a shape of its own:
        # 200 MB per worker that are hardly ever used again. Read when torch first computes.
        os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "128")
        import torch  # here and below: the driver, which only names this class, needs no models in its memory

        from pipeline.acoustic.loading import load_model

        if not torch.cuda.is_available():
            torch.set_num_threads(threads)
        self._model = TimedModel(load_model(config))
        self._encoder = Encoder(self._model, config.batch_seconds, list_column)
        self._meter = meter

    def __call__(self, audio: pa.Table) -> pa.Table:
        with Batch(self._meter, "encode", audio) as batch:
            emissions = self._encoder.encode(audio)
            return batch.done(emissions, self._model.take_seconds())


class TimedModel:
    """A CTC model and the time spent in it: what keeps a GPU busy, and not the reading of audio files around it."""

    def __init__(self, model: Any) -> None:
        self._model, self._seconds = model, 0.0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def encode(self, waveforms: Any) -> Any:
        """As the model's own; it returns numpy arrays, so the device has finished when it does."""
        began = time.perf_counter()
        try:
            return self._model.encode(waveforms)
        finally:
            self._seconds += time.perf_counter() - began

    def take_seconds(self) -> float:
        """Return the time since the last call."""
        seconds, self._seconds = self._seconds, 0.0
        return seconds
