"""Files of a finished run to the same files under new lists."""

import dataclasses
from typing import Any

import pyarrow as pa

from pipeline.config import RunConfig
from pipeline.reprocess.part import NewVersion, Part
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
    old_lists: the lists of the old version (a snapshot)
    own_lists: whether the utterances' own lists apply too
    written, cached: any location on the filesystems of the old version and of its cached first pass
    """

    before: RunConfig
    config: RunConfig
    config_fingerprint: str
    targets: tuple[Target, ...]
    old_lists: Location
    own_lists: bool
    written: Location
    cached: Location


class Reprocessor:
    """Holds one decoder with its language model, and the lists."""

    def __init__(self, settings: ReprocessorSettings) -> None:
        # Here, as the driver, which only names this class, needs no models in its memory.
        from pipeline.entities import snapshot
        from pipeline.recognition.recogniser import Recogniser
        from pipeline.reprocess.redo import Redo
        from pipeline.reprocess.touched import touching_of

        fingerprint = settings.config_fingerprint
        recogniser = Recogniser.load(settings.config, config_fingerprint=fingerprint, encodes=False)
        self._settings = settings
        alphabet = recogniser.parts.tokens.alphabet
        parts = recogniser.parts
        touching = touching_of(settings.before, settings.config, parts.pronouncer, parts.tokens)
        old = snapshot.load(settings.old_lists, alphabet)
        self._targets: list[tuple[NewVersion, Redo]] = []
        for target in settings.targets:
            lists = snapshot.load(target.lists, alphabet)
            redo = Redo(recogniser.with_lists(lists), old, lists, settings.own_lists, touching, fingerprint)
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
