"""From a source to shards: what is to be ingested and how, and those shards that are missing, with a progress bar."""

import contextlib
import dataclasses
import functools
import json
import time
from collections.abc import Iterator
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from jobs.run.units import each_on_ray
from pipeline.errors import InputError
from pipeline.ingest.layouts import Source, detect
from pipeline.ingest.listing import Listing
from pipeline.ingest.plan import Draft, Plan, draft_plan, finished_units, scratch_folder, shard
from pipeline.ingest.shards import Counts, IngestJob, ingest_unit, read_counts
from pipeline.storage import Location, exists, read_bytes, remove, write_atomic

MAX_SECONDS = 28.0
"""The default model takes 30 s; the rest is room for its own padding."""
_WITH_COLUMNS = ("parquet", "nemo", "common-voice")
_EXAMPLES = 10  # errors that the summary quotes; all of them are in the rows


@dataclasses.dataclass(frozen=True)
class Wanted:
    """What is to be ingested, and how; the fields are the options of jobs.ingest.

    root: where audio paths start and may not leave, by default the folder of what names them
    """

    place: Location
    format: str | None = None
    max_seconds: float = MAX_SECONDS
    channels: str = "mix"
    id_column: str | None = None
    root: Location | None = None


@dataclasses.dataclass(frozen=True)
class Ingest:
    """An ingest that was planned: its sources, the draft of its plan, and when it was begun (time.monotonic())."""

    wanted: Wanted
    sources: list[Source]
    draft: Draft
    began: float

    def __str__(self) -> str:
        names = ", ".join(source.location.uri for source in self.sources)
        plan = self.draft.plan
        return f"{names}: {self.sources[0].format}, {plan.utterances} utterances in {plan.recordings} recordings"

    def run(self, output: Location, workers: int | None = None, in_process: bool = False) -> dict[str, Any]:
        """Write what is missing of the shards, then the summary, which is returned; ``in_process``: without Ray.

        Raises InputError if ``output`` holds something else, StorageError if the storage fails.
        """
        self.draft.store(output)
        wanted = self.wanted
        job = IngestJob(wanted.place, output, wanted.max_seconds, wanted.id_column, wanted.root, wanted.channels)
        counts = _run(job, self.draft.plan, workers, in_process)
        summary = self._summary(output, counts) | {"wall_seconds": time.monotonic() - self.began}
        write_atomic(_success(output), json.dumps(summary, indent=1).encode())
        return summary

    def _summary(self, output: Location, counts: Counts) -> dict[str, Any]:
        plan, listing = self.draft.plan, self.draft.listing
        return {
            "source": ", ".join(source.location.uri for source in self.sources),
            "format": self.sources[0].format,
            "output": output.uri,
            "shards": plan.units,
            "recordings": plan.recordings,
            "utterances_in": plan.utterances,
            "rows": counts.rows,
            "errors": counts.errors,
            "error_examples": counts.examples,
            "cut_rows": counts.pieces,
            "texts_left_out": counts.texts_left_out,
            "quiet_mixes": counts.quiet_mixes,
            "not_audio": listing.not_audio.count,
            "audio_without_manifest": listing.unnamed.count,
            "notes": listing.lines(),
            "audio_hours": counts.audio_seconds / 3600,
        }


@contextlib.contextmanager
def planned(wanted: Wanted) -> Iterator[Ingest]:
    """List what is wanted; raises RollcallError if it cannot be ingested so."""
    began, said = time.monotonic(), Listing()
    sources = detect(wanted.place, wanted.format, said)
    settings: dict[str, Any] = {"format": sources[0].format, "max_seconds": wanted.max_seconds}
    if wanted.channels != "mix":
        settings["channels"] = wanted.channels
    if wanted.id_column is not None:
        _check_id_column(sources[0].format)
        settings["id_column"] = wanted.id_column
    with draft_plan(sources, wanted.place, wanted.root, settings) as draft:
        draft.listing.said = [*said.said, *draft.listing.said]
        yield Ingest(wanted, sources, draft, began)


def refuse_inside(output: Location, place: Location, option: str) -> None:
    """Raise InputError if ``output`` lies in what is to be ingested, as the next listing would find it there."""
    if f"{output.path}/".startswith(f"{place.path}/") and output.is_local == place.is_local:
        raise InputError(f"{option} {output.uri} lies in the source {place.uri}; choose a folder outside it.")


def finished_ingest(output: Location) -> dict[str, Any] | None:
    """Return the summary of an ingest that is complete, with all of its shards; else None."""
    if not exists(_success(output)):
        return None
    summary: dict[str, Any] = json.loads(read_bytes(_success(output)))
    return summary if len(finished_units(output)) == summary["shards"] else None


def _success(output: Location) -> Location:
    return output.join("_SUCCESS")


def _check_id_column(layout: str) -> None:
    if layout not in _WITH_COLUMNS:
        raise InputError(
            f"--id-column is for {', '.join(_WITH_COLUMNS)}; the source is '{layout}', which has no columns."
        )


def _run(job: IngestJob, plan: Plan, workers: int | None, in_process: bool) -> Counts:
    """Work off the units whose shards are missing, with a progress bar, and count all of them; raises StorageError."""
    remove(scratch_folder(job.output))  # left by a run that was killed
    total, finished = Counts(), finished_units(job.output)
    for unit in sorted(finished):
        total.add(read_counts(shard(job.output, unit)), _EXAMPLES)
    missing = [unit for unit in range(plan.units) if unit not in finished]
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    console = Console(stderr=True)
    with Progress(*columns, TimeRemainingColumn(), console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task("shards", total=plan.units, completed=plan.units - len(missing))
        for counts in _results(job, missing, workers, in_process):
            total.add(counts, _EXAMPLES)
            progress.update(task, advance=1, description=f"shards, {total.audio_seconds / 3600:.2f} h")
    remove(scratch_folder(job.output))
    return total


def _results(job: IngestJob, units: list[int], workers: int | None, in_process: bool) -> Iterator[Counts]:
    """Yield the counts of each unit as it is done; one unit alone is done here, sooner than Ray would start."""
    if in_process or len(units) <= 1:
        yield from (ingest_unit(job, unit) for unit in units)
        return
    for counts in each_on_ray(functools.partial(_counted, job), units, workers):
        yield Counts(**counts)


def _counted(job: IngestJob, unit: int) -> dict[str, Any]:
    return dataclasses.asdict(ingest_unit(job, unit))
