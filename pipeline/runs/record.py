"""What run.json says of a run's surroundings, its lists and its stages; of its rows, see pipeline.runs.outcome."""

import dataclasses
import platform
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from pipeline.census import Census
from pipeline.entities.lists import EntitySource
from pipeline.entities.unmatched import ALL_MATCHED, Unmatched
from pipeline.runs.counts import StageCount
from pipeline.types.entity import Rejected

PACKAGES = ("ray", "torch", "transformers", "pyarrow", "numpy", "pyctcdecode", "kenlm")
_EXAMPLES = 100  # rejected entries that are written out; all are counted


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that can change a result."""
    return {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}}


def cluster_facts(resources: Mapping[str, float]) -> dict[str, float]:
    """Return cores, GPUs, memory and kinds of GPU of the cluster (ray.cluster_resources()) that a run had."""
    kept = ("CPU", "GPU", "memory", "object_store_memory")
    return {name: amount for name, amount in sorted(resources.items()) if name in kept or name.startswith("accel")}


def entity_facts(source: EntitySource, unmatched: Unmatched = ALL_MATCHED) -> dict[str, Any]:
    """Return the sizes of the lists, and what in them could not be used, was merged or reaches no utterance."""
    rejected = source.corpus.rejected if source.lists is None else source.lists.rejected
    merged = source.corpus.merged
    return {
        "entities": len(source.corpus),
        "utterance_lists": 0 if source.lists is None else len(source.lists),
        "rejected": _entries(rejected),
        "merged": _entries(merged),
        "unmatched_lists": unmatched.facts(),
    }


def _entries(entries: tuple[Rejected, ...]) -> dict[str, Any]:
    return {"count": len(entries), "examples": [dataclasses.asdict(entry) for entry in entries[:_EXAMPLES]]}


def stage_facts(
    stages: Mapping[str, StageCount], workers: Mapping[str, int], on_gpus: bool = False
) -> dict[str, dict[str, float | None]]:
    """Return rows, bytes, rates and shares of each stage; ``on_gpus``: whether the encoders have GPUs.

    ``x_real_time`` is audio seconds per wall second of the whole stage from its first batch to its last,
    ``x_real_time_per_worker`` audio seconds per busy second of one worker, ``real_time_factor`` 1 / x_real_time.
    ``busy_share`` is the share of the stage's wall time that a worker spends in batches, ``gpu_busy_share`` that which
    it spends inside the acoustic model on a GPU. ``batch_seconds`` is the audio of an average batch of that model with
    its padding, ``batch_padding`` the share that is padding. ``peak_queue_rows`` is the most rows that waited for the
    stage. ``shortlist_cores`` are the cores that shortlists took for each second in which the GPU computed, where they
    were made beside one.
    """
    facts = {name: _stage(count, workers.get(name, 1)) for name, count in stages.items()}
    for name, count in stages.items():
        on_gpu = on_gpus and count.device_seconds > 0
        capacity = max(count.last_end - count.first_start, 1e-9) * workers.get(name, 1)
        facts[name] |= _batches(count)
        listed = count.census.steps.get("shortlist")
        cores = listed.seconds / count.device_seconds if on_gpu and listed is not None else None
        facts[name]["shortlist_cores"] = None if cores is None else round(cores, 3)
        facts[name]["gpu_busy_share"] = round(min(1.0, count.device_seconds / capacity), 4) if on_gpu else None
    return facts


def candidate_facts(stages: Mapping[str, StageCount]) -> dict[str, dict[str, float]]:
    """Return what each step of an utterance kept (mean, p95, most) and its processor time, wherever it ran."""
    whole = Census()
    for count in stages.values():
        whole.join(count.census)
    return whole.facts()


def _batches(count: StageCount) -> dict[str, float | None]:
    if not count.device_batches:
        return {"batch_seconds": None, "batch_padding": None}
    padding = max(0.0, 1 - count.audio_seconds / max(count.padded_seconds, 1e-9))
    return {
        "batch_seconds": round(count.padded_seconds / count.device_batches, 2),
        "batch_padding": round(padding, 4),
    }


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
