"""The stages of a run over one table of rows, counted: table in, table out, the same under every executor."""

from typing import TYPE_CHECKING

import pyarrow as pa

from actors.batch import Batch, Meter
from pipeline.recognition.waveforms import read_audio
from pipeline.runs.folder import RunFolder

if TYPE_CHECKING:  # torch is for the workers: the driver imports this module too
    from pipeline.recognition.recogniser import Recogniser


def audio_batch(audio: pa.Table, meter: Meter) -> pa.Table:
    """Return AUDIO rows with their audio decoded, for encoders that leave that to others."""
    with Batch(meter, "audio", audio) as batch:
        return batch.done(read_audio(audio))


def encode_batch(recogniser: "Recogniser", audio: pa.Table, meter: Meter, adapts: bool = False) -> pa.Table:
    """Return the EMISSIONS rows of AUDIO rows, decoded or not; ``adapts``: an adapter runs here and not later."""
    with Batch(meter, "encode", audio) as batch:
        before = recogniser.encoder.work
        emissions = recogniser.hear(audio) if adapts else recogniser.encode(audio)
        return batch.done(emissions, recogniser.encoder.work - before)


def decode_batch(recogniser: "Recogniser", emissions: pa.Table, meter: Meter) -> pa.Table:
    """Return the TRANSCRIPTS rows of EMISSIONS rows."""
    with Batch(meter, "decode", emissions) as batch:
        return batch.done(recogniser.transcribe(emissions))


def told(recogniser: "Recogniser", folder: RunFolder) -> "Recogniser":
    """Return the recogniser as the run of ``folder`` has it: with a session, told what was clear in its recordings."""
    if recogniser.parts.config.session is None:
        return recogniser
    from pipeline.recognition.recordings import read_recordings

    return recogniser.with_recordings(read_recordings(folder.recordings))
