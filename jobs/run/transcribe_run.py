"""One run from checked inputs to run.json, whichever executor does the work."""

import dataclasses
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from jobs.run.catalogs import catalogued
from jobs.run.preflight import Transcription, calibration_facts, source_version
from pipeline import config as configuration
from pipeline.config.fingerprint import model_fingerprint
from pipeline.entities import snapshot
from pipeline.runs.counts import StageCount
from pipeline.runs.letters import KEY
from pipeline.runs.manifest import write_manifest
from pipeline.runs.outcome import Outcome, read_outcome, rows_written
from pipeline.runs.record import candidate_facts, cluster_facts, entity_facts, stage_facts, versions


@dataclasses.dataclass(frozen=True)
class Work:
    """What an executor says of its work on a run.

    workers:   of each stage
    on_gpus:   whether the encoders have GPUs
    resources: what it had, under Ray's names (ray.cluster_resources())
    restarts:  how often it stood still and was begun again
    ended:     time.time() when the last row was written
    """

    model_id: str
    stages: Mapping[str, StageCount]
    workers: Mapping[str, int]
    on_gpus: bool
    resources: Mapping[str, float]
    lint: Mapping[str, Any]
    restarts: int
    ended: float


def execute(run: Transcription, work: Callable[[Transcription], Work]) -> dict[str, Any]:
    """Do what is left of the run, and return its record, which is written to run.json as well.

    Raises RollcallError for models that do not load and for a run that broke, or failed at large; it can be resumed.
    """
    began = time.time()
    if run.list_column is None:  # otherwise each row's list is joined with that of the corpus
        run = dataclasses.replace(run, source=catalogued(run.source, run.folder.root.parent, run.config))
    snapshot.save(run.source, run.folder.lists)
    done = rows_written(run.folder)
    result = work(run)
    run.folder.end_attempt()
    outcome = read_outcome(run.corpus, run.folder)
    record = _record(run, outcome, result) | {
        "model_id": result.model_id,
        "lint": result.lint,
        "resumed_rows": done,
        "restarts": result.restarts,
        "cluster": cluster_facts(result.resources),
        **_times(began, result.ended, result.stages),
    }
    run.folder.write_record(record)
    if outcome.reconciled:
        write_manifest(run.folder)
    return record


def _record(run: Transcription, outcome: Outcome, work: Work) -> dict[str, Any]:
    return {
        "status": "complete" if outcome.reconciled else "incomplete",
        "fingerprint": run.fingerprint,
        "transcripts": run.folder.transcripts.uri,
        "config": configuration.to_dict(run.config),
        "config_fingerprint": run.config_fingerprint,
        "audio": None if run.audio is None else run.audio.facts(),
        "audio_files": len(run.corpus.files),
        "audio_version": run.corpus.version,
        "model": run.model,
        KEY: run.alphabet.letters,
        "phones": _phones(run),
        "calibration": calibration_facts(run.config),
        "emissions": None if run.cache is None else run.cache.facts(),
        "list_version": source_version(run.source),
        "list_column": run.list_column,
        "entities": entity_facts(run.source, run.unmatched),
        "counts": outcome.counts(),
        "audio_hours": outcome.audio_seconds / 3600,
        "stages": stage_facts(work.stages, work.workers, work.on_gpus),
        "candidates": candidate_facts(work.stages),
        "versions": versions(),
    }


def _phones(run: Transcription) -> dict[str, str] | None:
    """Return which model beside the run's heard the phones; None where they are its own, or there are none."""
    beside = run.config.acoustic.phones
    if beside == configuration.LETTERS:
        return {"of": "the model's own letters"}
    return None if beside is None else {"of": beside, "model": model_fingerprint(beside)}


def _times(began: float, ended: float, stages: Mapping[str, StageCount]) -> dict[str, Any]:
    """Return when the run began and what it took: start-up ends with the first batch, work with the last file."""
    first = min((count.first_start for count in stages.values()), default=ended)
    return {
        "started": datetime.fromtimestamp(began, UTC).isoformat(timespec="seconds"),
        "wall_seconds": time.time() - began,
        "startup_seconds": first - began,
        "work_seconds": ended - first,
    }
