"""EMISSIONS rows to TRANSCRIPTS rows on a CPU core."""

import pyarrow as pa

from actors.batch import Meter
from actors.stages import decode_batch, told
from pipeline.config import RunConfig
from pipeline.entities import snapshot
from pipeline.runs.folder import RunFolder


class DecoderActor:
    """Transcribes; runs the adapter first on a first pass that comes from a cache."""

    def __init__(self, config: RunConfig, folder: RunFolder, config_fingerprint: str, meter: Meter) -> None:
        # Here, as the driver, which only names this class, needs no models in its memory.
        from pipeline.recognition.recogniser import Recogniser

        recogniser = Recogniser.load(config, config_fingerprint=config_fingerprint, encodes=False, adapts=False)
        recogniser = recogniser.with_lists(snapshot.load(folder.lists, recogniser.parts.tokens.alphabet))
        self._recogniser = told(recogniser, folder)
        self._meter = meter

    def __call__(self, emissions: pa.Table) -> pa.Table:
        return decode_batch(self._recogniser, emissions, self._meter)
