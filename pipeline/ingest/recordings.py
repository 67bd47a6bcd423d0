"""What every source layout is turned into: recordings, each with the utterances that are wanted of it."""

import dataclasses
import os
import posixpath
from collections.abc import Iterator
from typing import Any

from pipeline.errors import StorageError
from pipeline.storage import Location

AUDIO_SUFFIXES = (
    ".wav", ".flac", ".mp3", ".ogg", ".oga", ".opus", ".m4a", ".mp4", ".aac", ".webm", ".wma", ".aiff", ".aif", ".aifc",
    ".caf", ".w64", ".sph", ".amr", ".awb", ".mka", ".mkv", ".mov", ".avi", ".3gp",
)  # fmt: skip
"""Files of these names are audio, or rows with an error; any other file of a folder is audio if its content is."""
USUAL_SUFFIXES = AUDIO_SUFFIXES[:12]
"""Two files of one name with these are most likely the same sound, and refused; with others they are told apart."""
_AMBIGUOUS = (
    ".ts",
    ".mts",
    ".m2ts",
    ".au",
    ".snd",
    ".mp2",
    ".mpg",
    ".mpeg",
    ".m4b",
    ".flv",
    ".wv",
    ".ape",
    ".tta",
    ".ac3",
)
"""Endings that audio has too: they are not part of an id."""


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
    duration: float | None = None  # of a whole file: what its source says, to be compared with what is there


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
        return without_audio_suffix(self.label)

    @property
    def rows(self) -> int:
        return len(self.utterances) if self.row_group is None else self.end_row - self.first_row


Recordings = Iterator[Recording]
_LATER = ("tenant", "duration")  # fields of utterances that the first plans did not have


def to_json(recording: Recording) -> dict[str, Any]:
    """Plain values for the plan on disk; ``from_json`` is its inverse.

    What came later than the first plans stands in it only where it is known: a folder that was ingested before is then
    found to be of the same plan, and so complete.
    """
    values = dataclasses.asdict(recording)
    for part, name in [(values, "file"), *((one, name) for one in values["utterances"] for name in _LATER)]:
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


def without_audio_suffix(path: str) -> str:
    """The path without the ending of an audio file; other endings, as in ``call.0017``, stay."""
    return without_suffix(path) if path.lower().endswith((*AUDIO_SUFFIXES, *_AMBIGUOUS)) else path


def span_id(recording_id: str, start: float, end: float | None) -> str:
    """Name a part of a recording by its times in milliseconds; such ids sort by time."""
    return f"{recording_id}-{round(start * 1000):08d}" + ("" if end is None else f"-{round(end * 1000):08d}")


def resolve(root: Location, text: str) -> Location:
    """Return the audio file that data name: relative to ``root``, or absolute but below it.

    Raises StorageError if it lies elsewhere, also by way of a link: a manifest must not be able to read whatever the
    job can. (Links that are found by listing a folder which the user named are followed; see ``walk_files``.)
    """
    protocol, separator, rest = text.partition("://")
    if separator:
        same_store = protocol == "file" if root.is_local else protocol in ("s3", "s3a")
        path = rest
    else:
        same_store = root.is_local or not text.startswith("/")
        path = posixpath.join(root.path, text)
    path = posixpath.normpath(path)
    if not same_store or "\0" in path or not _is_below(path, root.path):
        raise StorageError(f"audio path {text!r} lies outside {root.uri}; --audio-root names the folder to allow.")
    if root.is_local and not _is_below(real := os.path.realpath(path), os.path.realpath(root.path)):
        raise StorageError(
            f"audio path {text!r} leads through a link to {real}, outside {root.uri}; --audio-root names the folder "
            "to allow."
        )
    return Location(root.filesystem, path)


def _is_below(path: str, folder: str) -> bool:
    return path.startswith(folder.rstrip("/") + "/")
