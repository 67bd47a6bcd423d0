"""Files of a cached first pass to what was clear in their utterances, for runs with a session."""

import dataclasses

import pyarrow as pa

from pipeline.config import RunConfig
from pipeline.entities import snapshot
from pipeline.runs.emission_cache import without_lists
from pipeline.storage import Location, exists, parquet_bytes, read_table, write_atomic


@dataclasses.dataclass(frozen=True)
class ClearSettings:
    """What a worker needs; small, so that it can be sent to every worker.

    lists:     of the run (a snapshot)
    own_lists: whether the utterances' own lists apply too
    cached:    any location on the filesystem of the cached first pass
    target:    folder that gets a file of CLEAR rows per file of it
    """

    config: RunConfig
    lists: Location
    own_lists: bool
    cached: Location
    target: Location

    def file_of(self, cached: Location) -> Location:
        return self.target.join(cached.name)

    def left(self, files: list[Location]) -> list[str]:
        """Return the paths of the cached files that are not noted yet."""
        return [file.path for file in files if not exists(self.file_of(file))]


class ClearNotes:
    """Holds the retrieval and the lists; a file that is there is whole, and is never written again."""

    def __init__(self, settings: ClearSettings) -> None:
        # Here, as the driver, which only names this class, needs no models in its memory.
        from pipeline.recognition.recogniser import Recogniser

        recogniser = Recogniser.load(settings.config, encodes=False, adapts=False)
        lists = snapshot.load(settings.lists, recogniser.parts.tokens.alphabet)
        self._recogniser, self._settings = recogniser.with_lists(lists), settings

    def __call__(self, files: pa.Table) -> pa.Table:
        """Note what is clear in the files of the column ``path``."""
        for path in files["path"].to_pylist():
            self.work(path)
        return files

    def work(self, path: str) -> None:
        """Note what is clear in one cached file; raises StorageError."""
        file = Location(self._settings.cached.filesystem, path)
        emissions = read_table(file)
        clear = self._recogniser.clear(emissions if self._settings.own_lists else without_lists(emissions))
        write_atomic(self._settings.file_of(file), parquet_bytes(clear))
