"""The doubtful spans of a whole run, a batch of rows at a time, with phones from its cached first pass."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.errors import InputError
from pipeline.runs.reader import Run
from pipeline.storage import Location
from pipeline.suggest.doubtful import Doubts, Span

MOST_SPANS = 300_000
"""Held at once, some 300 MB; of more, those that language expects least stay."""
_COLUMNS = ("utterance_id", "words", "nbest", "entities", "duration_seconds", "error")
_PHONES = ["utterance_id", "phones", "phone_log_probs"]
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
    """Return the phone log-probabilities [T, P] of utterances, as far as the files have them."""
    wanted = pa.array(sorted(ids), pa.string())
    return {name: phones for file in files for name, phones in _read(file, wanted)}


def _read(file: Location, wanted: pa.Array) -> Iterator[tuple[str, Phones]]:
    try:
        with pq.ParquetFile(file.path, filesystem=file.arrow()) as parquet:
            groups = [
                group
                for group in range(parquet.num_row_groups)
                if pc.any(pc.is_in(parquet.read_row_group(group, _PHONES[:1])[_PHONES[0]], wanted)).as_py()
            ]
            for batch in parquet.iter_batches(_ROWS, row_groups=groups, columns=_PHONES):
                batch = batch.filter(pc.is_in(batch["utterance_id"], wanted))
                names, widths = (batch[name].to_pylist() for name in _PHONES[:2])
                for name, width, values in zip(names, widths, batch["phone_log_probs"], strict=True):
                    if width and values.is_valid:
                        flat = values.values.to_numpy(zero_copy_only=False)
                        yield name, np.array(flat, np.float16).reshape(-1, width)
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(f"{file.uri}: cannot be read as parquet ({error}).") from error
