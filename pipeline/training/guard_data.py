"""Judged proposals of a labelled set, in memory and on disk, so that a calibration goes on where it was broken off."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.errors import InputError
from pipeline.rescoring.evidence import FEATURES, Vector
from pipeline.rescoring.trees import Trees
from pipeline.training.guard_fit import Judged, odds_by, of_features

_PLACE = ("utterance", "first", "last", "gained", "wrong")
_KIND = "half"


@dataclasses.dataclass(frozen=True)
class Half:
    """The proposals of one half of the speakers of one set, or of all where they are only learned from.

    said: entities in the references; known, wrong: what the unbiased search writes of these, and of others
    errors: of what the unbiased search writes, among ``words`` of the references
    """

    proposals: list[Judged]
    said: int
    known: int
    hours: float
    wrong: int = 0
    errors: int = 0
    words: int = 0

    def f1(self, gained: int = 0, wrong: int = 0) -> float:
        """F1 in percent after so many more right and wrong entities."""
        right = self.known + gained
        return 100 * 2 * right / max(1, right + self.wrong + wrong + self.said)

    def odds(self, trees: Trees, features: Sequence[str] = FEATURES) -> Vector:
        """Return the log odds of each proposal by trees over ``features``."""
        return odds_by(trees, self.proposals, features)


def write(path: Path, halves: Sequence[Half]) -> None:
    """Write the halves of a set as one parquet file, which appears whole."""
    pairs = [(side, one) for side, half in enumerate(halves) for one in half.proposals]
    columns = {_KIND: pa.array([side for side, _ in pairs], pa.int8())}
    columns |= {name: pa.array([getattr(one, name) for _, one in pairs], pa.int32()) for name in _PLACE}
    values = of_features([one.features for _, one in pairs], FEATURES)
    columns |= {name: pa.array(values[:, at], pa.float64()) for at, name in enumerate(FEATURES)}
    counts = [{name: getattr(half, name) for name in _counted()} for half in halves]
    table = pa.table(columns).replace_schema_metadata({"halves": json.dumps(counts)})
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(path.name + ".new")
    pq.write_table(table, new, compression="zstd")
    new.replace(path)


def read(path: Path) -> tuple[Half, ...]:
    """Return the halves of a set; raises InputError for a file with other evidence than FEATURES."""
    table = pq.read_table(path)
    if missing := sorted({_KIND, *_PLACE, *FEATURES} - set(table.column_names)):
        raise InputError(f"{path}: is without {missing}, as it is older than these; delete it, and collect it again.")
    values = np.stack([table[name].to_numpy() for name in FEATURES], axis=1)
    sides, places = table[_KIND].to_pylist(), [table[name].to_pylist() for name in _PLACE]
    proposals = [
        Judged(first, last, utterance, features, gained, wrong)
        for features, utterance, first, last, gained, wrong in zip(values, *places, strict=True)
    ]
    counts = json.loads((table.schema.metadata or {})[b"halves"])
    return tuple(
        Half([one for one, of in zip(proposals, sides, strict=True) if of == side], **count)
        for side, count in enumerate(counts)
    )


def _counted() -> list[str]:
    return [field.name for field in dataclasses.fields(Half) if field.name != "proposals"]
