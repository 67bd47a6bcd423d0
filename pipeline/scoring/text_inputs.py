"""Texts by id from the text files of the field: TSV, CSV, JSONL, Kaldi's ``text``, and NIST's trn and stm.

The rule: the format follows the name, and every line must have its form; one that has not is an error with its
number, never a line without words. Of text without tabs, ``words (id)`` on every line is trn, the rest is Kaldi's
``id words``.
"""

import csv
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import unquote

from pipeline import storage
from pipeline.errors import InputError

SUFFIXES = (".tsv", ".txt", ".csv", ".jsonl", ".ndjson", ".json", ".trn", ".stm")
"""Of text files; ``.gz`` may follow. Kaldi's file is called ``text``."""
ID_NAMES = ("utterance_id", "id", "file", "audio_id")
TEXT_NAMES = ("text", "reference", "hypothesis", "transcript", "transcription", "sentence")
_TRN = re.compile(r"(?P<text>.*?)\((?P<id>[^\s()]+)\)\s*\Z")
_IGNORED = "IGNORE_TIME_SEGMENT_IN_SCORING"
_OURS = "rollcall.stm"
_STM_FIELDS = 5  # file, channel, speaker, start, end
Row = dict[str, Any]


def is_text(path: str) -> bool:
    """Whether ``path`` is read by this module; everything else is parquet."""
    if _suffix(path) in SUFFIXES:
        return True
    if PurePosixPath(path).name != "text":
        return False
    location = storage.open_filesystem(path)
    return bool(location.filesystem.isfile(location.path))


def _suffix(path: str) -> str:
    name = PurePosixPath(path.lower())
    return name.with_suffix("").suffix if name.suffix == ".gz" else name.suffix


def open_text(path: str) -> Any:
    """Open a text file, ``.gz`` too, local or on an object store; raises StorageError."""
    location = storage.open_filesystem(path)
    storage.check_readable(location)
    return location.filesystem.open(location.path, "rt", encoding="utf-8-sig", newline="", compression="infer")


def read_texts(path: str) -> list[Row]:
    """Return rows with ``utterance_id`` and ``text`` (None where a text is not to be scored), and what else is known.

    ``duration_seconds`` and ``speaker`` are there where the file has them. Raises InputError or StorageError.
    """
    with open_text(path) as file:
        try:
            content = file.read()
        except UnicodeDecodeError as error:
            raise InputError(f"{path}: is not UTF-8 text ({error}); save it as UTF-8.") from error
    lines = [line.rstrip("\r") for line in content.split("\n")]
    suffix = _suffix(path)
    if suffix == ".csv":
        return _csv_rows(path, content)
    if suffix in (".jsonl", ".ndjson", ".json"):
        return _json_rows(path, lines, content, whole=suffix == ".json")
    if suffix == ".stm":
        return list(_stm_rows(path, lines))
    if suffix == ".trn" or (suffix != ".tsv" and _is_trn(lines)):
        return list(_trn_rows(path, lines))
    if any("\t" in line for line in lines):
        return list(_tsv_rows(path, lines))
    return list(_kaldi_rows(lines))


def _columns(header: Sequence[str]) -> dict[str, int] | None:
    """Return where id, text, duration and speaker stand; None if this is no header."""
    names = [name.strip().lower() for name in header]
    found = {
        column: next((names.index(name) for name in known if name in names), None)
        for column, known in (
            ("utterance_id", ID_NAMES),
            ("text", TEXT_NAMES),
            ("duration_seconds", ("duration_seconds", "duration")),
            ("speaker", ("speaker",)),
        )
    }
    at = {column: place for column, place in found.items() if place is not None}
    return at if "utterance_id" in at and "text" in at else None


def _tsv_rows(path: str, lines: Sequence[str]) -> Iterator[Row]:
    """An id alone has the empty text. Without a header the first two fields are id and text."""
    at = _columns(lines[0].split("\t")) if lines else None
    for number, line in enumerate(lines, start=1):
        cells = [cell.strip() for cell in line.split("\t")]
        if not line.strip() or (number == 1 and at is not None):
            continue
        if len(cells) == 1 and len(cells[0].split()) > 1:
            raise InputError(f"{path}: line {number} has no tab, others have; needed is id<tab>text.")
        yield _row(path, f"line {number}", cells, at or {"utterance_id": 0, "text": 1})


def _csv_rows(path: str, content: str) -> list[Row]:
    reader = csv.reader(content.splitlines(keepends=True), strict=True)
    try:
        rows = [(reader.line_num, cells) for cells in reader]
    except csv.Error as error:
        raise InputError(f"{path}: line {reader.line_num} is not valid CSV ({error}).") from error
    at = _columns(rows[0][1]) if rows else None
    if at is None:
        header = rows[0][1] if rows else []
        raise InputError(f"{path}: the header needs a column of {list(ID_NAMES)} and one of {list(TEXT_NAMES)}, it has "
                         f"{header[:8]}.")  # fmt: skip
    return [_row(path, f"line {number}", [cell.strip() for cell in cells], at) for number, cells in rows[1:] if cells]


