"""A private export: charge the ledger, then one file of the run after the other, here or on Ray.

    files of the run -> PRIVATE rows -> files of the release

Every file is a unit of its own, and what it becomes depends on nothing but its rows, the configuration and the key. So
a release has the same bytes on any number of workers and after any kill: a file that is there is done.
"""

import dataclasses
import functools
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from jobs.run.units import each_on_ray
from pipeline import storage
from pipeline.errors import StorageError
from pipeline.export import private
from pipeline.export.tables import card
from pipeline.privacy import ledger
from pipeline.privacy.check import RECORD
from pipeline.privacy.config import PrivacyConfig, fingerprint
from pipeline.privacy.promise import document, promise
from pipeline.privacy.release import Releaser, tags_of
from pipeline.runs.folder import RunFolder
from pipeline.runs.manifest import is_intact, write_manifest
from pipeline.runs.reader import Run
from pipeline.schemas import PRIVATE, TRANSCRIPTS, conform
from pipeline.storage import Location

_ROWS = 8192
"""Rows that are drawn together: mechanisms over all words compute a row of distances for each distinct word of them."""
_NEEDED = ("utterance_id", "text")


@dataclasses.dataclass(frozen=True)
class Release:
    """What a private export is. It travels to workers, the key with it, and is never written.

    root:   the folder of the ledger; the release lies below it
    folder: of the release
    """

    files: tuple[Location, ...]
    format: str
    config: PrivacyConfig
    tags: tuple[tuple[str, str], ...]
    root: Location
    folder: Location
    key: bytes = dataclasses.field(repr=False)

    def releaser(self) -> Releaser:
        """What makes rows private; one for each process."""
        return _releaser(self.config, self.key, self.tags)

    def part(self, unit: int) -> Location:
        """The file that a unit becomes."""
        return self.folder.join(private.file_name(self.format, unit))


@functools.lru_cache(maxsize=1)
def _releaser(config: PrivacyConfig, key: bytes, tags: tuple[tuple[str, str], ...]) -> Releaser:
    return Releaser(config, key, dict(tags))


def prepare(run: Run, config: PrivacyConfig, form: str, root: Location, key: bytes) -> Release:
    """Return the release of a run; its folder is named by all that decides its bytes. Raises ConfigError."""
    private.check_format(form)
    lists = None if run.folder is None else run.folder.lists
    tags = {} if lists is None else tags_of(lists, config)
    release = Release(tuple(run.files), form, config, tuple(sorted(tags.items())), root, root, key)
    identity = (run.uri, str(run.record.get("fingerprint")), form, release.releaser().noise_id)
    return dataclasses.replace(release, folder=root.join(fingerprint(config, *identity)))


def export_private(release: Release, on_ray: bool, workers: int | None = None) -> dict[str, Any]:
    """Charge, write what is left, and return the record, which is written to privacy.json as well.

    Raises ConfigError where the budget does not allow it; nothing is written then.
    """
    run_folder = RunFolder(release.folder)
    if storage.exists(release.folder.join(RECORD)) and is_intact(run_folder):
        return read_record(release.folder)
    releaser = release.releaser()
    audit = releaser.mechanism.audit()
    storage.check_writable(release.root)
    charges = (charge for rows in _all_rows(release.files) for charge in releaser.charges(rows))
    charged = ledger.charge(release.root, charges, audit.charge, release.config.budget)
    _sweep(release.folder)
    counts = {"rows": 0, "words": 0, "replaced": 0}
    for part in _work(release, on_ray, workers):
        counts = {name: counts[name] + part[name] for name in counts}
    facts = {
        "schema": private.NAME,
        "schema_version": private.VERSION,
        "format": release.format,
        "noise": releaser.noise_id,
        **counts,
        **promise(release.config, releaser.embeddings, audit),
    }
    text = document(release.config, releaser.embeddings, audit, counts)
    storage.write_atomic(release.folder.join("PRIVACY.md"), text.encode())
    if release.format == "hf":
        storage.write_atomic(release.folder.join("README.md"), card({"rows": counts["rows"]}).encode())
    storage.write_atomic(release.folder.join(RECORD), f"{json.dumps(facts, indent=2)}\n".encode())
    write_manifest(run_folder)
    return facts | {"charged_now": charged}


def read_record(folder: Location) -> dict[str, Any]:
    """Return privacy.json of a release; raises StorageError if it is broken."""
    try:
        record: dict[str, Any] = json.loads(storage.read_bytes(folder.join(RECORD)))
    except ValueError as error:
        raise StorageError(f"{folder.join(RECORD).uri}: is not JSON ({error}); export again.") from error
    return record


def _all_rows(files: Iterable[Location]) -> Iterator[pa.Table]:
    return (rows for file in files for rows in _rows(file))


def _rows(file: Location) -> Iterator[pa.Table]:
    opened = storage.attempt(lambda: pq.ParquetFile(file.path, filesystem=file.arrow()), file, "read")
    with opened as parquet:
        for batch in parquet.iter_batches(_ROWS):
            yield conform(pa.Table.from_batches([batch]), TRANSCRIPTS, _NEEDED, file.uri)


def release_unit(release: Release, unit: int) -> dict[str, int]:
    """Write the file of a unit, unless it is there, and return its rows, words and replaced words."""
    part = release.part(unit)
    if storage.exists(part):
        return private.counted(private.read(part))
    releaser = release.releaser()
    found = [releaser.private(rows) for rows in _rows(release.files[unit])]
    rows = pa.concat_tables([PRIVATE.empty_table(), *found]).sort_by("utterance_id")
    private.write(rows, release.format, part)
    return private.counted(rows.to_pylist())


def _sweep(folder: Location) -> None:
    """Remove files that a killed export left half written; nobody reads them, and no row should lie there twice."""
    if folder.is_local:
        for path in Path(folder.path).rglob(".part-*"):
            path.unlink(missing_ok=True)


def _work(release: Release, on_ray: bool, workers: int | None) -> Iterator[dict[str, int]]:
    units = range(len(release.files))
    if not on_ray:
        yield from (release_unit(release, unit) for unit in units)
        return
    yield from each_on_ray(functools.partial(release_unit, release), units, workers)
