"""What ``--audio`` of jobs.transcribe means: AUDIO parquet, or anything that jobs.ingest reads, ingested first.

What is ingested lies below the run's output in ``audio/<hash of its content>``, as jobs.ingest would have written it.
The same content, wherever it lies, is found there again.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from jobs.cli.ingest_remarks import remarks
from jobs.run.executor import Size, choose
from jobs.run.ingest_run import Ingest, Wanted, finished_ingest, planned, refuse_inside
from pipeline import storage
from pipeline.errors import InputError, StorageError
from pipeline.ingest.audio_parquet import COLUMNS
from pipeline.ingest.content import content_hash
from pipeline.ingest.recordings import AUDIO_SUFFIXES, resolve
from pipeline.schemas import is_text
from pipeline.storage import Location
from pipeline.storage.s3_options import Options

INGESTED = "audio"
"""Folder below the output where ingested audio lies."""
_LOCAL_UNITS = 4
"""Shards up to which one process is done before Ray would have started."""


@dataclasses.dataclass(frozen=True)
class Audio:
    """The audio of a run.

    path:     of its parquet, as other commands take it
    given:    as the user named it
    files:    of the parquet
    ingest:   summary of the ingest that made it, None where it was parquet
    left_out: sound files beside the parquet, which nobody reads
    """

    path: str
    given: str
    files: list[Location]
    ingest: Mapping[str, Any] | None = None
    left_out: int = 0

    def facts(self) -> dict[str, Any]:
        """For run.json."""
        ingest = None if self.ingest is None else dict(self.ingest)
        return {"path": self.path, "given": self.given, "left_out": self.left_out, "ingest": ingest}


def needs_ingest(place: Location, wanted: Wanted) -> bool:
    """Whether the audio is no AUDIO parquet that can be read as it is, or is to be read in another way.

    Raises StorageError if it is not there.
    """
    if storage.is_pattern(place):
        return False
    storage.check_readable(place)
    if place.filesystem.isfile(place.path):
        named_so = storage.is_parquet(place.name)
        first = place if named_so or storage.read_head(place, 4) == b"PAR1" else None
    else:
        first = next(storage.walk_parquet(place), None)
    if first is None or wanted.id_column is not None or wanted.channels != "mix":
        return True
    return _is_for_ingest(first)


def _is_for_ingest(file: Location) -> bool:
    """Whether parquet has its audio or its ids in one of the other ways of Hugging Face that only ingest reads."""
    try:
        with pq.ParquetFile(file.path, filesystem=file.arrow()) as parquet:
            return _has_other_ids(parquet.schema_arrow) or _names_or_spells_audio(parquet, file)
    except (pa.ArrowInvalid, OSError):
        return False  # scan_corpus says what is wrong with it


def _has_other_ids(schema: pa.Schema) -> bool:
    others = COLUMNS["utterance_id"][1:]
    return "audio" in schema.names and "utterance_id" not in schema.names and bool(set(others) & set(schema.names))


def _names_or_spells_audio(parquet: pq.ParquetFile, file: Location) -> bool:
    schema = parquet.schema_arrow
    if schema.names.count("audio") != 1:
        return False
    kind = schema.field("audio").type
    if pa.types.is_struct(kind):
        held = {field.name for field in kind}
        return not _has_bytes(parquet) if "bytes" in held else bool(held & {"array", "path"})
    if is_text(kind):
        return _is_there(file.parent, next(iter(parquet.iter_batches(1, columns=["audio"])), None))
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def _has_bytes(parquet: pq.ParquetFile) -> bool:
    """False if the footer tells that no row has any."""
    counted = nulls = 0
    for index in range(parquet.num_row_groups):
        group = parquet.metadata.row_group(index)
        columns = [group.column(position) for position in range(group.num_columns)]
        for column in columns:
            if column.path_in_schema == "audio.bytes":
                statistics = column.statistics
                if statistics is None or not statistics.has_null_count:
                    return True
                counted, nulls = counted + group.num_rows, nulls + statistics.null_count
    return not counted or nulls < counted


def _is_there(folder: Location, batch: pa.RecordBatch | None) -> bool:
    """Whether the first path of a column of paths leads somewhere; else the column means something else."""
    if batch is None or not batch.num_rows or batch["audio"][0].as_py() is None:
        return False
    try:
        return storage.exists(resolve(folder, batch["audio"][0].as_py()))
    except StorageError:
        return False


def open_audio(given: str, options: Options | None) -> Audio:
    """Return AUDIO parquet as it is; raises StorageError if there is none."""
    place = storage.open_filesystem(given, options)
    files = storage.list_parquet(given, options)
    if storage.is_pattern(place):
        _refuse_other_files(given, files)
        return Audio(given, given, files)
    return Audio(place.uri, given, files, left_out=_sound_files(place))


def _refuse_other_files(given: str, files: list[Location]) -> None:
    sound = [file for file in files if file.name.lower().endswith(AUDIO_SUFFIXES)]
    if sound:
        raise InputError(
            f"--audio {given}: a pattern stands for parquet files, and {len(sound)} of those that it matches are sound "
            f"files, such as {sound[0].name}; give the folder {sound[0].parent.uri} or a manifest."
        )


def _sound_files(place: Location) -> int:
    if place.filesystem.isfile(place.path):
        return 0
    paths = (path for _, files in storage.walk_files(place) for path, _ in files)
    return sum(path.lower().endswith(AUDIO_SUFFIXES) for path in paths)


def ingest_beside(given: str, wanted: Wanted, output: Location, executor: str, say: Callable[[str], None]) -> Audio:
    """Ingest audio below the run's ``output``, or find it there from before; ``say`` gets a line about each step.

    Raises InputError if it cannot be ingested, StorageError if the storage fails.
    """
    refuse_inside(output, wanted.place, "--output")
    with planned(wanted) as ingest:
        say(str(ingest))
        for line in ingest.draft.listing.lines():
            say(f"note: {line}")
        folder = output.join(INGESTED, content_hash(ingest.draft, wanted.place, wanted.root))
        summary = finished_ingest(folder)
        if summary is not None:
            say(f"ingested before, nothing to ingest: {folder.uri}")
        else:
            summary = _ingest(ingest, folder, executor)
            say(f"ingested into {folder.uri}, which --audio and --reference of other commands take")
    if summary["errors"]:
        say(f"note: {summary['errors']} of {summary['rows']} rows could not be read; their transcripts say why")
    for line in remarks(summary):
        say(line)
    return Audio(folder.uri, given, list(storage.walk_parquet(folder)), summary)


def _ingest(ingest: Ingest, folder: Location, executor: str) -> dict[str, Any]:
    if not ingest.draft.is_at(folder):
        storage.remove(folder)  # begun when the source lay elsewhere
    units = ingest.draft.plan.units
    choice = choose(executor, lambda: Size(f"{units} shards", units <= _LOCAL_UNITS))
    return ingest.run(folder, in_process=choice.is_local)
