"""How many utterances an encoder on a GPU is given at a time. Needs no Ray."""

import math

from jobs.run.preflight import Transcription
from pipeline.runs.audio_length import mean_seconds

_LEAST_BATCHES, _MOST_BATCHES = 2, 8
"""Of 1,000 utterances of like lengths fuller batches can be made than of 500, with a tenth less padding, for twice the
memory (benchmarks/results/encoder.md)."""
_TURNS = 4  # times that each GPU is given work, where there is enough
_LEAST_SECONDS = 0.5


def encoder_rows(run: Transcription, encoders: int) -> int:
    """Return how many utterances of the run's length each of ``encoders`` is given at a time.

    Raises StorageError for files that cannot be read.
    """
    seconds = max(mean_seconds(run.corpus.files, run.corpus.columns), _LEAST_SECONDS)
    return rows_at_once(run.corpus.rows, encoders, run.block_rows, run.config.acoustic.batch_seconds / seconds)


def rows_at_once(rows: int, encoders: int, block_rows: int, batch_rows: float) -> int:
    """Return how many of ``rows`` utterances one of ``encoders`` is given at a time, in whole blocks.

    They fill several batches of ``batch_rows`` each, so that full ones can be made of utterances of like length: eight,
    or two at least where that leaves more turns for every GPU. No more than a GPU's share, where that is less.

    >>> rows_at_once(1_000_000, 8, 64, 120.0), rows_at_once(5_000, 4, 64, 120.0), rows_at_once(100, 1, 64, 120.0)
    (960, 320, 128)
    """
    wanted = min(max(rows / (encoders * _TURNS), _LEAST_BATCHES * batch_rows), _MOST_BATCHES * batch_rows)
    return math.ceil(min(wanted, rows / encoders) / block_rows) * block_rows
