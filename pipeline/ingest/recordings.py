"""What every source layout is turned into: recordings, each with the utterances that are wanted of it."""

import dataclasses
import posixpath
from collections.abc import Iterator
from typing import Any

from pipeline.errors import StorageError
from pipeline.storage import Location

AUDIO_SUFFIXES = (".wav", ".flac", ".mp3", ".ogg", ".oga", ".opus", ".m4a", ".mp4", ".aac", ".webm", ".wma", ".aiff")
"""What counts as audio in a folder; other formats can be named by a manifest."""


@dataclasses.dataclass(frozen=True)
class Utterance:
    """One row to be. ``start`` and ``end`` (seconds) are null for a whole file; ``error`` is known before reading."""

    utterance_id: str
    text: str | None = None
    speaker: str | None = None
    session: str | None = None
    start: float | None = None
    end: float | None = None
    error: str | None = None
    tenant: str | None = None


@dataclasses.dataclass(frozen=True)
class Recording:
    """An audio file and its utterances, or rows ``first_row`` up to ``end_row`` of a row group of audio parquet.

    ``path`` is as the source's filesystem writes it, ``label`` is relative to the source and for humans; ``file`` is
    what the source itself calls the file, where that is not the label.
    """

    path: str
    label: str
    utterances: tuple[Utterance, ...] = ()
    size: int | None = None  # bytes, if the listing told
    row_group: int | None = None
    first_row: int = 0
    end_row: int = 0
    file: str | None = None

    @property
    def recording_path(self) -> str:
        """The file as its source calls it."""
        return self.label if self.file is None else self.file

    @property
    def recording_id(self) -> str:
        """The label without the ending of an audio file; other dots (Kaldi's ids have them) stay."""
        return without_suffix(self.label) if self.label.lower().endswith(AUDIO_SUFFIXES) else self.label

    @property
    def rows(self) -> int:
        return len(self.utterances) if self.row_group is None else self.end_row - self.first_row


Recordings = Iterator[Recording]


def to_json(recording: Recording) -> dict[str, Any]:
    """Plain values for the plan on disk; ``from_json`` is its inverse.

    What came later than the first plans stands in it only where it is known: a folder that was ingested before is then
    found to be of the same plan, and so complete.
    """
    values = dataclasses.asdict(recording)
    for part, name in [(values, "file"), *((one, "tenant") for one in values["utterances"])]:
        if part[name] is None:
            del part[name]
    return values


def from_json(values: dict[str, Any]) -> Recording:
    """Inverse of ``to_json``."""
    utterances = tuple(Utterance(**utterance) for utterance in values["utterances"])
    return Recording(**(values | {"utterances": utterances}))


def without_suffix(path: str) -> str:
    """The utterance id of a file: its relative path without the ending."""
    return posixpath.splitext(path)[0]


def span_id(recording_id: str, start: float, end: float | None) -> str:
    """Name a part of a recording by its times in milliseconds; such ids sort by time."""
    return f"{recording_id}-{round(start * 1000):08d}" + ("" if end is None else f"-{round(end * 1000):08d}")


def resolve(root: Location, text: str) -> Location:
    """Return the audio file that data name: relative to ``root``, or absolute but below it.

    Raises StorageError if it lies elsewhere: a manifest must not be able to read whatever the job can.
    """
    protocol, separator, rest = text.partition("://")
    if separator:
        same_store = protocol == "file" if root.is_local else protocol in ("s3", "s3a")
        path = rest
    else:
        same_store = root.is_local or not text.startswith("/")
        path = posixpath.join(root.path, text)
    path = posixpath.normpath(path)
    if not same_store or "\0" in path or not path.startswith(root.path.rstrip("/") + "/"):
        raise StorageError(f"audio path {text!r} lies outside {root.uri}; --audio-root names the folder to allow.")
    return Location(root.filesystem, path)
