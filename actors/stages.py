"""The two stages of a run over one table of rows, counted: table in, table out, the same under every executor."""

import os
from typing import TYPE_CHECKING

import pyarrow as pa

from actors.batch import Batch, Meter

if TYPE_CHECKING:  # torch is for the workers: the driver imports this module too
    from pipeline.recognition.recogniser import Recogniser


def keep_few_kernels() -> None:
    """Bound what oneDNN keeps; to be called before torch first computes.

    It keeps compiled kernels for 1,024 shapes by default, and every length of audio is a shape of its own: 200 MB per
    process that are hardly ever used again.
    """
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "128")


def encode_batch(recogniser: "Recogniser", audio: pa.Table, meter: Meter, adapts: bool = False) -> pa.Table:
    """Return the EMISSIONS rows of AUDIO rows; ``adapts``: the adapter, if there is one, runs here and not later."""
    with Batch(meter, "encode", audio) as batch:
        before = recogniser.encoder.device_seconds
        emissions = recogniser.encode(audio)
        emissions = recogniser.adapt(emissions) if adapts else emissions
        return batch.done(emissions, recogniser.encoder.device_seconds - before)


def decode_batch(recogniser: "Recogniser", emissions: pa.Table, meter: Meter) -> pa.Table:
    """Return the TRANSCRIPTS rows of EMISSIONS rows."""
    with Batch(meter, "decode", emissions) as batch:
        return batch.done(recogniser.transcribe(emissions))
