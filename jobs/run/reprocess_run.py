"""From a finished run and new lists to complete new versions."""

import dataclasses
import io
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from actors.reprocessor import Reprocessor, ReprocessorSettings, Target, cached_files
from jobs.cli.policy import with_policy
from jobs.run.catalogs import catalogued
from jobs.run.preflight import calibration_facts, source_version
from jobs.run.recordings import note_here
from pipeline import config as configuration
from pipeline import storage
from pipeline.acoustic.calibration_files import recalibrated
from pipeline.config import RunConfig
from pipeline.config.fingerprint import config_fingerprint, model_fingerprint, run_fingerprint
from pipeline.entities import snapshot
from pipeline.entities.lists import EntitySource
from pipeline.entities.unmatched import ALL_MATCHED, Unmatched
from pipeline.errors import InputError
from pipeline.reprocess.changes import CHANGES, Change, Totals, changes_of
from pipeline.reprocess.page import build_page
from pipeline.reprocess.part import NewVersion, Part, read_changes
from pipeline.reprocess.plan import plan_parts
from pipeline.runs.cache import Cache, folder_of_cache, open_cache
from pipeline.runs.corpus import Corpus, scan_emissions
from pipeline.runs.emission_cache import CacheIdentity, acoustic_identity
from pipeline.runs.folder import RunFolder
from pipeline.runs.letters import KEY, alphabet_of_record
from pipeline.runs.manifest import is_complete, write_manifest
from pipeline.runs.outcome import read_outcome
from pipeline.runs.pointer import Pointer
from pipeline.runs.record import entity_facts, versions
from pipeline.schemas import TRANSCRIPTS_FORMAT
from pipeline.storage import Location
from pipeline.storage.s3_options import Options

LOCAL_ROWS = 20_000
"""Utterances up to which one process is done before Ray has started workers and loaded their models."""
NONE = "none"
"""Stands for rows without a memory, a policy or a calibration, where a file is named."""
Spread = Callable[[ReprocessorSettings, Sequence[Part]], Iterator[dict[str, Any]]]
"""Does parts on many workers, and yields the totals of every part and target, in any order."""


@dataclasses.dataclass(frozen=True)
class Learnt:
    """What the rows to come are to know: files, NONE for nothing; where it is None, it stays what the run had."""

    memory: str | None = None
    policy: str | None = None
    explore: float | None = None
    calibration: str | None = None

    @property
    def changes(self) -> bool:
        return self != AS_BEFORE

    def over(self, config: RunConfig) -> RunConfig:
        """Return ``config`` with it; what else it says of memory and policy stays. Raises RollcallError."""
        if self.calibration is not None:
            config = recalibrated(config, None if self.calibration == NONE else Path(self.calibration))
        if self.policy == NONE:
            config = dataclasses.replace(config, policy=None)
        if self.policy is not None or self.explore is not None:
            config = with_policy(config, None if self.policy == NONE else self.policy, self.explore)
        if self.memory is None:
            return config
        if self.memory == NONE:
            return dataclasses.replace(config, memory=None)
        if config.memory is None:
            return configuration.with_memory(config, self.memory)
        return dataclasses.replace(config, memory=dataclasses.replace(config.memory, path=self.memory))


AS_BEFORE = Learnt()


@dataclasses.dataclass(frozen=True)
class OldRun:
    """A finished run, with what it takes to transcribe some of it again.

    before: the configuration that it was made with
    config: the one of the rows to come: the same, unless another memory or policy was asked for
    config_fingerprint: of rows to come as this version writes them
    """

    folder: RunFolder
    record: dict[str, Any]
    before: RunConfig
    config: RunConfig
    config_fingerprint: str
    cache: Cache
    corpus: Corpus


@dataclasses.dataclass(frozen=True)
class NewRun:
    """A new version of it; ``name`` is the tenant's, or None; ``unmatched``: lists of no utterance."""

    folder: RunFolder
    output: Location
    name: str | None
    source: EntitySource
    unmatched: Unmatched = ALL_MATCHED

    @property
    def version(self) -> NewVersion:
        return NewVersion(self.folder)


