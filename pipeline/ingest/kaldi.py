"""Kaldi data directories: wav.scp, and optionally text, utt2spk and segments, joined on disk.

https://kaldi-asr.org/doc/data_prep.html describes the files. Commands in wav.scp (``... |``) are never run.
"""

import re
import sqlite3
import tempfile
from collections.abc import Iterator
from itertools import groupby

from pipeline.errors import InputError, StorageError
from pipeline.ingest.listing import Listing
from pipeline.ingest.recordings import Recording, Recordings, Utterance, resolve
from pipeline.ingest.text_files import read_lines, seconds
from pipeline.storage import Location, exists
from pipeline.storage.disk_table import insert, temporary_database

_ARCHIVE = re.compile(r"\.ark:\d+$")
_TABLES = {"wav.scp": "wav", "text": "text", "utt2spk": "speaker", "segments": "segment"}
_QUERY = """
SELECT wav.value, {recording}, {utterance}, text.value, speaker.value, {start}, {end}
FROM {tables} LEFT JOIN text ON text.id = {utterance} LEFT JOIN speaker ON speaker.id = {utterance}
ORDER BY 2, 6, 3
"""
_WITHOUT_AUDIO = """
SELECT text.id, text.value, speaker.value FROM text LEFT JOIN speaker ON speaker.id = text.id
WHERE text.id NOT IN (SELECT id FROM {there}) ORDER BY 1
"""
_WITHOUT_SEGMENT = "SELECT id FROM wav WHERE id NOT IN (SELECT value FROM segment) ORDER BY 1"
_WHOLE = {"recording": "wav.id", "utterance": "wav.id", "start": "NULL", "end": "NULL", "tables": "wav"}
_SEGMENTS = {
    "recording": "segment.value",
    "utterance": "segment.id",
    "start": "segment.start",
    "end": "segment.end",
    "tables": "segment LEFT JOIN wav ON wav.id = segment.value",
}


def read_kaldi(source: Location, root: Location, listing: Listing) -> Recordings:
    """Yield the recordings of a data directory (or of its wav.scp), with their segments where there are any.

    Pipe commands, Kaldi archives, segments of unknown recordings and lines of ``text`` without audio become utterances
    with an error; recordings of which no segment is wanted are counted in ``listing``. Raises InputError for malformed
    lines and ids that are there twice.
    """
    folder = source.parent if source.name == "wav.scp" else source
    with tempfile.TemporaryDirectory(prefix="rollcall-kaldi-") as scratch, temporary_database(scratch) as database:
        _load(folder, database)
        columns = _SEGMENTS if exists(folder.join("segments")) else _WHOLE
        rows = database.execute(_QUERY.format(**columns))
        for _, group in groupby(rows, key=lambda row: row[1]):
            yield _recording(list(group), folder, root)
        there = "segment" if columns is _SEGMENTS else "wav"
        for name, text, speaker in database.execute(_WITHOUT_AUDIO.format(there=there)):
            file = "segments" if columns is _SEGMENTS else "wav.scp"
            error = f"'{name}' is in {folder.join('text').uri}, but not in {file}."
            yield Recording(name, name, (Utterance(name, text, speaker, error=error),))
        if columns is _SEGMENTS:
            for (name,) in database.execute(_WITHOUT_SEGMENT):
                listing.unsegmented.add(name)


def _load(folder: Location, database: sqlite3.Connection) -> None:
    for file, table in _TABLES.items():
        database.execute(f"CREATE TABLE {table} (id TEXT PRIMARY KEY, value TEXT, start REAL, end REAL)")
        location = folder.join(file)
        if file != "wav.scp" and not exists(location):
            continue
        try:
            insert(database, f"INSERT INTO {table} VALUES (?, ?, ?, ?)", _rows(location, file == "segments"))
        except sqlite3.IntegrityError as error:
            raise InputError(
                f"{location.uri}: an id is there twice ({_first_double(location)}); remove one."
            ) from error


def _rows(location: Location, segments: bool) -> Iterator[tuple[object, ...]]:
    for number, line in read_lines(location):
        where = f"{location.uri} line {number}"
        name, *rest = line.strip().split(maxsplit=1)
        value = rest[0].strip() if rest else ""
        if not segments:
            yield name, value, None, None
            continue
        cells = value.split()
        if len(cells) != 3:
            raise InputError(f"{where}: needed is 'utterance recording start end', got {line[:80]!r}.")
        end = None if cells[2] == "-1" else seconds(cells[2], where, "end")  # -1: up to the end, as in Kaldi
        yield name, cells[0], seconds(cells[1], where, "start"), end


def _first_double(location: Location) -> str:
    seen = set()
    for number, line in read_lines(location):
        name = line.split(maxsplit=1)[0]
        if name in seen:
            return f"'{name}', line {number}"
        seen.add(name)
    return "it changed while it was read"


def _recording(rows: list[tuple[object, ...]], folder: Location, root: Location) -> Recording:
    address, recording_id = rows[0][0], str(rows[0][1])
    path, error = _open(address, recording_id, folder, root)
    utterances = []
    for _, _, name, text, speaker, start, end in rows:
        problem = error
        if isinstance(start, float) and isinstance(end, float) and end <= start:
            problem = error or f"segment '{name}': its end {end} must be after its start {start}."
        utterances.append(Utterance(str(name), _text(text), _text(speaker), None, _float(start), _float(end), problem))
    return Recording(path, recording_id, tuple(utterances), file=_text(address))


def _open(address: object, recording_id: str, folder: Location, root: Location) -> tuple[str, str | None]:
    """Return the path and, if it cannot be read, why."""
    if address is None:
        return recording_id, f"recording '{recording_id}' is in segments, but not in {folder.join('wav.scp').uri}."
    text = str(address)
    if text.endswith("|") or text.startswith("|"):
        return (
            recording_id,
            f"wav.scp has a command for '{recording_id}', which is never run: {text[:80]!r}; write files.",
        )
    if _ARCHIVE.search(text):
        return recording_id, f"wav.scp has a Kaldi archive for '{recording_id}', which is not read: {text[:80]!r}."
    try:
        return resolve(root, text).path, None
    except StorageError as error:
        return recording_id, str(error)


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _float(value: object) -> float | None:
    return float(value) if isinstance(value, float) else None
