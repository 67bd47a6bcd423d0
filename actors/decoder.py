"""EMISSIONS rows to TRANSCRIPTS rows on a CPU core."""

from typing import Any

import pyarrow as pa

from actors.meter import Batch
from pipeline.config import RunConfig
from pipeline.entities import snapshot
from pipeline.storage import Location


class DecoderActor:
    """Holds one decoder with its language model, and the run's entity lists."""

    def __init__(self, config: RunConfig, lists: Location, config_fingerprint: str, meter: Any) -> None:
        # Here, as the driver, which only names this class, needs no models in its memory.
        from pipeline.acoustic.loading import load_tokens
        from pipeline.transcribe import build_transcriber

        tokens = load_tokens(config.acoustic)
        self._transcriber = build_transcriber(config, tokens, snapshot.load(lists), config_fingerprint)
        self._meter = meter

    def __call__(self, emissions: pa.Table) -> pa.Table:
        with Batch(self._meter, "decode", emissions) as batch:
            return batch.done(self._transcriber.transcribe(emissions))
