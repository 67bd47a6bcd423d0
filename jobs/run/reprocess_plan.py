"""Reprocessing as a Ray Data plan: the parts of a run over a pool of workers."""

from collections.abc import Iterator, Sequence
from typing import Any

import ray

from actors.reprocessor import Reprocessor, ReprocessorSettings, cached_files
from jobs.run.recordings import note_on_ray
from jobs.run.session import Wishes, choose_workers, ray_session
from jobs.run.units import rows_on_ray
from pipeline.reprocess.part import Part


def run_parts(settings: ReprocessorSettings, parts: Sequence[Part], workers: int | None) -> Iterator[dict[str, Any]]:
    """Yield the totals of every part and target, in any order.

    A part commits itself, so that a worker that dies, or an attempt that is cut off, costs the parts it was at.
    """
    rows = [{"written": part.written.path, "emissions": [file.path for file in part.emissions]} for part in parts]
    with ray_session():
        size, cpus = choose_workers(ray.cluster_resources(), Wishes(decoders=workers)).alone
        for clear in settings.clear():
            note_on_ray(clear, cached_files(parts), size, cpus)
        yield from rows_on_ray(Reprocessor, settings, rows, size, cpus)
