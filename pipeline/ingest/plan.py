"""The plan of an ingest: units of recordings, listed to disk before work starts, each of which becomes one shard."""

import contextlib
import dataclasses
import hashlib
import json
import os
import re
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, takewhile
from typing import Any

from pipeline.errors import InputError
from pipeline.ingest.audio_parquet import read_ids
from pipeline.ingest.layouts import FORMATS, Source, is_list, note_unnamed
from pipeline.ingest.listing import Listing
from pipeline.ingest.recordings import Recording, from_json, to_json
from pipeline.storage import Location, exists, read_bytes, walk_files, write_atomic
from pipeline.storage.disk_table import DuplicateIds, UniqueIds, temporary_database

UNIT_ROWS = 256
"""Utterances per shard, unless recordings are cut into more: about an hour of short ones."""
UNIT_BYTES = 256 << 20
"""Encoded bytes per shard, where the listing tells sizes."""
_UNITS_PER_FILE = 64  # a worker reads the whole file to find its line
_FOLDER = "_ingest"


@dataclasses.dataclass(frozen=True)
class Plan:
    """What is to be done; ``sha256`` is over every recording and the options, and tells a resume from a mistake."""

    units: int
    recordings: int
    utterances: int
    sha256: str


@dataclasses.dataclass(frozen=True)
class Draft:
    """A plan that is listed and not yet anywhere to stay; ``folder`` (local, temporary) holds its units."""

    plan: Plan
    listing: Listing
    folder: str
    options: dict[str, Any]

    def store(self, output: Location) -> None:
        """Write the plan below ``output``; an equal one there is resumed. Raises InputError for anything else there."""
        if _is_resumed(self.plan, output):
            return
        for number in range(-(-self.plan.units // _UNITS_PER_FILE)):
            with open(f"{self.folder}/{number:06d}.jsonl", "rb") as file:
                write_atomic(_plan_file(output, number), file.read())
        write_atomic(output.join(_FOLDER, "plan.json"), json.dumps(dataclasses.asdict(self.plan)).encode())

    def is_at(self, output: Location) -> bool:
        """Whether this very plan is what ``output`` was begun with."""
        return _sha256_at(output) == self.plan.sha256

    def recordings(self) -> Iterator[Recording]:
        """Yield every recording of the plan, in order."""
        for number in range(-(-self.plan.units // _UNITS_PER_FILE)):
            with open(f"{self.folder}/{number:06d}.jsonl", "rb") as lines:
                for line in lines:
                    yield from (from_json(values) for values in json.loads(line))


@contextlib.contextmanager
def draft_plan(
    sources: Sequence[Source], place: Location, root: Location | None, options: dict[str, Any]
) -> Iterator[Draft]:
    """List the sources and refuse duplicate ids.

    Audio paths start at ``root``, or at each source's own folder. Where ids of several sources are the same, all of
    them, and the names of their recordings, begin with the source's split. ``place`` is what the user named. Raises
    InputError for duplicates and for a source without audio.
    """
    with tempfile.TemporaryDirectory(prefix="rollcall-plan-") as scratch:
        try:
            plan, listing = _list_units(sources, place, root, f"{scratch}/plain", options)
            folder = f"{scratch}/plain"
        except DuplicateIds:
            if len(sources) == 1:
                raise
            folder, options = f"{scratch}/split", options | {"splits": True}
            splits = ", ".join(source.split for source in sources)
            plan, listing = _list_units(sources, place, root, folder, options)
            listing.said.append(f"ids of different manifests are the same, so they begin with the split: {splits}")
        if plan.utterances == 0:
            raise InputError(f"{place.uri}: no audio was found for the format '{sources[0].format}'.")
        yield Draft(plan, listing, folder, options)


def _list_units(
    sources: Sequence[Source], place: Location, root: Location | None, folder: str, options: dict[str, Any]
) -> tuple[Plan, Listing]:
    """Write the units of all sources to ``folder``; raises DuplicateIds."""
    os.makedirs(folder)
    listing, named = Listing(options.get("id_column")), set[int]()
    with temporary_database(folder) as database:
        ids = UniqueIds(database)
        recordings = chain.from_iterable(_listed(one, root, ids, listing, "splits" in options) for one in sources)
        plan = _write_units(_noted(recordings, named), folder, options)
        ids.check(place.uri)
    if is_list(sources[0]) and place.filesystem.isdir(place.path):
        note_unnamed(place, named, listing)
    return plan, listing


def _noted(recordings: Iterator[Recording], named: set[int]) -> Iterator[Recording]:
    """Pass recordings on, noting which files they are."""
    for recording in recordings:
        named.add(hash(recording.path))
        yield recording


def read_unit(output: Location, unit: int) -> list[Recording]:
    """Return the recordings of one unit."""
    lines = read_bytes(_plan_file(output, unit // _UNITS_PER_FILE)).split(b"\n")
    return [from_json(values) for values in json.loads(lines[unit % _UNITS_PER_FILE])]


def shard(output: Location, unit: int) -> Location:
    """Where the rows of a unit go."""
    return output.join(f"part-{unit:06d}.parquet")


def finished_units(output: Location) -> set[int]:
    """The units whose shards are there."""
    pages = takewhile(lambda page: page[0] == output.path, walk_files(output))  # the folder's own files come first
    found = (re.fullmatch(r".*/part-(\d+)\.parquet", path) for _, files in pages for path, _ in files)
    return {int(match[1]) for match in found if match}


def scratch_folder(output: Location) -> Location:
    """Where local shards are written before they are moved into place."""
    return output.join(_FOLDER, "tmp")


def pack(recordings: Iterable[Recording]) -> Iterator[list[Recording]]:
    """Group recordings into units of about 256 utterances or 256 MiB, in order; a large one stands alone."""
    unit: list[Recording] = []
    rows = size = 0
    for recording in recordings:
        full = rows + recording.rows > UNIT_ROWS or size + (recording.size or 0) > UNIT_BYTES
        if unit and full:
            yield unit
            unit, rows, size = [], 0, 0
        unit.append(recording)
        rows, size = rows + recording.rows, size + (recording.size or 0)
    if unit:
        yield unit


def _listed(
    source: Source, root: Location | None, ids: UniqueIds, listing: Listing, by_split: bool
) -> Iterator[Recording]:
    """Yield the recordings while noting every utterance id that will come of them."""
    previous = None
    for found in FORMATS[source.format](source.location, root or source.folder, listing):
        recording = _in_split(found, source.split) if by_split else found
        for utterance in recording.utterances:
            ids.add(utterance.utterance_id, recording.label)
        if recording.row_group is not None and recording.path != previous:
            previous = recording.path
            for name in read_ids(Location(source.location.filesystem, recording.path), found.label, listing.id_column):
                ids.add(name, recording.label)
        yield recording


def _in_split(recording: Recording, split: str) -> Recording:
    utterances = (dataclasses.replace(one, utterance_id=f"{split}/{one.utterance_id}") for one in recording.utterances)
    label = f"{split}/{recording.label}"
    return dataclasses.replace(recording, utterances=tuple(utterances), label=label, file=recording.recording_path)


def _write_units(recordings: Iterator[Recording], scratch: str, options: dict[str, Any]) -> Plan:
    digest = hashlib.sha256(json.dumps(options, sort_keys=True).encode())
    units = count = utterances = 0
    for unit in pack(recordings):
        line = json.dumps([to_json(recording) for recording in unit]).encode() + b"\n"
        digest.update(line)
        with open(f"{scratch}/{units // _UNITS_PER_FILE:06d}.jsonl", "ab") as file:
            file.write(line)
        units, count = units + 1, count + len(unit)
        utterances += sum(recording.rows for recording in unit)
    return Plan(units, count, utterances, digest.hexdigest())


def _is_resumed(plan: Plan, output: Location) -> bool:
    """Whether the same plan is there already; raises InputError if another one, or foreign shards, are."""
    there = _sha256_at(output)
    if there is not None:
        if there == plan.sha256:
            return True
        raise InputError(
            f"{output.uri} holds an ingest of another source or with other options; choose another --output. "
            "Files that changed in the source count as another source."
        )
    if exists(shard(output, 0)):
        raise InputError(f"{output.uri} holds shards that no plan belongs to; choose an empty --output.")
    return False


def _sha256_at(output: Location) -> str | None:
    """Return the hash of the plan that ``output`` was begun with, None if there is none."""
    marker = output.join(_FOLDER, "plan.json")
    return str(json.loads(read_bytes(marker)).get("sha256")) if exists(marker) else None


def _plan_file(output: Location, number: int) -> Location:
    return output.join(_FOLDER, "plan", f"{number:06d}.jsonl")
