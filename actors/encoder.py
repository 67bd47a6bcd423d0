"""Audio rows to EMISSIONS rows on a GPU or a CPU core."""

import pyarrow as pa

from actors.batch import Meter
from actors.stages import encode_batch
from pipeline.config import RunConfig
from pipeline.entities import snapshot
from pipeline.storage import Location


class EncoderActor:
    """Encodes and, with ``lists``, adapts."""

    def __init__(
        self, config: RunConfig, list_column: str | None, threads: int, meter: Meter, lists: Location | None = None
    ) -> None:
        """``lists``: the run's entity lists; None, for a first pass that is cached, leaves the adapter to later."""
        import torch  # here and below: the driver, which only names this class, needs no models in its memory

        from pipeline.recognition.recogniser import Recogniser

        if not torch.cuda.is_available():
            torch.set_num_threads(threads)
        recogniser = Recogniser.load(config, list_column=list_column, transcribes=False)
        if lists is not None:
            recogniser = recogniser.with_lists(snapshot.load(lists, recogniser.parts.tokens.alphabet))
        self._recogniser, self._adapts, self._meter = recogniser, lists is not None, meter

    def __call__(self, audio: pa.Table) -> pa.Table:
        return encode_batch(self._recogniser, audio, self._meter, self._adapts)
