"""Audio rows to EMISSIONS rows on a GPU or a CPU core."""

import os
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
        self._encoder = Encoder(load_model(config), config.batch_seconds, list_column)
        self._meter = meter

    def __call__(self, audio: pa.Table) -> pa.Table:
        with Batch(self._meter, "encode") as batch:
            return batch.done(self._encoder.encode(audio))
