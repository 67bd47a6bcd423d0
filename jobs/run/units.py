"""Independent units of work on Ray: each is done once, somewhere, and gives counts or rows."""

import functools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from pipeline.errors import RollcallError, StorageError

Counts = dict[str, Any]
"""What a unit gives; it must fit into JSON."""
_TASKS = 10_000  # Ray Data tasks at most; more units than that share tasks
_DONE = pa.schema([("counts", pa.string()), ("failure", pa.string())])


def each_on_ray(work: Callable[[int], Counts], units: Sequence[int], workers: int | None) -> Iterator[Counts]:
    """Yield the counts of each unit as it is done, on at most ``workers`` tasks at a time; raises StorageError."""
    import ray.data

    from jobs.run.session import ray_session

    with ray_session():
        items = [{"unit": unit} for unit in units]
        done = ray.data.from_items(items, override_num_blocks=min(len(units), _TASKS)).map_batches(
            functools.partial(_work_off, work=work),
            batch_size=1,
            batch_format="pyarrow",
            compute=ray.data.TaskPoolStrategy(size=workers),
        )
        for row in done.iter_rows():
            if row["failure"] is not None:
                raise StorageError(str(row["failure"]))
            yield json.loads(row["counts"])


def rows_on_ray(
    worker: Callable[..., Any], settings: object, rows: Sequence[Mapping[str, Any]], workers: int, cpus: float
) -> Iterator[dict[str, Any]]:
    """Yield the rows that ``worker(settings)``, a class, gives for ``rows`` one at a time, in any order.

    On the Ray that is running, at most so many workers that take so many CPUs each. A row commits itself, so a worker
    that dies costs the row it was at.
    """
    import ray.data
    from ray.data import ActorPoolStrategy, DataContext

    DataContext.get_current().checkpoint_config = None  # of an earlier plan in this process
    items = ray.data.from_items([dict(row) for row in rows], override_num_blocks=max(1, min(len(rows), 16 * workers)))
    done = items.map_batches(
        worker,
        fn_constructor_args=(settings,),
        compute=ActorPoolStrategy(size=min(workers, len(rows)), max_tasks_in_flight_per_actor=2),
        num_cpus=cpus,
        batch_size=1,
        batch_format="pyarrow",
    )
    yield from done.iter_rows()


def _work_off(batch: pa.Table, work: Callable[[int], Counts]) -> pa.Table:
    """Work off the units of a batch [N]; what fails comes back as text, for the driver to stop cleanly."""
    rows: list[dict[str, str | None]] = []
    for unit in batch["unit"].to_pylist():
        try:
            rows.append({"counts": json.dumps(work(unit)), "failure": None})
        except RollcallError as error:
            rows.append({"counts": None, "failure": str(error)})
    return pa.Table.from_pylist(rows, schema=_DONE)
