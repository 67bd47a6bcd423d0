"""``--retry-errors``: the run and its cached first pass forget their rows with errors."""

import dataclasses

from jobs.run.preflight import Transcription
from pipeline import storage
from pipeline.runs import forget


def forget_errors(run: Transcription, wanted: bool) -> tuple[Transcription, int]:
    """Forget the run's rows with errors if that is ``wanted``; return the run and how many rows will be done again.

    A cached first pass forgets its own, where there is audio to fill it again from.
    """
    count = forget.forget_errors(run.folder, wanted)
    if run.cache is None or not forget.forget_errors(run.cache.folder, wanted and "audio" in run.corpus.columns):
        return run, count
    storage.remove(run.cache.folder.record)
    return dataclasses.replace(run, cache=dataclasses.replace(run.cache, is_complete=False)), count
