"""One run from checked inputs to run.json."""

import os
import time
from datetime import UTC, datetime
from typing import Any

import ray
from rich.console import Console

from actors.check import check_models
from actors.meter import Meter, TooManyErrors
from jobs.cli.command import FAILED
from jobs.run.dataset_plan import run_plan
from jobs.run.lint import begin_lint, lint_facts
from jobs.run.preflight import Transcription, source_version
from jobs.run.progress import progress_bars
from jobs.run.session import Wishes, Workers, choose_workers, ray_session
from jobs.run.stall import carry_through
from pipeline import config as configuration
from pipeline.entities import snapshot
from pipeline.errors import RollcallError
from pipeline.runs.counts import StageCount
from pipeline.runs.manifest import write_manifest
from pipeline.runs.outcome import Outcome, read_outcome, rows_written
from pipeline.runs.record import cluster_facts, entity_facts, stage_facts, versions

_ANSWER_SECONDS = 30


class RunError(RollcallError):
    """Ray or a worker failed in a way that no retry could mend."""

    exit_code = FAILED


def execute(
    run: Transcription, wishes: Wishes, console: Console, patience: float, max_error_rate: float | None = None
) -> dict[str, Any]:
    """Do what is left of the run, and return its record, which is written to run.json as well.

    patience: seconds without any progress after which what is left is begun again (jobs.run.stall)
    Raises RollcallError for models that do not load and for a run that broke, or failed at large; it can be resumed.
    """
    began = time.time()
    snapshot.save(run.source, run.folder.lists)
    done = rows_written(run.folder)
    with ray_session():
        resources = ray.cluster_resources()
        workers = choose_workers(resources, wishes, on_cluster="RAY_ADDRESS" in os.environ)
        meter = Meter.remote(max_error_rate)
        task = begin_lint(run)
        model_id, restarts = _work(run, workers, meter, console, patience)
        ended = time.time()
        linted = lint_facts(run, task)
        stages = _answer(meter.read) or {}  # counts are not worth a run that waits for them
    run.folder.end_attempt()
    outcome = read_outcome(run.corpus, run.folder)
    record = _record(run, outcome, stages, workers) | {
        "model_id": model_id,
        "lint": linted,
        "resumed_rows": done,
        "restarts": restarts,
        "cluster": cluster_facts(resources),
        **_times(began, ended, stages),
    }
    run.folder.write_record(record)
    if outcome.reconciled:
        write_manifest(run.folder)
    return record


def _work(run: Transcription, workers: Workers, meter: Any, console: Console, patience: float) -> tuple[str, int]:
    """Check the models, then run the plan; return the model's id, and how often the plan stood still.

    What fails on a worker is raised here as what it was.
    """

    def rows_done() -> int | None:
        counts = _answer(meter.read)
        return None if counts is None else sum(count.rows for count in counts.values())

    try:
        encodes = run.cache is None or not run.cache.is_complete
        model_id: str | None = ray.get(check_models.remote(run.config, encodes))
        with progress_bars(meter, run.corpus.rows, console, workers.by_stage):
            restarts = carry_through(lambda: run_plan(run, workers, meter), rows_done, patience, console.print)
    except ray.exceptions.RayError as error:
        cause = _cause(error)
        if isinstance(cause, RollcallError):
            raise cause from error
        reason = _answer(meter.verdict)  # Ray keeps only the text of what a worker raised in a batch
        if reason is not None:
            raise TooManyErrors(reason) from error
        raise RunError(f"the run broke: {_last_line(error)} The same command resumes it.") from error
    return model_id or (run.cache.model_id() if run.cache else ""), restarts


def _answer(method: Any) -> Any:
    """Return what an actor's method returns, or None if it does not answer in time."""
    try:
        return ray.get(method.remote(), timeout=_ANSWER_SECONDS)
    except ray.exceptions.RayError:
        return None


def _cause(error: BaseException | None) -> BaseException | None:
    """Return the RollcallError behind a chain of Ray's own errors, if there is one."""
    while error is not None and not isinstance(error, RollcallError):
        error = getattr(error, "cause", None) or error.__cause__
    return error


def _last_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[-1].strip()


def _record(run: Transcription, outcome: Outcome, stages: dict[str, StageCount], workers: Workers) -> dict[str, Any]:
    return {
        "status": "complete" if outcome.reconciled else "incomplete",
        "fingerprint": run.fingerprint,
        "transcripts": run.folder.transcripts.uri,
        "config": configuration.to_dict(run.config),
        "config_fingerprint": run.config_fingerprint,
        "audio_files": len(run.corpus.files),
        "audio_version": run.corpus.version,
        "model": run.model,
        "emissions": None if run.cache is None else run.cache.facts(),
        "list_version": source_version(run.source),
        "list_column": run.list_column,
        "entities": entity_facts(run.source, run.unmatched),
        "counts": outcome.counts(),
        "audio_hours": outcome.audio_seconds / 3600,
        "stages": stage_facts(stages, workers.by_stage, workers.encoder_gpus > 0),
        "versions": versions(),
    }


def _times(began: float, ended: float, stages: dict[str, StageCount]) -> dict[str, Any]:
    """Return when the run began and what it took: start-up ends with the first batch, work with the last file."""
    first = min((count.first_start for count in stages.values()), default=ended)
    return {
        "started": datetime.fromtimestamp(began, UTC).isoformat(timespec="seconds"),
        "wall_seconds": time.time() - began,
        "startup_seconds": first - began,
        "work_seconds": ended - first,
    }