def _row(path: str, place: str, cells: Sequence[str], at: Mapping[str, int]) -> Row:
    row: Row = {name: cells[index] if index < len(cells) else "" for name, index in at.items()}
    if not row["utterance_id"]:
        raise InputError(f"{path}: {place} has no id; needed is id<tab>text.")
    if "duration_seconds" in row:
        row["duration_seconds"] = _number(path, place, row["duration_seconds"]) if row["duration_seconds"] else None
    return row | ({"speaker": row["speaker"] or None} if "speaker" in row else {})


def _number(path: str, place: str, value: str) -> float:
    try:
        return float(value)
    except ValueError as error:
        raise InputError(f"{path}: {place}: '{value[:40]}' is no number of seconds.") from error


def _json_rows(path: str, lines: Sequence[str], content: str, whole: bool) -> list[Row]:
    if whole:
        held = _json(path, "the file", content)
        if isinstance(held, dict):
            held = [{"utterance_id": name, "text": text} for name, text in held.items()]
        if not isinstance(held, list):
            raise InputError(f"{path}: needed is an array of objects, or an object of texts by id.")
        records = [(f"entry {number}", one) for number, one in enumerate(held, start=1)]
    else:
        numbered = [(f"line {number}", line) for number, line in enumerate(lines, start=1) if line.strip()]
        records = [(place, _json(path, place, line)) for place, line in numbered]
    return [_json_row(path, place, record) for place, record in records]


def _json(path: str, place: str, text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(f"{path}: {place} is not JSON ({error}).") from error


def _json_row(path: str, place: str, record: Any) -> Row:
    names = {str(name) for name in record} if isinstance(record, dict) else set()
    id_name = next((name for name in ID_NAMES if name in names), None)
    text_name = next((name for name in TEXT_NAMES if name in names), None)
    if id_name is None or text_name is None or not record[id_name]:
        raise InputError(f"{path}: {place} must be an object with one of {list(ID_NAMES)} and one of "
                         f"{list(TEXT_NAMES)}; it has {sorted(names)[:8]}.")  # fmt: skip
    if not isinstance(record[text_name], str | None):
        raise InputError(f"{path}: {place}: '{text_name}' must be a text, got {record[text_name]!r:.60}.")
    row: Row = {"utterance_id": str(record[id_name]), "text": record[text_name]}
    seconds = record.get("duration_seconds", record.get("duration"))
    row["duration_seconds"] = float(seconds) if isinstance(seconds, int | float) else None
    row["speaker"] = record["speaker"] if isinstance(record.get("speaker"), str) else None
    return row | ({"error": record["error"]} if isinstance(record.get("error"), str) else {})


def _kaldi_rows(lines: Sequence[str]) -> Iterator[Row]:
    for line in lines:
        if line.strip():
            name, _, text = line.strip().partition(" ")
            yield {"utterance_id": name, "text": text.strip()}


def _is_trn(lines: Sequence[str]) -> bool:
    written = [line for line in lines if line.strip() and not line.startswith(";;")]
    return bool(written) and not any("\t" in line for line in written) and all(_TRN.match(line) for line in written)


def _trn_rows(path: str, lines: Sequence[str]) -> Iterator[Row]:
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.startswith(";;"):
            continue
        found = _TRN.match(line)
        if found is None or "{" in found["text"]:
            reason = "has alternatives in braces, which are not scored" if found else "does not end with (id)"
            raise InputError(f"{path}: line {number} {reason}; needed is: words (id)")
        yield {"utterance_id": found["id"], "text": found["text"].strip()}


def _stm_rows(path: str, lines: Sequence[str]) -> Iterator[Row]:
    """STM has no ids: a recording with one line is an utterance; pieces of one are called as ingest calls them."""
    ours = bool(lines) and lines[0].startswith(";;") and _OURS in lines[0]
    rows = [(number, line.split(None, _STM_FIELDS)) for number, line in enumerate(lines, start=1)
            if line.strip() and not line.startswith(";;")]  # fmt: skip
    for number, cells in rows:
        if len(cells) < _STM_FIELDS:
            raise InputError(f"{path}: line {number} has {len(cells)} fields; needed are file, channel, speaker, "
                             "start, end and text.")  # fmt: skip
    times: dict[str, int] = {}
    for _, cells in rows:
        times[cells[0]] = times.get(cells[0], 0) + 1
    for number, cells in rows:
        file, speaker = (unquote(cells[0]), unquote(cells[2])) if ours else (cells[0], cells[2])
        start, end = (_number(path, f"line {number}", cell) for cell in cells[3:5])
        text = re.sub(r"\A<[^>]*>\s*", "", cells[5].strip()) if len(cells) > _STM_FIELDS else ""
        piece = f"{file}-{round(start * 1000):08d}-{round(end * 1000):08d}"
        yield {
            "utterance_id": file if times[cells[0]] == 1 else piece,
            "text": None if text == _IGNORED else text,
            "duration_seconds": end - start,
            "speaker": speaker,
        }
