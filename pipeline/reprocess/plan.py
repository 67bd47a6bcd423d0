"""Which files of the cached first pass belong to which file of a run."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from pipeline.errors import InputError
from pipeline.reprocess.part import Part
from pipeline.runs.corpus import id_hashes
from pipeline.storage import Location, attempt

_READERS = 8  # files that are read at once: enough to hide an object store's latency


def plan_parts(written: Sequence[Location], cached: Sequence[Location]) -> list[Part]:
    """Return a part for every file of ``written``; reads only the ids. Memory: 12 bytes per utterance.

    Raises InputError if rows of the run have no first pass in ``cached``.
    """
    with ThreadPoolExecutor(_READERS) as readers:
        there = list(readers.map(_ids, cached))
        hashes = np.concatenate([np.zeros(0, np.uint64), *there])
        owners = np.repeat(np.arange(len(there), dtype=np.int32), [len(ids) for ids in there])
        order = np.argsort(hashes, kind="stable")
        hashes, owners = hashes[order], owners[order]
        rows = zip(written, readers.map(_ids, written), strict=True)
        return [_part(file, ids, cached, hashes, owners) for file, ids in rows]


def _part(
    file: Location,
    ids: npt.NDArray[np.uint64],
    cached: Sequence[Location],
    hashes: npt.NDArray[np.uint64],
    owners: npt.NDArray[np.int32],
) -> Part:
    places = np.searchsorted(hashes, ids)
    found = places < len(hashes)
    found[found] = hashes[places[found]] == ids[found]
    if not found.all():
        raise InputError(f"{file.uri}: {int((~found).sum())} of its utterances are not in the cached first pass.")
    return Part(file, tuple(cached[owner] for owner in np.unique(owners[places])))


def _ids(file: Location) -> npt.NDArray[np.uint64]:
    def read() -> list[str]:
        table = pq.read_table(file.path, filesystem=file.arrow(), partitioning=None, columns=["utterance_id"])
        names: list[str] = table[0].to_pylist()
        return names

    return id_hashes(attempt(read, file, "read"))
