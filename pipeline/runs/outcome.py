"""The rows that a run wrote, against those that went in: none lost, none twice, and what errors they have."""

import dataclasses
import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from pipeline.runs.columns import read_columns
from pipeline.runs.corpus import Corpus, id_hashes
from pipeline.runs.folder import RunFolder

_KINDS = 100  # kinds of errors that are written out, the most frequent ones
_READ_ROWS = 65_536
_READ = ("utterance_id", "error", "duration_seconds", "entities")
_DETAIL = re.compile(r"'[^']*'|\"[^\"]*\"|\([^)]*\)|[0-9][0-9.,]*")


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What stands in the transcripts of a run, compared with what went in."""

    rows_in: int
    rows_out: int
    missing: int  # ids that went in and did not come out
    unexpected: int  # ids that came out and had not gone in
    repeated: int  # rows beyond the first of an id
    errors: Mapping[str, int]  # by kind
    audio_seconds: float
    entities_found: int

    def counts(self) -> dict[str, Any]:
        """Return the part of run.json that reconciles what went in with what came out."""
        counts = dataclasses.asdict(self) | {"reconciled": self.reconciled}
        del counts["audio_seconds"]
        return counts

    @property
    def reconciled(self) -> bool:
        """Whether every row that went in came out, once."""
        return not (self.missing or self.unexpected or self.repeated)


def read_outcome(corpus: Corpus, folder: RunFolder) -> Outcome:
    """Read ids, errors and entity counts of all transcripts; memory: 8 bytes per utterance."""
    ids, errors = [np.zeros(0, np.uint64)], Counter[str]()
    seconds, found = 0.0, 0
    for batch in read_columns(folder.files(), _READ, _READ_ROWS):
        names = batch["utterance_id"].to_pylist()
        ids.append(id_hashes(names))
        kinds = zip(batch["error"].to_pylist(), names, strict=True)
        errors.update(error_kind(error, name) for error, name in kinds if error is not None)
        seconds += sum(filter(None, batch["duration_seconds"].to_pylist()))
        found += len(batch["entities"].flatten())
    out = np.concatenate(ids)
    unique = np.unique(out)
    return Outcome(
        rows_in=corpus.rows,
        rows_out=len(out),
        missing=len(np.setdiff1d(corpus.ids, unique, assume_unique=True)),
        unexpected=len(np.setdiff1d(unique, corpus.ids, assume_unique=True)),
        repeated=len(out) - len(unique),
        errors=dict(errors.most_common(_KINDS)),
        audio_seconds=seconds,
        entities_found=found,
    )


def rows_written(folder: RunFolder) -> int:
    """Return the rows of all transcript files, from their footers."""
    return sum(pq.read_metadata(file.path, filesystem=file.arrow()).num_rows for file in folder.files())


def error_kind(error: str, utterance_id: str) -> str:
    """Return an error message without what differs from row to row: the id, numbers, quoted and bracketed details.

    >>> error_kind("a-1: audio is truncated or corrupt after 3.20 s (9.00 s declared).", "a-1")
    'audio is truncated or corrupt after N s.'
    """
    kind = _DETAIL.sub(lambda match: "N" if match[0][0].isdigit() else "", error.removeprefix(f"{utterance_id}: "))
    return re.sub(r"\s+(?=[ .,;])", "", kind).strip()
