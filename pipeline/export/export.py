"""From a run to files of a format: every row goes out or is set aside with the reason, and the counts must agree.

Rows are read batch by batch and never held together; formats with times sort utterances into recordings on disk.
"""

import dataclasses
import hashlib
import json
import tempfile
from collections.abc import Callable, Iterator
from sqlite3 import Connection
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipeline import storage
from pipeline.errors import ConfigError, StorageError
from pipeline.export import tables
from pipeline.export.files import Names, ParquetPart, Parts, TextPart, Writing, partition_folder, split
from pipeline.export.formats import FORMATS
from pipeline.export.schema import VERSIONS, stamped
from pipeline.export.speech import Recording, Spool, Track, pack, recordings, unpack, utterances
from pipeline.review.folder import read_reviews
from pipeline.review.overlay import Overlay, changed_lines
from pipeline.runs.letters import alphabet_of_record
from pipeline.runs.reader import Batch, Context, Run
from pipeline.storage import Location
from pipeline.storage.disk_table import temporary_database
from pipeline.storage.s3_options import Options

PARTITIONS = {
    "tenant": ("by_tenant", "tenant"),
    "session": ("by_session", "session"),
    "speaker": ("by_speaker", "speaker"),
    "date": ("date", "date"),
}
"""What ``--partition-by`` takes: the key in the folders' names and the column that it is. No key is the name of a
column in the files, as readers would find it twice."""
ROWS_PER_FILE = 100_000
"""Some 250 hours of utterances of 9 s; 200 MB of parquet with n-best lists."""
RECORD, ASIDE, REVIEWED = "_export.json", "_errors.jsonl", "_reviewed.jsonl"
PER = ("recording", "utterance")
"""What ``--per`` takes."""
_FLAT_FOLDER = 10_000  # files that one folder may hold; more are spread by the hash of their names
_SPREAD = 2_500_000  # files up to which 256 folders are enough


@dataclasses.dataclass(frozen=True)
class Settings:
    """What an export is, apart from its rows.

    audio:        AUDIO parquet that tells speaker, recording, times and path where the transcripts do not
    errors_aside: rows with an error go to _errors.jsonl, also where the format has a place for them
    reviews:      folder of reviews that are laid over the rows, or REVIEWS parquet
    per:          whether what was cut from a recording is put together again, with the recording's times
    """

    format: str
    audio: str | None = None
    partition_by: str | None = None
    errors_aside: bool = False
    rows_per_file: int = ROWS_PER_FILE
    per: str = "recording"
    reviews: str | None = None

    @property
    def schema(self) -> str:
        """Of the rows."""
        form = FORMATS[self.format]
        return form.schema if self.reviews is None else form.reviewed or form.schema


def export(run: Run, settings: Settings, output: Location, options: Options | None = None) -> dict[str, Any]:
    """Write the export and return its record, which is written last, to _export.json.

    ``output`` must be empty, or hold what an export of the same run and settings left: a complete one is left alone,
    an interrupted one is done again. Raises InputError, ConfigError or StorageError.
    """
    _check(settings)
    _check_origin(run, settings)
    audio = storage.list_parquet(settings.audio, options) if settings.audio else None
    mark = {"run": run.uri, "fingerprint": run.record.get("fingerprint"), **dataclasses.asdict(settings)}
    overlay = _overlay(run, settings, options)
    if overlay is not None:
        mark["reviews_version"] = overlay.version
    finished = _claim(output, mark)
    if finished is not None:
        return finished
    with tempfile.TemporaryDirectory(prefix="rollcall-export-") as scratch, temporary_database(scratch) as database:
        context = None if audio is None else Context(database, audio)
        writer = _Writer(settings, output, database)
        try:
            for batch in run.batches(context):
                writer.add(batch if overlay is None else overlay.lay(batch))
            writer.finish()
        except BaseException:
            writer.discard()
            raise
    record = _record(run, settings, writer)
    if overlay is not None:
        record |= {"reviews_version": overlay.version, "reviewed": overlay.facts()}
    if settings.format == "hf":
        about = {"run": run.uri, "rows": record["rows_out"], "model": run.record.get("model_id", "unknown")}
        storage.write_atomic(output.join("README.md"), tables.card(about | {"schema": record["schema"]}).encode())
    storage.write_json(output.join(RECORD), record)
    storage.remove(output.join(_CLAIM))
    return record


_CLAIM = "_exporting.json"


def _overlay(run: Run, settings: Settings, options: Options | None) -> Overlay | None:
    if settings.reviews is None:
        return None
    alphabet = alphabet_of_record(run.record)
    return Overlay(read_reviews(settings.reviews, alphabet, options), alphabet)