def open_run(
    location: Location, emissions: str | None, model: str | None, options: Options, learnt: Learnt = AS_BEFORE
) -> OldRun:
    """Return a run that can be reprocessed; a folder of runs stands for the one that is published.

    Raises InputError if it is not complete, or anything it needs is gone.
    """
    published = Pointer(location).run
    location = location.join(published) if published else location
    folder = RunFolder(location)
    record = folder.read_record()
    if record is None or not is_complete(folder):
        raise InputError(
            f"{location.uri}: is no complete run; finish it with the jobs.transcribe command it began with."
        )
    cached = emissions or folder_of_cache(record)
    if cached is None:
        raise InputError(
            f"{location.uri}: its first pass was not cached; run jobs.transcribe on its audio with --cache-emissions."
        )
    config = configuration.override(RunConfig(), record["config"])
    if model:
        config = configuration.override(config, {"acoustic": {"model": model}})
    _check_models(location, record, config)
    cache = open_cache(storage.open_filesystem(cached, options))
    acoustic = acoustic_identity(config.acoustic, config.adapter)
    identity = CacheIdentity(record["audio_version"], record["model"], acoustic, record["list_column"])
    cache.identity.check(identity, cache.folder.root.uri)
    after = learnt.over(config)
    settled, corpus = config_fingerprint(after), scan_emissions(cache.folder.files(), record["audio_version"])
    return OldRun(folder, record, config, after, settled, cache, corpus)


def _check_models(location: Location, record: dict[str, Any], config: RunConfig) -> None:
    """Raise InputError if a model or its data changed since: rows transcribed now would not fit to the others."""
    formats = range(1, TRANSCRIPTS_FORMAT + 1)
    now = {
        "config_fingerprint": [config_fingerprint(config, number) for number in formats],
        "model": [model_fingerprint(config.acoustic.model)],
    }
    differing = [name for name, values in now.items() if record[name] not in values]
    if differing:
        raise InputError(
            f"{location.uri}: {' and '.join(differing)} differ from the run's: a model, language model or "
            "pronunciation file has changed since. Transcribe anew with jobs.transcribe, or restore it "
            "(--model says where it is)."
        )


def plan_new(old: OldRun, output: Location, name: str | None, source: EntitySource) -> NewRun:
    """Return the new version, named as a full run would be; raises InputError for lists that cannot be combined."""
    if old.record["list_column"] is not None and source.lists is not None:
        raise InputError(
            f"{old.folder.root.uri}: its utterances carry their own lists; --entities must be one list beside them."
        )
    parts = (old.record["audio_version"], old.record["model"], source_version(source), old.config_fingerprint)
    return NewRun(RunFolder(output.join(run_fingerprint(*parts))), output, name, source)


def is_done(new: NewRun) -> bool:
    """Whether the new version is there, complete and whole."""
    return is_complete(new.folder)


def reprocess(old: OldRun, news: list[NewRun], spread: Spread | None = None) -> None:
    """Make new versions of one run, whatever part of them is there already; in this process without ``spread``."""
    began = time.time()
    parts = plan_parts(old.folder.files(), old.cache.folder.files())
    if old.record["list_column"] is None:
        news = [dataclasses.replace(new, source=catalogued(new.source, new.output, old.config)) for new in news]
    for new in news:
        _check_alone(new, parts)
        snapshot.save(new.source, new.folder.lists)
    settings = ReprocessorSettings(
        old.before,
        old.config,
        old.config_fingerprint,
        tuple(Target(new.version, new.folder.lists) for new in news),
        old.folder,
        old.record["list_column"] is not None,
        old.folder.root,
        old.cache.folder.root,
    )
    totals = [Totals() for _ in news]
    loaded = time.time()
    for row in (spread or _work_here)(settings, parts):
        totals[row.pop("target")].add(Totals(**row))
    seconds = {"planning_seconds": loaded - began, "work_seconds": time.time() - loaded}
    for new, one in zip(news, totals, strict=True):
        _finish(old, new, one, began, seconds)


