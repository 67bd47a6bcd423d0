"""Which layout a source has, and the reader of each."""

import dataclasses
import posixpath
from collections.abc import Callable

from pipeline.errors import InputError
from pipeline.ingest.audio_parquet import read_audio_parquet
from pipeline.ingest.folders import read_folder, read_librispeech
from pipeline.ingest.kaldi import read_kaldi
from pipeline.ingest.manifests import read_common_voice, read_nemo
from pipeline.ingest.recordings import AUDIO_SUFFIXES, Recordings
from pipeline.storage import Location, check_readable, is_parquet, walk_files

FORMATS: dict[str, Callable[[Location, Location], Recordings]] = {
    "folder": read_folder,
    "nemo": read_nemo,
    "librispeech": read_librispeech,
    "kaldi": read_kaldi,
    "common-voice": read_common_voice,
    "parquet": read_audio_parquet,
}
"""Every reader takes (source, where audio paths may lead) and yields recordings in a fixed order."""
_MANIFESTS = ("manifest.jsonl", "manifest.json")
_SUFFIXES = {".jsonl": "nemo", ".json": "nemo", ".tsv": "common-voice", ".parquet": "parquet"}
_LOOKED_FOR = (
    "audio files (" + " ".join(AUDIO_SUFFIXES) + "), *.trans.txt (LibriSpeech), wav.scp (Kaldi), "
    "manifest.json(l) (NeMo), validated.tsv beside clips/ (Common Voice), *.parquet (Hugging Face)"
)


@dataclasses.dataclass(frozen=True)
class Source:
    """Where a corpus lies and how; ``location`` is the file or folder that the reader of ``format`` takes."""

    location: Location
    format: str


def detect(location: Location, wanted: str | None = None) -> Source:
    """Return the source with its layout: ``wanted`` if given, else what its files tell.

    Raises InputError, saying what was looked for, if no layout fits, and StorageError if it cannot be read.
    """
    check_readable(location)
    if wanted is not None and wanted not in FORMATS:
        raise InputError(f"unknown format '{wanted}'; there are {sorted(FORMATS)}.")
    if location.filesystem.isfile(location.path):
        return Source(location, wanted or _of_file(location))
    for folder, files in walk_files(location):
        names = {posixpath.basename(path) for path, _ in files}
        found = _of_folder(names, Location(location.filesystem, folder), location)
        if found is not None and wanted in (None, found.format):
            return found
    if wanted in ("folder", "librispeech", "parquet"):
        return Source(location, wanted)
    looked = f"for the format '{wanted}'" if wanted else f"for {_LOOKED_FOR}"
    raise InputError(f"{location.uri}: nothing to ingest was found; looked {looked} on all levels.")


def _of_file(location: Location) -> str:
    suffix = posixpath.splitext(location.name)[1].lower()
    if suffix in AUDIO_SUFFIXES:
        return "folder"
    if location.name == "wav.scp":
        return "kaldi"
    if suffix not in _SUFFIXES:
        raise InputError(f"{location.uri}: the layout of a '{suffix}' file is not known; looked for {_LOOKED_FOR}.")
    return _SUFFIXES[suffix]


def _of_folder(names: set[str], folder: Location, source: Location) -> Source | None:
    """What the files of one folder tell; layouts with a manifest come before the audio files that it lists."""
    if "wav.scp" in names:
        return Source(folder, "kaldi")
    for manifest in _MANIFESTS:
        if manifest in names:
            return Source(folder.join(manifest), "nemo")
    if "validated.tsv" in names:
        return Source(folder.join("validated.tsv"), "common-voice")
    if any(name.endswith(".trans.txt") for name in names):
        return Source(source, "librispeech")
    if any(is_parquet(name) for name in names):
        return Source(source, "parquet")
    if any(name.lower().endswith(AUDIO_SUFFIXES) for name in names):
        return Source(source, "folder")
    return None
