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

        source = snapshot.load(lists)
        self._recogniser = Recogniser.load(config, source, config_fingerprint=config_fingerprint, encodes=False)
        self._meter = meter

    def __call__(self, emissions: pa.Table) -> pa.Table:
        with Batch(self._meter, "decode", emissions) as batch:
            return batch.done(self._recogniser.transcribe(emissions))