def _check_alone(new: NewRun, parts: list[Part]) -> None:
    """Raise InputError if an unfinished full run has written rows there: the two would write some rows twice."""
    ours = {part.written.name for part in parts}
    foreign = [file for file in new.folder.files() if file.name not in ours]
    if foreign:
        raise InputError(
            f"{new.folder.root.uri}: holds {len(foreign)} file(s) of an unfinished full run; finish that with "
            "jobs.transcribe, or remove the folder."
        )


def _work_here(settings: ReprocessorSettings, parts: Sequence[Part]) -> Iterator[dict[str, Any]]:
    """Yield the totals of every part and target."""
    for clear in settings.clear():
        note_here(clear, cached_files(parts))
    worker = Reprocessor(settings)
    for part in parts:
        yield from worker.work(part)


def spread_on_ray(workers: int | None) -> Spread:
    """Return what does parts with Ray, on so many workers or one a core."""

    def spread(settings: ReprocessorSettings, parts: Sequence[Part]) -> Iterator[dict[str, Any]]:
        from jobs.run.reprocess_plan import run_parts  # Ray takes seconds to import

        return run_parts(settings, parts, workers)

    return spread


def _finish(old: OldRun, new: NewRun, totals: Totals, began: float, seconds: dict[str, float]) -> None:
    """Write what changed, run.json and the manifest, in this order; then drop what only an unfinished version needs."""
    files = _change_files(new)
    _write_changes(new, files)
    title = f"What the new list changed{f' for {new.name}' if new.name else ''}"
    facts = {
        "New version": new.folder.root.name,
        "Old version": old.folder.root.name,
        "List version": source_version(new.source),
        "Old list version": old.record["list_version"],
    }
    page = build_page(title, facts, totals, _changes(files))
    storage.write_atomic(new.folder.changes_page, page.encode())
    record = _record(old, new, totals, began, seconds)
    new.folder.write_record(record)
    if record["status"] == "complete":
        write_manifest(new.folder)
        storage.remove(new.folder.unfinished_changes)


def _change_files(new: NewRun) -> list[Location]:
    found = [path for _, files in storage.walk_files(new.folder.unfinished_changes) for path, _ in files]
    return [Location(new.folder.root.filesystem, path) for path in found]


def _changes(files: list[Location]) -> Iterator[Change]:
    for file in files:
        yield from changes_of(read_changes(file))


def _write_changes(new: NewRun, files: list[Location]) -> None:
    """Join the parts' changes; their number is a share of the utterances, which fits into memory compressed."""
    buffer = io.BytesIO()
    with pq.ParquetWriter(buffer, CHANGES, compression="zstd") as writer:
        for file in files:
            table = read_changes(file)
            if table.num_rows:
                writer.write_table(table)
    storage.write_atomic(new.folder.changes, buffer.getvalue())


def _record(old: OldRun, new: NewRun, totals: Totals, began: float, seconds: dict[str, float]) -> dict[str, Any]:
    """As of a full run; ``reprocess`` says where it came from."""
    outcome = read_outcome(old.corpus, new.folder)
    kept = (
        "audio_files",
        "audio_version",
        "model",
        "emissions",
        "list_column",
        "model_id",
    )
    return {
        "status": "complete" if outcome.reconciled else "incomplete",
        "fingerprint": new.folder.root.name,
        "transcripts": new.folder.transcripts.uri,
        "config_fingerprint": old.config_fingerprint,
        "config": old.record["config"] if old.config == old.before else configuration.to_dict(old.config),
        **{name: old.record[name] for name in kept},
        "audio": old.record.get("audio"),  # runs of earlier versions do not say
        "phones": old.record.get("phones"),
        "calibration": calibration_facts(old.config) if old.config != old.before else old.record.get("calibration"),
        KEY: alphabet_of_record(old.record).letters,
        "list_version": source_version(new.source),
        "entities": entity_facts(new.source, new.unmatched),
        "counts": outcome.counts(),
        "audio_hours": outcome.audio_seconds / 3600,
        "stages": {},
        "versions": versions(),
        "resumed_rows": 0,
        "started": datetime.fromtimestamp(began, UTC).isoformat(timespec="seconds"),
        "wall_seconds": time.time() - began,
        "reprocess": {"from": old.folder.root.name, "totals": dataclasses.asdict(totals), **seconds},
    }
