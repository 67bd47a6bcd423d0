"""EMISSIONS rows to TRANSCRIPTS rows on a CPU core."""

from typing import Any

import pyarrow as pa

from actors.meter import Batch
from pipeline.config import RunConfig
from pipeline.entities import snapshot
from pipeline.schemas import ADAPTER_INPUT
from pipeline.storage import Location


class DecoderActor:
    """Holds one decoder with its language model, and the run's entity lists."""

    def __init__(self, config: RunConfig, lists: Location, config_fingerprint: str, meter: Any) -> None:
        # Here, as the driver, which only names this class, needs no models in its memory.
        from pipeline.acoustic.loading import load_tokens
        from pipeline.recognition.adapt import build_adapter_pass
        from pipeline.recognition.transcribe import build_transcriber

        tokens, source = load_tokens(config.acoustic), snapshot.load(lists)
        self._transcriber = build_transcriber(config, tokens, source, config_fingerprint)
        self._adapter = build_adapter_pass(config, source)
        self._meter = meter

    def __call__(self, emissions: pa.Table) -> pa.Table:
        with Batch(self._meter, "decode", emissions) as batch:
            if self._adapter is not None and ADAPTER_INPUT.names[0] in emissions.column_names:  # from a cache
                emissions = self._adapter.adapt(emissions)
            return batch.done(self._transcriber.transcribe(emissions))
