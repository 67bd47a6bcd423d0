"""From an ingest plan to its shards: those that are missing, on Ray Data, with a progress bar."""

import dataclasses
import functools
import json
from collections.abc import Iterator

import pyarrow as pa
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from pipeline.errors import RollcallError, StorageError
from pipeline.ingest.plan import Plan, finished_units, scratch_folder, shard
from pipeline.ingest.shards import Counts, IngestJob, ingest_unit, read_counts
from pipeline.storage import remove

_EXAMPLES = 10  # errors that the summary quotes; all of them are in the rows
_TASKS = 10_000  # Ray Data tasks at most; more units than that share tasks


def run_ingest(job: IngestJob, plan: Plan, workers: int | None) -> Counts:
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
        for counts in _results(job, missing, workers):
            total.add(counts, _EXAMPLES)
            progress.update(task, advance=1, description=f"shards, {total.audio_seconds / 3600:.2f} h")
    remove(scratch_folder(job.output))
    return total


def _results(job: IngestJob, units: list[int], workers: int | None) -> Iterator[Counts]:
    """Yield the counts of each unit as it is done; one unit alone is done here, sooner than Ray would start."""
    if len(units) <= 1:
        yield from (ingest_unit(job, unit) for unit in units)
        return
    import ray.data

    from jobs.run.session import ray_session

    with ray_session():
        items = [{"unit": unit} for unit in units]
        done = ray.data.from_items(items, override_num_blocks=min(len(units), _TASKS)).map_batches(
            functools.partial(ingest_batch, job=job),
            batch_size=1,
            batch_format="pyarrow",
            compute=ray.data.TaskPoolStrategy(size=workers),
        )
        for row in done.iter_rows():
            if row["failure"] is not None:
                raise StorageError(str(row["failure"]))
            yield Counts(**json.loads(row["counts"]))


def ingest_batch(batch: pa.Table, job: IngestJob) -> pa.Table:
    """Work off the units of a batch [N]; a storage failure comes back as text, for the driver to stop cleanly."""
    rows = []
    for unit in batch["unit"].to_pylist():
        try:
            counts = ingest_unit(job, unit)
            rows.append({"counts": json.dumps(dataclasses.asdict(counts)), "failure": None})
        except RollcallError as error:
            rows.append({"counts": None, "failure": str(error)})
    return pa.Table.from_pylist(rows, schema=pa.schema([("counts", pa.string()), ("failure", pa.string())]))
