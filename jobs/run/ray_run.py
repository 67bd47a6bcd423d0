"""The executor that works with Ray: on a cluster, or on a Ray of this machine."""

import dataclasses
import math
import os
import time

import ray
from rich.console import Console

from actors.batch import TooManyErrors
from actors.check import check_models
from actors.lint import lint_sounds
from actors.meter import RayMeter
from jobs.cli.command import FAILED
from jobs.cli.worker_errors import raised_on_worker, without_colours
from jobs.run.dataset_plan import run_plan
from jobs.run.lint import Sounds, begin_lint, lint_facts
from jobs.run.preflight import Transcription
from jobs.run.progress import progress_bars
from jobs.run.session import Wishes, Workers, choose_workers, ray_session
from jobs.run.stall import carry_through
from jobs.run.transcribe_run import Work
from pipeline.errors import RollcallError

_POLL_SECONDS = 5.0


class RunError(RollcallError):
    """Ray or a worker failed in a way that no retry could mend."""

    exit_code = FAILED


@dataclasses.dataclass(frozen=True)
class RayExecutor:
    """Works with Ray.

    patience:       seconds without any progress after which what is left is begun again (jobs.run.stall)
    max_error_rate: as RayMeter's
    """

    wishes: Wishes
    console: Console
    patience: float
    max_error_rate: float | None = None

    def work(self, run: Transcription) -> Work:
        """Do what is left of the run; raises RollcallError."""
        with ray_session():
            resources = ray.cluster_resources()
            blocks = math.ceil(run.corpus.rows / run.block_rows)
            workers = choose_workers(resources, self.wishes, "RAY_ADDRESS" in os.environ, blocks)
            meter = RayMeter(self.max_error_rate)
            sounds = begin_lint(run, _listen)
            model_id, restarts = self._carry_out(run, workers, meter)
            ended = time.time()
            linted = lint_facts(run, sounds)
            stages = meter.read() or {}  # counts are not worth a run that waits for them
        return Work(model_id, stages, workers.by_stage, workers.encoder_gpus > 0, resources, linted, restarts, ended)

    def _carry_out(self, run: Transcription, workers: Workers, meter: RayMeter) -> tuple[str, int]:
        """Check the models, then run the plan; return the model's id, and how often the plan stood still.

        What fails on a worker is raised here as what it was.
        """

        def rows_done() -> int | None:
            counts = meter.read()
            return None if counts is None else sum(count.rows for count in counts.values())

        def plan() -> None:
            run_plan(run, workers, meter)

        try:
            model_id: str | None = ray.get(check_models.remote(run.config, run.encodes))
            with progress_bars(lambda: meter.read(_POLL_SECONDS), run.corpus.rows, self.console, workers.by_stage):
                restarts = carry_through(plan, rows_done, self.patience, self.console.print)
        except ray.exceptions.RayError as error:
            cause = raised_on_worker(error)
            if cause is not None:
                raise cause from error
            reason = meter.verdict()  # Ray keeps only the text of what a worker raised in a batch
            if reason is not None:
                raise TooManyErrors(reason) from error
            raise RunError(f"the run broke: {_last_line(error)} The same command resumes it.") from error
        return model_id or (run.cache.model_id() if run.cache else ""), restarts


def _listen(run: Transcription) -> Sounds:
    task = lint_sounds.remote(run.config, run.folder.lists)
    return lambda seconds: ray.get(task, timeout=seconds)


def _last_line(error: BaseException) -> str:
    return without_colours(str(error)).strip().splitlines()[-1].strip()
