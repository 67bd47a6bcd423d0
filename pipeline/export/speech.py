"""Formats with times see a run as tracks: a recording each, or an utterance where it was not cut from one."""

import dataclasses
import json
from collections.abc import Iterator, Sequence
from itertools import groupby
from sqlite3 import Connection
from typing import Any, TypeVar

from pipeline.runs.reader import Batch
from pipeline.storage.disk_table import insert

_TOUCH = 0.01  # seconds by which what follows may begin early: times are rounded


@dataclasses.dataclass(frozen=True)
class Recording:
    """What a track is of. Recordings of one name are not the same where path or tenant differ.

    is_cut: utterances were cut from it; if not, it is one utterance
    """

    name: str
    is_cut: bool
    path: str = ""
    tenant: str = ""

    @property
    def identity(self) -> str:
        return json.dumps(dataclasses.astuple(self), ensure_ascii=False)


@dataclasses.dataclass(frozen=True)
class Spoken:
    """A word with its times in the track, in seconds; ``shown`` has the casing of the entity that it is part of."""

    word: str
    shown: str
    start: float
    end: float
    confidence: float


@dataclasses.dataclass(frozen=True)
class Name:
    """An entity with its times in the track, in seconds."""

    shown: str
    start: float
    end: float


_Timed = TypeVar("_Timed", Spoken, Name)


@dataclasses.dataclass(frozen=True)
class Utterance:
    """``start`` and ``end`` of the utterance in the track, in seconds; ``error`` set where nothing was recognised."""

    utterance_id: str
    speaker: str | None
    start: float
    end: float
    words: tuple[Spoken, ...]
    names: tuple[Name, ...]
    error: str | None = None


@dataclasses.dataclass(frozen=True)
class Track:
    """``folder``: the partition; utterances in the order in which they begin."""

    folder: str
    name: str
    utterances: tuple[Utterance, ...]

    @property
    def end(self) -> float:
        return max((max(one.end, *(word.end for word in one.words), 0.0) for one in self.utterances), default=0.0)


@dataclasses.dataclass(frozen=True)
class Voice:
    """Utterances of a track that follow one another. ``speaker`` is named only where there are several."""

    speaker: str | None
    utterances: tuple[Utterance, ...]


def voices(track: Track) -> list[Voice]:
    """Return the utterances of a track apart by speaker, and those of one speaker apart where they overlap.

    The rule: words are put in order within a voice only, so that people who talk at once are never mixed. A track of
    one speaker, or of unknown ones who do not talk at once, is one voice without a name.
    """
    if len({one.speaker for one in track.utterances} - {None}) < 2:
        lanes = _lanes(track.utterances)
        if len(lanes) < 2 or len({one.speaker for one in track.utterances}) < 2:
            return [Voice(None, lane) for lane in lanes]
    speakers = list(dict.fromkeys(one.speaker for one in track.utterances))
    return [
        Voice(speaker, lane)
        for speaker in speakers
        for lane in _lanes([one for one in track.utterances if one.speaker == speaker])
    ]


def _lanes(utterances: Sequence[Utterance]) -> list[tuple[Utterance, ...]]:
    """Put each utterance behind the first that has ended by then."""
    lanes: list[list[Utterance]] = []
    for one in sorted(utterances, key=lambda one: one.start):
        free = next((lane for lane in lanes if lane[-1].end <= one.start + _TOUCH), None)
        if free is None:
            lanes.append([one])
        else:
            free.append(one)
    return [tuple(lane) for lane in lanes]


def recordings(batch: Batch, per: str) -> list[tuple[Recording, float]]:
    """Return for each row what it is a part of and where it starts in that; with ``per`` "utterance", itself."""
    columns = ("utterance_id", "recording_id", "start_seconds", "recording_path", "tenant")
    found = []
    for name, recording, start, path, tenant in zip(*(batch[one].to_pylist() for one in columns), strict=True):
        if per == "utterance" or recording is None or start is None:
            found.append((Recording(name, False), 0.0))
        else:
            found.append((Recording(recording, True, path or "", tenant or ""), start))
    return found


