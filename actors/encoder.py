"""Audio rows to EMISSIONS rows on a GPU or a CPU core."""

import os
from typing import Any

import pyarrow as pa

from actors.meter import Batch
from pipeline.config import RunConfig
from pipeline.entities import snapshot
from pipeline.storage import Location


class EncoderActor:
    """Encodes and, with ``lists``, adapts."""

    def __init__(
        self, config: RunConfig, list_column: str | None, threads: int, meter: Any, lists: Location | None = None
    ) -> None:
        """``lists``: the run's entity lists; None, for a first pass that is cached, leaves the adapter to later."""
        # oneDNN keeps compiled kernels for 1,024 shapes by default, and every length of audio is a shape of its own:
        # 200 MB per worker that are hardly ever used again. Read when torch first computes.
        os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "128")
        import torch  # here and below: the driver, which only names this class, needs no models in its memory

        from pipeline.recognition.recogniser import Recogniser

        if not torch.cuda.is_available():
            torch.set_num_threads(threads)
        recogniser = Recogniser.load(config, list_column=list_column, transcribes=False)
        if lists is not None:
            recogniser = recogniser.with_lists(snapshot.load(lists, recogniser.parts.tokens.alphabet))
        self._recogniser, self._adapts, self._meter = recogniser, lists is not None, meter

    def __call__(self, audio: pa.Table) -> pa.Table:
        with Batch(self._meter, "encode", audio) as batch:
            encoder = self._recogniser.encoder
            before = encoder.device_seconds
            emissions = encoder.encode(audio)
            emissions = self._recogniser.adapt(emissions) if self._adapts else emissions
            return batch.done(emissions, encoder.device_seconds - before)
