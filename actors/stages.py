"""The two stages of a run over one table of rows, counted: table in, table out, the same under every executor."""

from typing import TYPE_CHECKING

import pyarrow as pa

from actors.batch import Batch, Meter

if TYPE_CHECKING:  # torch is for the workers: the driver imports this module too
    from pipeline.recognition.recogniser import Recogniser


def encode_batch(recogniser: "Recogniser", audio: pa.Table, meter: Meter, adapts: bool = False) -> pa.Table:
    """Return the EMISSIONS rows of AUDIO rows; ``adapts``: the adapter, if there is one, runs here and not later."""
    with Batch(meter, "encode", audio) as batch:
        before = recogniser.encoder.work
        emissions = recogniser.encode(audio)
        emissions = recogniser.adapt(emissions) if adapts else emissions
        return batch.done(emissions, recogniser.encoder.work - before)


def decode_batch(recogniser: "Recogniser", emissions: pa.Table, meter: Meter) -> pa.Table:
    """Return the TRANSCRIPTS rows of EMISSIONS rows."""
    with Batch(meter, "decode", emissions) as batch:
        return batch.done(recogniser.transcribe(emissions))