def _check(settings: Settings) -> None:
    if settings.format not in FORMATS:
        raise ConfigError(f"unknown format '{settings.format}'; there are {list(FORMATS)}.")
    if settings.partition_by not in (None, *PARTITIONS):
        raise ConfigError(f"--partition-by must be one of {list(PARTITIONS)}, got '{settings.partition_by}'.")
    if settings.per not in PER:
        raise ConfigError(f"--per must be one of {list(PER)}, got '{settings.per}'.")
    if settings.rows_per_file < 1:
        raise ConfigError(f"--rows-per-file must be at least 1, got {settings.rows_per_file}.")


def _check_origin(run: Run, settings: Settings) -> None:
    """Raise ConfigError where a run of an earlier version does not tell what the export is made of."""
    for option, value, needing in (
        ("--format", settings.format, ("nemo-manifest",)),
        ("--partition-by", settings.partition_by, ("tenant", "session", "speaker")),
    ):
        if settings.audio is None and value in needing and not run.tells_origin:
            raise ConfigError(
                f"{option} {value} needs --audio: {run.uri} is of an earlier version, whose transcripts name no "
                "speaker, tenant or file."
            )


def _claim(output: Location, mark: dict[str, Any]) -> dict[str, Any] | None:
    """Return the record of a finished export of the same thing, or None and hold the folder for this one.

    Raises StorageError if the folder holds anything else.
    """
    storage.check_writable(output)
    if storage.exists(output.join(RECORD)):
        record: dict[str, Any] = json.loads(storage.read_bytes(output.join(RECORD)))
        if {name: record.get(name) for name in mark} == mark:
            return record
    claim, text = output.join(_CLAIM), json.dumps(mark, sort_keys=True).encode()
    if storage.exists(claim):
        if storage.read_bytes(claim) == text:
            return None
        raise StorageError(f"{output.uri} holds an unfinished export of something else; remove it or choose another.")
    if any(files for _, files in storage.walk_files(output)):
        raise StorageError(f"{output.uri} is not empty; an export goes to a new folder, nothing is overwritten.")
    storage.write_atomic(claim, text)
    return None


