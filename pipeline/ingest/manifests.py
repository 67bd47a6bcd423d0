"""One line per utterance: NeMo's JSONL manifests and Common Voice's TSV."""

import json
import posixpath
from collections.abc import Iterator
from itertools import groupby
from typing import Any

from pipeline.errors import InputError, StorageError
from pipeline.ingest.listing import Listing
from pipeline.ingest.recordings import Recording, Recordings, Utterance, resolve, span_id, without_suffix
from pipeline.ingest.text_files import read_lines, seconds
from pipeline.storage import Location

_NEMO_TEXTS = ("audio_filepath", "text", "speaker", "session", "tenant", "utterance_id")
_COMMON_VOICE = ("client_id", "path", "sentence")


def read_nemo(source: Location, root: Location, listing: Listing) -> Recordings:
    """Yield the lines of a NeMo manifest: ``audio_filepath``, ``offset``, ``duration`` and the texts of _NEMO_TEXTS.

    Only ``audio_filepath`` is needed. With an ``offset`` the line is that part of the file; with a ``duration`` alone
    it is the whole file if that is as long, and its first seconds if it is longer. Neighbouring lines of one file are
    read together. Raises InputError, naming the line, for what is not such JSON.
    """
    for audio, group in groupby(
        _nemo_lines(source, listing.id_column), key=lambda item: str(item[1]["audio_filepath"])
    ):
        path, error = _find(audio, root)
        utterances = tuple(_nemo_utterance(where, line, root, path, error) for where, line in group)
        yield Recording(path, audio, utterances)


def _nemo_lines(source: Location, id_column: str | None) -> Iterator[tuple[str, dict[str, Any]]]:
    for number, text in read_lines(source):
        where = f"{source.uri} line {number}"
        try:
            line = json.loads(text)
        except ValueError as error:
            raise InputError(f"{where}: not JSON ({error}); needed is one JSON object per line.") from error
        if not isinstance(line, dict) or not line.get("audio_filepath"):
            raise InputError(f"{where}: 'audio_filepath' is missing; got {text[:80]!r}.")
        for field in _NEMO_TEXTS:
            if not isinstance(line.get(field), str | None):
                raise InputError(f"{where}: '{field}' must be a string, got {line[field]!r}.")
        if id_column is not None:
            if not isinstance(line.get(id_column), str | int) or line[id_column] == "":
                raise InputError(f"{where}: --id-column '{id_column}' must be a string, got {line.get(id_column)!r}.")
            line["utterance_id"] = str(line[id_column])
        yield where, line


def _nemo_utterance(where: str, line: dict[str, Any], root: Location, path: str, error: str | None) -> Utterance:
    start = end = None
    duration = None if line.get("duration") is None else seconds(line["duration"], where, "duration")
    if line.get("offset") is not None:
        start = seconds(line["offset"], where, "offset")
        end = None if duration is None else start + duration
    file_id = _id_of(path, root)
    name = line.get("utterance_id") or (file_id if start is None else span_id(file_id, start, end))
    if duration == 0:
        error = error or f"{where}: 'duration' must be above zero, got {line['duration']!r}."
    text, speaker, session, tenant = map(line.get, ("text", "speaker", "session", "tenant"))
    whole = duration if start is None else None
    return Utterance(name, text, speaker, session, start, end, error, tenant, whole)


def _id_of(path: str, root: Location) -> str:
    return without_suffix(root.relative(path) if path.startswith(root.path.rstrip("/") + "/") else path.lstrip("/"))


def _find(audio: str, root: Location) -> tuple[str, str | None]:
    """Return the path and, if it may not be opened, the reason."""
    try:
        return resolve(root, audio).path, None
    except StorageError as error:
        return audio, str(error)


def read_common_voice(source: Location, root: Location, listing: Listing) -> Recordings:
    """Yield the rows of a Common Voice TSV (``client_id, path, sentence, ...``) whose audio lies in ``clips/``.

    The id is the clip's name without its ending; a row without a clip is an error row named by its line. Raises
    InputError for missing columns and short lines.
    """
    lines = read_lines(source)
    header = next(lines, (1, ""))[1].split("\t")
    wanted = [*_COMMON_VOICE, *([listing.id_column] if listing.id_column else [])]
    missing = [name for name in wanted if name not in header]
    if missing:
        raise InputError(f"{source.uri}: columns {missing} are missing; it has {header}. Is it a Common Voice TSV?")
    twice = [name for name in wanted if header.count(name) > 1]
    if twice:
        raise InputError(f"{source.uri}: columns {twice} are there twice; it has {header}. Rename or remove one.")
    at = {name: header.index(name) for name in wanted}
    for number, line in lines:
        cells = line.split("\t")  # Common Voice quotes nothing: a quotation mark is part of the sentence
        if len(cells) != len(header):
            raise InputError(f"{source.uri} line {number}: {len(cells)} columns, the header has {len(header)}.")
        clip = cells[at["path"]].strip()
        speaker = cells[at["client_id"]] or None
        if not clip:
            name = f"{without_suffix(source.name)}-line-{number:07d}"
            missing_clip = f"{source.uri} line {number}: column 'path' is empty; needed is a file in clips/."
            yield Recording(name, name, (Utterance(name, cells[at["sentence"]], speaker, error=missing_clip),))
            continue
        path, error = _find(posixpath.join("clips", clip), root)
        name = (cells[at[listing.id_column]] if listing.id_column else "") or without_suffix(clip)
        utterance = Utterance(name, cells[at["sentence"]], speaker, error=error)
        yield Recording(path, posixpath.join("clips", clip), (utterance,))
