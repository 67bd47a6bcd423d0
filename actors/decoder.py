"""EMISSIONS rows to TRANSCRIPTS rows on a CPU core."""

from typing import Any

import pyarrow as pa

from actors.meter import Batch
from pipeline.config import RunConfig
from pipeline.entities import snapshot
from pipeline.storage import Location
from pipeline.transcribe import Transcriber


class DecoderActor:
    """Holds one decoder with its language model, and the run's entity lists."""

    def __init__(self, config: RunConfig, lists: Location, config_fingerprint: str, meter: Any) -> None:
        # Here, as the driver, which only names this class, needs no models in its memory.
        from pipeline.acoustic.loading import load_tokens
        from pipeline.decoding.build import build_decoder
        from pipeline.entities.shortlist import build_shortlister
        from pipeline.phonetics.second_pass import build_phonetics

        decoder = build_decoder(config, load_tokens(config.acoustic))
        phonetics = build_phonetics(config)
        pronouncer = None if phonetics is None else phonetics.pronouncer
        shortlister = build_shortlister(config, pronouncer)
        self._transcriber = Transcriber(decoder, snapshot.load(lists), config_fingerprint, phonetics, shortlister)
        self._meter = meter

    def __call__(self, emissions: pa.Table) -> pa.Table:
        with Batch(self._meter, "decode") as batch:
            return batch.done(self._transcriber.transcribe(emissions))