class _Writer:
    """Takes batches and counts: rows in = rows out + rows aside."""

    def __init__(self, settings: Settings, output: Location, database: Connection) -> None:
        self._settings, self._format, self._output = settings, FORMATS[settings.format], output
        self._partition = PARTITIONS[settings.partition_by] if settings.partition_by else None
        self._root = output.join(self._format.folder) if self._format.folder else output
        self._parts = Parts(self._root, self._format.suffix, settings.rows_per_file, _part_maker(settings))
        self._aside = Parts(output, ".jsonl", 1 << 62, lambda _: TextPart(output.join(ASIDE)))
        self._reviewed = Parts(output, ".jsonl", 1 << 62, lambda _: TextPart(output.join(REVIEWED)))
        self._spool, self._names = Spool(database), Names(database)
        self.rows_in = self.rows_out = self.recording_files = self.recordings = self.words = 0
        self.aside: dict[str, int] = {}

    def add(self, batch: Batch) -> None:
        """Take all rows of a batch."""
        self.rows_in += len(batch)
        batch = self._set_aside(batch)
        self.rows_out += len(batch)
        if self._settings.reviews is not None and self._format.reviewed is None:
            self._reviewed.write("", changed_lines(batch))
        self.words += len(pc.list_flatten(batch["words"]))
        for folder, rows in self._partitioned(batch):
            if self._format.is_timed:
                for recording, spoken in utterances(rows, self._settings.per):
                    self._spool.add(folder, recording, spoken.start, spoken.utterance_id, pack(spoken))
            elif self._format.by_recording and self._format.lines is not None:
                self._add_lines(folder, rows, self._format.lines(rows))
            else:
                self._parts.write(folder, _rows(self._settings, rows))

    def _add_lines(self, folder: str, rows: Batch, lines: list[str]) -> None:
        """Keep the lines of recordings together, and write those of whole files."""
        whole, names = [], rows["utterance_id"].to_pylist()
        for (recording, start), name, line in zip(recordings(rows, self._settings.per), names, lines, strict=True):
            if recording.is_cut:
                self._spool.add(folder, recording, start, name, line)
            else:
                whole.append(line)
        self.recordings += len(whole)
        self._parts.write(folder, whole)

    def _partitioned(self, batch: Batch) -> Iterator[tuple[str, Batch]]:
        if self._partition is None:
            yield "", batch
            return
        key, column = self._partition
        for value, rows in split(batch, batch[column].to_pylist()):
            yield partition_folder(key, value), rows

    def _set_aside(self, batch: Batch) -> Batch:
        reasons = batch["error"].to_pylist()
        if self._format.keeps_errors and not self._settings.errors_aside:
            reasons = [None] * len(batch)
        if self._settings.format == "nemo-manifest":
            paths = batch["recording_path"].to_pylist()
            reasons = [why or (None if path else _NO_PATH) for why, path in zip(reasons, paths, strict=True)]
        names, lengths = (batch[name].to_pylist() for name in ("utterance_id", "duration_seconds"))
        lines = []
        for name, length, reason in zip(names, lengths, reasons, strict=True):
            if reason is not None:
                entry = {"utterance_id": name, "duration_seconds": length, "error": reason}
                lines.append(json.dumps(entry, ensure_ascii=False) + "\n")
                kind = "no path of the recording" if reason == _NO_PATH else "error"
                self.aside[kind] = self.aside.get(kind, 0) + 1
        self._aside.write("", lines)
        return batch.filter(pa.array([reason is None for reason in reasons], pa.bool_())) if lines else batch

    def finish(self) -> None:
        """Write what can only be written at the end."""
        count = self._spool.finish()
        self.recordings += count
        digits = 0 if count <= _FLAT_FOLDER else 2 if count <= _SPREAD else 4
        for folder, recording, contents in self._spool.recordings():
            text = self._text(folder, recording, contents)
            if text is not None:
                self._write_recording(folder, recording, text, digits)
        self._parts.close()
        self._aside.close()
        self._reviewed.close()
        if self.rows_in != self.rows_out + sum(self.aside.values()):
            raise StorageError(f"{self.rows_in} rows in, {self.rows_out} out, {sum(self.aside.values())} aside.")

    def _text(self, folder: str, recording: Recording, contents: list[str]) -> str | None:
        """Return the file of a recording; None where its lines went to a file that it shares."""
        if not self._format.is_timed:
            return "".join(contents)
        track = Track(folder, recording.name, tuple(map(unpack, contents)))
        if self._format.track_file is not None:
            return self._format.track_file(track)
        lines = self._format.track_lines(track) if self._format.track_lines is not None else []
        if recording.is_cut:
            return self._format.head() + "".join(lines)
        self._parts.write(folder, lines)
        return None

    def _write_recording(self, folder: str, recording: Recording, text: str, digits: int) -> None:
        spread = hashlib.sha256(recording.name.encode()).hexdigest()[:digits]
        levels = [level for level in (folder, spread[:2], spread[2:]) if level]
        name = self._names.give(folder, recording.name, recording.identity)
        file = Writing(self._root.join(*levels, name + self._format.suffix))
        file.stream.write(text.encode())
        file.publish()
        self.recording_files += 1

    def discard(self) -> None:
        self._parts.discard()
        self._aside.discard()
        self._reviewed.discard()

    @property
    def files(self) -> int:
        return self._parts.files + self.recording_files


_NO_PATH = "its recording has no path, which a manifest needs"


def _part_maker(settings: Settings) -> Callable[[Location], Any]:
    form = FORMATS[settings.format]
    if not form.arrow:
        return lambda target: TextPart(target, form.head())
    schema = _arrow_schema(settings)
    return lambda target: ParquetPart(target, schema)


def _arrow_schema(settings: Settings) -> pa.Schema:
    schema = stamped(settings.schema)
    if settings.format == "hf":
        schema = schema.with_metadata({**(schema.metadata or {}), **tables.features(schema)})
    return schema


def _rows(settings: Settings, batch: Batch) -> pa.Table | list[str]:
    lines = FORMATS[settings.format].lines
    return tables.rich_rows(batch) if lines is None else lines(batch)


def _record(run: Run, settings: Settings, writer: _Writer) -> dict[str, Any]:
    facts = {
        "schema": settings.schema,
        "schema_version": VERSIONS[settings.schema],
        **dataclasses.asdict(settings),
        "run": run.uri,
        **{name: run.record.get(name) for name in ("fingerprint", "model_id", "list_version", "config_fingerprint")},
        "rows_in": writer.rows_in,
        "rows_out": writer.rows_out,
        "rows_aside": writer.aside,
        "words": writer.words,
        "files": writer.files,
    }
    form = FORMATS[settings.format]
    return facts | ({"recordings": writer.recordings} if form.is_timed or form.by_recording else {})
