"""Formats with times see a run as tracks: one recording, or one utterance where recordings are not known."""

import dataclasses
import json
from collections.abc import Iterator
from sqlite3 import Connection
from typing import Any

from pipeline.runs.reader import Batch
from pipeline.storage.disk_table import insert


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


def utterances(batch: Batch) -> Iterator[tuple[str, Utterance]]:
    """Yield (name of the track, utterance) of each row."""
    columns = ["utterance_id", "words", "entities", "duration_seconds", "error"]
    columns += ["recording_id", "speaker", "start_seconds", "end_seconds"]
    for row in batch.select(columns).to_pylist():
        whole = row["recording_id"] is None or row["start_seconds"] is None
        name, offset = (row["utterance_id"], 0.0) if whole else (row["recording_id"], row["start_seconds"])
        yield name, _utterance(row, offset)


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
    """Utterances on disk, sorted into tracks, so that memory does not grow with the run."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._pending: list[tuple[Any, ...]] = []
        connection.execute("CREATE TABLE spoken (folder TEXT, track TEXT, start REAL, id TEXT, content TEXT)")

    def add(self, folder: str, track: str, utterance: Utterance) -> None:
        self._pending.append((folder, track, utterance.start, utterance.utterance_id, _pack(utterance)))
        if len(self._pending) >= 1_000:
            self._flush()

    def _flush(self) -> None:
        insert(self._connection, "INSERT INTO spoken VALUES (?, ?, ?, ?, ?)", self._pending)
        self._pending = []

    def tracks(self) -> Iterator[Track]:
        """Yield every track, whole, by partition and name."""
        self._flush()
        self._connection.execute("CREATE INDEX by_track ON spoken (folder, track, start, id)")
        key, held = ("", ""), list[Utterance]()
        rows = self._connection.execute("SELECT folder, track, content FROM spoken ORDER BY folder, track, start, id")
        for folder, track, content in rows:
            if held and key != (folder, track):
                yield Track(*key, tuple(held))
                held = []
            key = (folder, track)
            held.append(_unpack(content))
        if held:
            yield Track(*key, tuple(held))


def _pack(utterance: Utterance) -> str:
    return json.dumps(dataclasses.astuple(utterance), ensure_ascii=False)


def _unpack(content: str) -> Utterance:
    utterance_id, speaker, start, end, words, names, error = json.loads(content)
    spoken, named = tuple(Spoken(*word) for word in words), tuple(Name(*name) for name in names)
    return Utterance(utterance_id, speaker, start, end, spoken, named, error)
