"""Files of a finished run to the same files under new lists."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from actors.recordings import ClearSettings
from pipeline.config import RunConfig
from pipeline.reprocess.part import NewVersion, Part
from pipeline.runs.folder import RunFolder
from pipeline.storage import Location


@dataclasses.dataclass(frozen=True)
class Target:
    """One new version: where it goes, and its lists (a snapshot)."""

    version: NewVersion
    lists: Location


@dataclasses.dataclass(frozen=True)
class ReprocessorSettings:
    """What a worker needs to load its models and lists; small, so that it can be sent to every worker.

    before:    the configuration of the old version; ``config`` is that of the rows to come
    old:       the old version
    own_lists: whether the utterances' own lists apply too
    written, cached: any location on the filesystems of the old version and of its cached first pass
    """

    before: RunConfig
    config: RunConfig
    config_fingerprint: str
    targets: tuple[Target, ...]
    old: RunFolder
    own_lists: bool
    written: Location
    cached: Location

    def clear(self) -> list[ClearSettings]:
        """Return what the first stage needs for the old version and every new one; nothing without a session."""
        if self.config.session is None:
            return []
        versions = [(self.before, self.old, self.old.lists)]
        versions += [(self.config, target.version.folder, target.lists) for target in self.targets]
        return [
            ClearSettings(config, lists, self.own_lists, self.cached, folder.recordings)
            for config, folder, lists in versions
        ]


class Reprocessor:
    """Holds one decoder with its language model, and the lists."""

    def __init__(self, settings: ReprocessorSettings) -> None:
        # Here, as the driver, which only names this class, needs no models in its memory.
        from pipeline.entities import snapshot
        from pipeline.recognition.recogniser import Recogniser
        from pipeline.recognition.recordings import read_recordings
        from pipeline.reprocess.redo import Redo
        from pipeline.reprocess.touched import touching_of

        fingerprint = settings.config_fingerprint
        recogniser = Recogniser.load(settings.config, config_fingerprint=fingerprint, encodes=False)
        self._settings = settings
        alphabet = recogniser.parts.tokens.alphabet
        parts = recogniser.parts
        touching = touching_of(settings.before, settings.config, parts.pronouncer, parts.tokens)
        old = snapshot.load(settings.old.lists, alphabet)
        session = settings.config.session is not None
        before = read_recordings(settings.old.recordings) if session else None
        self._targets: list[tuple[NewVersion, Redo]] = []
        for target in settings.targets:
            lists = snapshot.load(target.lists, alphabet)
            after = read_recordings(target.version.folder.recordings) if session else None
            recordings = None if before is None or after is None else (before, after)
            redo = Redo(recogniser.with_lists(lists), old, lists, settings.own_lists, touching, fingerprint, recordings)
            self._targets.append((target.version, redo))

    def __call__(self, parts: pa.Table) -> pa.Table:
        """Reprocess parts; the columns ``written`` (a path) and ``emissions`` (paths) in, totals by target out."""
        rows: list[dict[str, Any]] = []
        for row in parts.to_pylist():
            cached = tuple(Location(self._settings.cached.filesystem, path) for path in row["emissions"])
            rows += self.work(Part(Location(self._settings.written.filesystem, row["written"]), cached))
        return pa.Table.from_pylist(rows)

    def work(self, part: Part) -> list[dict[str, Any]]:
        """Reprocess one part and return the totals of each target."""
        from pipeline.reprocess.part import redo_part

        totals = redo_part(part, self._targets)
        return [{"target": index, **dataclasses.asdict(one)} for index, one in enumerate(totals)]


def cached_files(parts: Sequence[Part]) -> list[Location]:
    """Return the files of the cached first pass that parts are of, each once."""
    files = {file.path: file for part in parts for file in part.emissions}
    return [files[path] for path in sorted(files)]
