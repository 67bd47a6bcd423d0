"""The folder of one cached first pass, and what fills it."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from pipeline.errors import StorageError
from pipeline.runs.corpus import Corpus, id_hashes
from pipeline.runs.emission_cache import READABLE, CacheIdentity, read_identity
from pipeline.runs.folder import RunFolder
from pipeline.storage import Location, exists, list_parquet, open_filesystem
from pipeline.storage.s3_options import Options

_READ_ROWS = 65_536
_COLUMNS = ["utterance_id", "error", "duration_seconds", "model_id"]


class CacheFolder(RunFolder):
    """What lies where below ``CACHE/<fingerprint>``: rows and their bookkeeping as in a run's folder."""

    @property
    def data(self) -> Location:
        return self.root.join("emissions")

    @property
    def record(self) -> Location:
        return self.root.join("cache.json")


@dataclasses.dataclass(frozen=True)
class Cache:
    """The cached first pass of a run; to be filled from the audio unless it is complete."""

    folder: CacheFolder
    identity: CacheIdentity
    is_complete: bool

    def write_record(self, corpus: Corpus) -> None:
        """Say that the cache is complete; raises StorageError if it lacks rows of ``corpus`` or has others."""
        facts = _facts(corpus, self.folder)
        self.folder.write_record({"identity": dataclasses.asdict(self.identity), **facts})

    def model_id(self) -> str:
        """Return the id of the model whose rows these are."""
        return str((self.folder.read_record() or {}).get("model_id"))

    def facts(self) -> dict[str, Any]:
        """Return what run.json says of the cache."""
        record = self.folder.read_record() or {}
        names = ("rows", "errors", "audio_hours", "bytes", "mb_per_audio_hour")
        return {"folder": self.folder.root.uri, **{name: record.get(name) for name in names}}


def find_cache(folder: Location, wanted: CacheIdentity) -> Cache:
    """Return the cache of ``wanted`` below ``folder``: complete, be it of an earlier format, or to be filled."""
    for number in READABLE:
        identity = dataclasses.replace(wanted, format=number)
        there = CacheFolder(folder.join(identity.fingerprint))
        if there.read_record() is not None:
            return Cache(there, identity, is_complete=True)
    return Cache(CacheFolder(folder.join(wanted.fingerprint)), wanted, is_complete=False)


def open_cache(location: Location) -> Cache:
    """Return the complete cache at ``location``; raises InputError if there is none."""
    folder = CacheFolder(location)
    identity, _ = read_identity(folder.record)
    return Cache(folder, identity, is_complete=True)


def folder_of_cache(record: Mapping[str, Any]) -> str | None:
    """Return where a run, by its run.json, has cached its first pass; None if it has not."""
    cache = record.get("emissions")
    folder = cache.get("folder") if isinstance(cache, Mapping) else None
    return str(folder) if folder else None


def cached_files(record: Mapping[str, Any], options: Options | None) -> list[Location]:
    """Return the parquet files of the first pass that a run, by its run.json, has cached; none if they are gone."""
    folder = folder_of_cache(record)
    if not folder or not exists(open_filesystem(folder, options)):
        return []
    return list_parquet(folder, options)


def _facts(corpus: Corpus, folder: CacheFolder) -> dict[str, Any]:
    """Count the rows and bytes of the cache; raises StorageError unless its ids are those of ``corpus``, each once."""
    ids, errors, seconds, size = [np.zeros(0, np.uint64)], 0, 0.0, 0
    model_ids: set[str] = set()
    for file in folder.files():
        size += int(file.filesystem.size(file.path))
        with pq.ParquetFile(file.path, filesystem=file.arrow()) as parquet:
            for batch in parquet.iter_batches(_READ_ROWS, columns=_COLUMNS):
                ids.append(id_hashes(batch["utterance_id"].to_pylist()))
                errors += len(batch) - batch["error"].null_count
                seconds += sum(filter(None, batch["duration_seconds"].to_pylist()))
                model_ids.update(batch["model_id"].to_pylist())
    if len(model_ids) != 1 or not np.array_equal(np.sort(np.concatenate(ids)), corpus.ids):
        raise StorageError(
            f"{folder.root.uri}: the cached rows are not those of the audio, each once and of one model; "
            "remove the folder and run again."
        )
    hours = seconds / 3600
    facts = {"rows": corpus.rows, "errors": errors, "audio_hours": hours, "bytes": size, "model_id": model_ids.pop()}
    return facts | {"mb_per_audio_hour": size / 1e6 / hours if hours else None}
