"""Independent units of work on Ray: each is done once, somewhere, and gives counts."""

import functools
import json
from collections.abc import Callable, Iterator, Sequence
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


def _work_off(batch: pa.Table, work: Callable[[int], Counts]) -> pa.Table:
    """Work off the units of a batch [N]; what fails comes back as text, for the driver to stop cleanly."""
    rows: list[dict[str, str | None]] = []
    for unit in batch["unit"].to_pylist():
        try:
            rows.append({"counts": json.dumps(work(unit)), "failure": None})
        except RollcallError as error:
            rows.append({"counts": None, "failure": str(error)})
    return pa.Table.from_pylist(rows, schema=_DONE)