def utterances(batch: Batch, per: str = "recording") -> Iterator[tuple[Recording, Utterance]]:
    """Yield what each row is a part of, and its utterance with times in that."""
    columns = ["utterance_id", "words", "entities", "duration_seconds", "error", "speaker"]
    rows = batch.select(columns).to_pylist()
    for row, (recording, offset) in zip(rows, recordings(batch, per), strict=True):
        spoken = _utterance(row, offset)
        yield recording, _within(spoken, offset + (row["duration_seconds"] or 0.0)) if recording.is_cut else spoken


def _within(utterance: Utterance, end: float) -> Utterance:
    """Return the utterance with no time after ``end``: the last frame may reach into what follows it."""
    words = tuple(_until(word, end) for word in utterance.words)
    names = tuple(_until(name, end) for name in utterance.names)
    return dataclasses.replace(utterance, end=max(end, utterance.start), words=words, names=names)


def _until(one: _Timed, end: float) -> _Timed:
    return dataclasses.replace(one, start=min(one.start, end), end=min(one.end, end)) if one.end > end else one


def _utterance(row: dict[str, Any], offset: float) -> Utterance:
    words = row["words"] or []
    shown = [word["word"] for word in words]
    for found in row["entities"] or []:
        first, last = found["start_word"], found["end_word"]
        shown[first:last] = _cased(found["display_as"], last - first)
    names = tuple(
        Name(found["display_as"], offset + found["start_seconds"], offset + found["end_seconds"])
        for found in row["entities"] or []
    )
    spoken = tuple(
        Spoken(word["word"], text, offset + word["start_seconds"], offset + word["end_seconds"], word["confidence"])
        for word, text in zip(words, shown, strict=True)
    )
    end = max([offset + (row["duration_seconds"] or 0.0), *(word.end for word in spoken)])
    return Utterance(row["utterance_id"], row["speaker"], offset, end, spoken, names, row["error"])


def _cased(display_as: str, count: int) -> list[str]:
    """Spread an entity as it is shown over the words that were written; "COVID-19" stands on the first of two."""
    parts = display_as.split()
    return parts if len(parts) == count else [display_as, *[""] * (count - 1)]


class Spool:
    """What becomes of utterances, on disk and sorted into recordings, so that memory does not grow with the run."""

    _KEY = "folder, name, is_cut, path, tenant"

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._pending: list[tuple[Any, ...]] = []
        connection.execute(f"CREATE TABLE spoken ({self._KEY}, start REAL, id TEXT, content TEXT)")

    def add(self, folder: str, recording: Recording, start: float, utterance_id: str, content: str) -> None:
        self._pending.append((folder, *dataclasses.astuple(recording), start, utterance_id, content))
        if len(self._pending) >= 1_000:
            self._flush()

    def _flush(self) -> None:
        insert(self._connection, "INSERT INTO spoken VALUES (?, ?, ?, ?, ?, ?, ?, ?)", self._pending)
        self._pending = []

    def finish(self) -> int:
        """Take no more, and return the number of recordings."""
        self._flush()
        self._connection.execute(f"CREATE INDEX by_recording ON spoken ({self._KEY}, start, id)")
        distinct = self._connection.execute(f"SELECT COUNT(*) FROM (SELECT DISTINCT {self._KEY} FROM spoken)")
        return int(distinct.fetchone()[0])

    def recordings(self) -> Iterator[tuple[str, Recording, list[str]]]:
        """Yield folder and contents of every recording, by folder and name, the contents by start."""
        rows = self._connection.execute(f"SELECT {self._KEY}, content FROM spoken ORDER BY {self._KEY}, start, id")
        for (folder, name, is_cut, path, tenant), group in groupby(rows, key=lambda row: row[:-1]):
            yield folder, Recording(name, bool(is_cut), path, tenant), [row[-1] for row in group]


def pack(utterance: Utterance) -> str:
    """Return the utterance as text; ``unpack`` is its inverse."""
    return json.dumps(dataclasses.astuple(utterance), ensure_ascii=False)


def unpack(content: str) -> Utterance:
    """Inverse of ``pack``."""
    utterance_id, speaker, start, end, words, names, error = json.loads(content)
    spoken, named = tuple(Spoken(*word) for word in words), tuple(Name(*name) for name in names)
    return Utterance(utterance_id, speaker, start, end, spoken, named, error)
