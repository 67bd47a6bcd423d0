"""run.json: what a run was, what it did, and whether every row that went in came out."""

import dataclasses
import platform
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from pipeline.entities.lists import EntitySource
from pipeline.runs.corpus import Corpus, id_hashes
from pipeline.runs.counts import StageCount
from pipeline.runs.folder import RunFolder
from pipeline.types.entity import Rejected

PACKAGES = ("ray", "torch", "transformers", "pyarrow", "numpy", "pyctcdecode", "kenlm")
_EXAMPLES = 100  # rejected entries, and kinds of errors, that are written out; all are counted
_READ_ROWS = 65_536
_DETAIL = re.compile(r"'[^']*'|\"[^\"]*\"|\([^)]*\)|[0-9][0-9.,]*")


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that can change a result."""
    return {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}}


def cluster_facts(resources: Mapping[str, float]) -> dict[str, float]:
    """Return cores, GPUs, memory and kinds of GPU of the cluster (ray.cluster_resources()) that a run had."""
    kept = ("CPU", "GPU", "memory", "object_store_memory")
    return {name: amount for name, amount in sorted(resources.items()) if name in kept or name.startswith("accel")}


def entity_facts(source: EntitySource) -> dict[str, Any]:
    """Return the sizes of the lists, and what in them could not be used or was merged."""
    rejected = source.corpus.rejected if source.lists is None else source.lists.rejected
    merged = source.corpus.merged
    return {
        "entities": len(source.corpus),
        "utterance_lists": 0 if source.lists is None else len(source.lists),
        "rejected": _entries(rejected),
        "merged": _entries(merged),
    }


def _entries(entries: tuple[Rejected, ...]) -> dict[str, Any]:
    return {"count": len(entries), "examples": [dataclasses.asdict(entry) for entry in entries[:_EXAMPLES]]}


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
    for batch in _batches(folder):
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
        errors=dict(errors.most_common(_EXAMPLES)),
        audio_seconds=seconds,
        entities_found=found,
    )


def _batches(folder: RunFolder) -> Iterator[Any]:
    for file in folder.files():
        with pq.ParquetFile(file.path, filesystem=file.arrow()) as parquet:
            columns = ["utterance_id", "error", "duration_seconds", "entities"]
            yield from parquet.iter_batches(_READ_ROWS, columns=columns)


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


def stage_facts(
    stages: Mapping[str, StageCount], workers: Mapping[str, int], on_gpus: bool = False
) -> dict[str, dict[str, float | None]]:
    """Return rows, bytes, rates and shares of each stage; ``on_gpus``: whether the encoders have GPUs.

    ``x_real_time`` is audio seconds per wall second of the whole stage from its first batch to its last,
    ``x_real_time_per_worker`` audio seconds per busy second of one worker, ``real_time_factor`` 1 / x_real_time.
    ``busy_share`` is the share of the stage's wall time that a worker spends in batches, ``gpu_busy_share`` that which
    it spends inside the acoustic model on a GPU. ``peak_queue_rows`` is the most rows that waited for the stage.
    """
    facts = {name: _stage(count, workers.get(name, 1)) for name, count in stages.items()}
    for name, count in stages.items():
        on_gpu = on_gpus and count.device_seconds > 0
        capacity = max(count.last_end - count.first_start, 1e-9) * workers.get(name, 1)
        facts[name]["gpu_busy_share"] = round(min(1.0, count.device_seconds / capacity), 4) if on_gpu else None
    return facts


def _stage(count: StageCount, workers: int) -> dict[str, float | None]:
    wall = max(count.last_end - count.first_start, 1e-9)
    audio = max(count.audio_seconds, 1e-9)
    return {
        "workers": workers,
        "rows": count.rows,
        "errors": count.errors,
        "audio_seconds": round(count.audio_seconds, 3),
        "bytes_in": count.bytes_in,
        "bytes_out": count.bytes_out,
        "wall_seconds": round(wall, 3),
        "busy_seconds": round(count.busy_seconds, 3),
        "cpu_seconds": round(count.cpu_seconds, 3),
        "rows_per_second": round(count.rows / wall, 3),
        "audio_hours_per_second": round(audio / 3600 / wall, 6),
        "busy_share": round(min(1.0, count.busy_seconds / (wall * workers)), 4),
        "peak_queue_rows": count.peak_queue,
        "x_real_time": round(audio / wall, 2),
        "x_real_time_per_worker": round(audio / max(count.busy_seconds, 1e-9), 2),
        "real_time_factor": round(wall / audio, 6),
    }
