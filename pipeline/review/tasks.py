"""What a reviewer is given: the names that a run proposed in the chosen utterances, one task each."""

import dataclasses
import hashlib
import posixpath
from collections.abc import Mapping, Sequence
from sqlite3 import Connection
from typing import Any

from pipeline.audio.clips import ogg_clip
from pipeline.review.choice import Choice, confidence_of, information
from pipeline.runs.columns import rows_of
from pipeline.runs.reader import Run
from pipeline.storage import Location

_COLUMNS = ("utterance_id", "text", "words", "entities", "duration_seconds")
_DIGITS = 3  # of seconds: a millisecond


@dataclasses.dataclass(frozen=True)
class Task:
    """A name to judge, or with ``entity`` None an utterance to listen to for names that were missed.

    The fields are those of REVIEWS; times in seconds of the utterance. ``entity`` has its own casing.
    """

    run: str
    utterance_id: str
    start_seconds: float
    end_seconds: float
    entity: str | None
    text: str
    probability: float

    @property
    def fields(self) -> dict[str, Any]:
        """What every format carries, so that an answer can be matched again."""
        return dataclasses.asdict(self)


@dataclasses.dataclass(frozen=True)
class Chosen:
    """An utterance that was chosen, with its tasks.

    words:        (word, start, end) in seconds
    confidences:  of the tasks, 0 to 1; 0 for a task without a name
    alternatives: what the run would have written there without the list, per task, where it says so
    clip:         Ogg file; None where there is no sound
    """

    utterance_id: str
    duration_seconds: float
    words: tuple[tuple[str, float, float], ...]
    tasks: tuple[Task, ...]
    confidences: tuple[float, ...]
    alternatives: tuple[str | None, ...]
    clip: bytes | None = None

    @property
    def text(self) -> str:
        return " ".join(word for word, _, _ in self.words)

    @property
    def clip_name(self) -> str:
        """Path of the clip below the tasks' folder; ids are data and no names of files."""
        return f"audio/{hashlib.sha256(self.utterance_id.encode()).hexdigest()[:24]}.ogg"


@dataclasses.dataclass(frozen=True)
class Drawn:
    """What was chosen, and from how many; ``failed`` rows have an error and cannot be reviewed."""

    utterances: tuple[Chosen, ...]
    rows: int
    failed: int

    @property
    def tasks(self) -> int:
        return sum(len(one.tasks) for one in self.utterances)


def name_of(run: Run) -> str:
    """Return what reviews call a run: its fingerprint, or where rows lie alone the name of their file or folder."""
    return str(run.record.get("fingerprint") or posixpath.basename(run.uri.rstrip("/")))


def draw_tasks(run: Run, audio: Sequence[Location], count: int, share: float, seed: int, database: Connection) -> Drawn:
    """Choose ``count`` utterances of a run and return their tasks, in the order of the run.

    audio: AUDIO files with their sound, or none. Raises ConfigError, InputError or StorageError.
    """
    choice, rows, failed = Choice(database, seed), 0, 0
    for batch in run.batches():
        known = batch.select(["utterance_id", "words", "entities", "error"]).to_pylist()
        good = [row for row in known if row["error"] is None]
        rows, failed = rows + len(known), failed + len(known) - len(good)
        choice.add((row["utterance_id"], information(row)) for row in good)
    probabilities = choice.draw(count, share)
    clips = {
        row["utterance_id"]: ogg_clip(row["utterance_id"], (row["audio"] or {}).get("bytes"))
        for row in rows_of(audio, probabilities, ("audio",))
    }
    name = name_of(run)
    chosen = [
        _chosen(row, name, probabilities[row["utterance_id"]], clips.get(row["utterance_id"]))
        for row in run.rows(probabilities, _COLUMNS)
    ]
    return Drawn(tuple(chosen), rows, failed)


def _chosen(row: Mapping[str, Any], run: str, probability: float, clip: bytes | None) -> Chosen:
    words = row["words"] or ()
    length = _seconds(seconds_of(row))
    found = row["entities"] or ()
    tasks = [
        Task(
            run,
            row["utterance_id"],
            _seconds(one["start_seconds"]),
            min(_seconds(one["end_seconds"]), length),
            one["display_as"] or one["entity"],
            " ".join(word["word"] for word in words[one["start_word"] : one["end_word"]]),
            probability,
        )
        for one in found
    ]
    return Chosen(
        row["utterance_id"],
        length,
        tuple((word["word"], _seconds(word["start_seconds"]), _seconds(word["end_seconds"])) for word in words),
        tuple(tasks) or (Task(run, row["utterance_id"], 0.0, length, None, row["text"] or "", probability),),
        tuple(confidence_of(words, one["start_word"], one["end_word"]) for one in found) or (0.0,),
        tuple(one["alternative"] for one in found) or (None,),
        clip,
    )


def seconds_of(row: Mapping[str, Any]) -> float:
    """Return the length of a TRANSCRIPTS row; rows of an earlier version say only where their last word ends."""
    length = row["duration_seconds"]
    return float(max((word["end_seconds"] for word in row["words"] or ()), default=0.0) if length is None else length)


def _seconds(value: float) -> float:
    return round(float(value), _DIGITS)
