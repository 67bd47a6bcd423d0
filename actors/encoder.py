"""Audio rows to EMISSIONS rows on a GPU or a CPU core."""

import os
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from actors.meter import Batch
from pipeline.acoustic.interface import CtcModel
from pipeline.config import RunConfig
from pipeline.entities import snapshot
from pipeline.entities.lists import EntitySource
from pipeline.recognition.encode import Encoder
from pipeline.storage import Location
from pipeline.types.emissions import Emissions


class EncoderActor:
    """Holds one acoustic model and, where there is one, its adapter."""

    def __init__(
        self, config: RunConfig, list_column: str | None, threads: int, meter: Any, lists: Location | None = None
    ) -> None:
        """``lists``: the run's entity lists; None, for a first pass that is cached, leaves the adapter to later."""
        # oneDNN keeps compiled kernels for 1,024 shapes by default, and every length of audio is a shape of its own:
        # 200 MB per worker that are hardly ever used again. Read when torch first computes.
        os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "128")
        import torch  # here and below: the driver, which only names this class, needs no models in its memory

        from pipeline.acoustic.loading import load_model
        from pipeline.recognition.adapt import build_adapter_pass

        if not torch.cuda.is_available():
            torch.set_num_threads(threads)
        self._model = TimedModel(load_model(config.acoustic))
        source = EntitySource() if lists is None else snapshot.load(lists)
        adapter = build_adapter_pass(config, source, config.acoustic.device)
        runner = None if adapter is None else adapter.runner
        self._encoder = Encoder(self._model, config.acoustic.batch_seconds, list_column, runner)
        self._adapter = None if lists is None else adapter
        self._meter = meter

    def __call__(self, audio: pa.Table) -> pa.Table:
        with Batch(self._meter, "encode", audio) as batch:
            emissions = self._encoder.encode(audio)
            emissions = emissions if self._adapter is None else self._adapter.adapt(emissions)
            return batch.done(emissions, self._model.take_seconds())


class TimedModel:
    """A CTC model and the time spent in it: what keeps a GPU busy, and not the reading of audio files around it."""

    def __init__(self, model: CtcModel) -> None:
        self._model, self._seconds = model, 0.0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def encode(self, waveforms: Sequence[npt.NDArray[np.float32]], with_states: bool = False) -> list[Emissions]:
        """As the model's own; it returns numpy arrays, so the device has finished when it does."""
        began = time.perf_counter()
        try:
            return self._model.encode(waveforms, with_states)
        finally:
            self._seconds += time.perf_counter() - began

    def take_seconds(self) -> float:
        """Return the time since the last call."""
        seconds, self._seconds = self._seconds, 0.0
        return seconds
