"""The doubtful spans of a whole run, a batch of rows at a time, with phones from its cached first pass."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from pipeline.lexicon.phones import PHONES
from pipeline.runs.columns import batches_of
from pipeline.runs.reader import Run
from pipeline.storage import Location
from pipeline.suggest.doubtful import Doubts, Span

MOST_SPANS = 300_000
"""Held at once, some 300 MB; of more, those that language expects least stay."""
_COLUMNS = ("utterance_id", "words", "nbest", "entities", "duration_seconds", "error")
_PHONES = ("phones", "phone_log_probs")
_WIDTH = len(PHONES) + 1  # and the blank
_ROWS = 64  # of phones held at once
Phones = npt.NDArray[np.float16]


@dataclasses.dataclass(frozen=True)
class Gathered:
    """``words`` of all rows without an error; ``heard`` rows had phones; ``left_out`` spans were too many."""

    spans: tuple[Span, ...]
    rows: int
    words: int
    seconds: float
    heard: int
    left_out: int


def gather(run: Run, cached: Sequence[Location], doubts: Doubts, most: int = MOST_SPANS) -> Gathered:
    """Return the spans of every row without an error; ``cached``: EMISSIONS files. Raises InputError."""
    spans: list[Span] = []
    rows = words = heard = left_out = 0
    seconds = 0.0
    for batch in run.batches():
        known = {row["utterance_id"]: row for row in batch.select(_COLUMNS).to_pylist() if row["error"] is None}
        phones = _phones_of(cached, known)
        for name, row in known.items():
            one = phones.get(name)
            spans += doubts.spans(row, one)
            rows, words, heard = rows + 1, words + len(row["words"] or ()), heard + (one is not None)
            seconds += row["duration_seconds"] or 0.0
        if len(spans) > most:
            spans.sort(key=lambda span: (span.log10, span.utterance_id, span.first, span.last))
            left_out += len(spans) - most
            del spans[most:]
    return Gathered(tuple(spans), rows, words, seconds, heard, left_out)


def _phones_of(files: Sequence[Location], ids: Mapping[str, object]) -> dict[str, Phones]:
    """Return the phone log-probabilities [T, P] of utterances, as far as the files have them.

    What a model hears of its own letters (acoustic.phones: letters) are none.
    """
    found: dict[str, Phones] = {}
    for batch in batches_of(files, ids, _PHONES, _ROWS):
        names, widths = (batch[name].to_pylist() for name in ("utterance_id", "phones"))
        for name, width, values in zip(names, widths, batch["phone_log_probs"], strict=True):
            if width == _WIDTH and values.is_valid:
                flat = values.values.to_numpy(zero_copy_only=False)
                found[name] = np.array(flat, np.float16).reshape(-1, width)
    return found
