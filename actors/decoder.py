"""EMISSIONS rows to TRANSCRIPTS rows on a CPU core."""

from typing import Any

import pyarrow as pa

from actors.meter import Batch
from pipeline.config import RunConfig
from pipeline.entities import snapshot
from pipeline.storage import Location


class DecoderActor:
    """Transcribes; runs the adapter first on a first pass that comes from a cache."""

    def __init__(self, config: RunConfig, lists: Location, config_fingerprint: str, meter: Any) -> None:
        # Here, as the driver, which only names this class, needs no models in its memory.
        from pipeline.recognition.recogniser import Recogniser

        recogniser = Recogniser.load(config, config_fingerprint=config_fingerprint, encodes=False)
        self._recogniser = recogniser.with_lists(snapshot.load(lists, recogniser.parts.tokens.alphabet))
        self._meter = meter

    def __call__(self, emissions: pa.Table) -> pa.Table:
        with Batch(self._meter, "decode", emissions) as batch:
            return batch.done(self._recogniser.transcribe(emissions))
