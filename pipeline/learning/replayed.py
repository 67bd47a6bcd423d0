"""A new policy's runs on utterances that people heard whole, made truly: decoded again from the cached first pass.

Estimates say what a policy's shortlists hold; this says what is written. Names of the list that were said and are in
the transcript are found, names that are there and were not said are false; each counts once in an utterance.
"""

import dataclasses
from collections.abc import Mapping
from typing import Protocol

import numpy as np
import pyarrow as pa

from pipeline.learning.estimators import Estimate, groups_of, mean_of

_REPLICATES = 1000


class Transcribes(Protocol):
    """A recogniser with the run's lists."""

    def transcribe(self, emissions: pa.Table) -> pa.Table:
        """Return TRANSCRIPTS rows of EMISSIONS rows, in their order."""
        ...


@dataclasses.dataclass(frozen=True)
class Replayed:
    """Sums over utterances, and the difference of found names per utterance, with its interval over speakers."""

    utterances: int
    said: int
    found_before: int
    found_after: int
    false_before: int
    false_after: int
    difference: Estimate


def replayed(
    emissions: pa.Table, said: Mapping[str, frozenset[str]], before: Transcribes, after: Transcribes
) -> Replayed:
    """Return what two recognisers make of the same first pass.

    said: canonical forms of the names of the list that were said, by utterance; those of every row
    """
    names = emissions["utterance_id"].to_pylist()
    found, false = [], []
    for recogniser in (before, after):
        rows = recogniser.transcribe(emissions).to_pylist()
        written = [frozenset(one["entity"] for one in row["entities"] or ()) for row in rows]
        found.append(np.array([len(one & said[name]) for one, name in zip(written, names, strict=True)]))
        false.append(np.array([len(one - said[name]) for one, name in zip(written, names, strict=True)]))
    speakers = emissions["speaker"].to_pylist() if "speaker" in emissions.column_names else [None] * len(names)
    return Replayed(
        len(names),
        sum(len(said[name]) for name in names),
        int(found[0].sum()),
        int(found[1].sum()),
        int(false[0].sum()),
        int(false[1].sum()),
        mean_of(
            (found[1] - found[0]).astype(np.float64), np.ones(len(names)), groups_of(speakers), replicates=_REPLICATES
        ),
    )
