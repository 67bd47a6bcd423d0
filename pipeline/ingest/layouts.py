"""Which layout a source has, and the reader of each."""

import dataclasses
import posixpath
from collections import Counter
from collections.abc import Callable, Container
from itertools import groupby, islice

from pipeline.audio.sniff import HEAD_BYTES, is_audio
from pipeline.errors import InputError
from pipeline.ingest.audio_parquet import read_audio_parquet
from pipeline.ingest.folders import read_folder, read_librispeech
from pipeline.ingest.kaldi import read_kaldi
from pipeline.ingest.listing import Listing
from pipeline.ingest.manifests import read_common_voice, read_nemo
from pipeline.ingest.recordings import AUDIO_SUFFIXES, Recordings
from pipeline.storage import Location, check_readable, is_parquet, read_head, walk_files

_MANIFESTS = ("manifest.jsonl", "manifest.json")
_NAMED = 5  # sources of a layout that an error names
FORMATS: dict[str, Callable[[Location, Location, Listing], Recordings]] = {
    "folder": read_folder,
    "nemo": read_nemo,
    "librispeech": read_librispeech,
    "kaldi": read_kaldi,
    "common-voice": read_common_voice,
    "parquet": read_audio_parquet,
}
"""Every reader takes (source, where audio paths may lead, listing) and yields recordings in a fixed order."""
_NAMES = {".jsonl": "nemo", ".json": "nemo", ".tsv": "common-voice", ".parquet": "parquet", ".pq": "parquet"}
_LISTS = ("kaldi", "nemo", "common-voice")  # layouts whose audio is what a file says, and a source of its own
_FIRST_LINE = 1 << 16  # bytes of a file in which the first line of a manifest is looked for
_LOOKED_FOR = (
    "audio files (" + " ".join(AUDIO_SUFFIXES) + "; others by their content), *.trans.txt (LibriSpeech), wav.scp "
    "(Kaldi), .json(l) with audio_filepath (NeMo), .tsv with client_id, path and sentence beside clips/ (Common "
    "Voice), *.parquet (Hugging Face)"
)


@dataclasses.dataclass(frozen=True)
class Source:
    """Where a corpus lies and how; ``location`` is the file or folder that the reader of ``format`` takes.

    split: what tells it from the other sources of the same corpus, as "train"; empty where it is the only one
    """

    location: Location
    format: str
    split: str = ""

    @property
    def folder(self) -> Location:
        """Where its audio paths start."""
        return self.location.parent if self.location.filesystem.isfile(self.location.path) else self.location


def detect(location: Location, wanted: str | None = None, listing: Listing | None = None) -> list[Source]:
    """Return everything that is to be ingested: sources of the layout ``wanted`` if given, else what the files tell.

    All sources are of one layout: where a folder holds several, nobody knows which rows are meant twice. Raises
    InputError, saying what was looked for, if no layout fits, and naming them if several do; StorageError if it cannot
    be read.
    """
    check_readable(location)
    if wanted is not None and wanted not in FORMATS:
        raise InputError(f"unknown format '{wanted}'; there are {sorted(FORMATS)}.")
    if location.filesystem.isfile(location.path) and not _is_folder_too(location):
        return [Source(location, wanted or _of_file(location))]
    found = _found(location, listing or Listing())
    if wanted in ("folder", "librispeech", "parquet"):
        return [Source(location, wanted)]
    formats = sorted({source.format for source in found if wanted in (None, source.format)})
    if len(formats) > 1:
        where = "; ".join(f"{name} in {_places(found, name, location)}" for name in formats)
        raise InputError(
            f"{location.uri} holds several layouts: {where}. Choose one with --format, or ingest them one by one."
        )
    if formats:
        return _told_apart([source for source in found if source.format == formats[0]], location)
    if wanted is None and next(read_folder(location, location, Listing()), None) is not None:
        return [Source(location, "folder")]
    looked = f"for the format '{wanted}'" if wanted else f"for {_LOOKED_FOR}"
    raise InputError(f"{location.uri}: nothing to ingest was found; looked {looked} on all levels.")


def note_unnamed(location: Location, named: Container[int], listing: Listing) -> None:
    """Count the audio files below a folder whose paths' hashes are not in ``named``."""
    for _, files in walk_files(location):
        for path, _ in files:
            if path.lower().endswith(AUDIO_SUFFIXES) and hash(path) not in named:
                listing.unnamed.add(location.relative(path))


def is_list(source: Source) -> bool:
    """Whether the layout has files that name the audio."""
    return source.format in _LISTS


def _is_folder_too(location: Location) -> bool:
    """On s3 an object ``rec`` may stand beside a folder ``rec/``."""
    return not location.is_local and len(list(islice(walk_files(location), 2))) > 1


def _places(found: list[Source], name: str, location: Location) -> str:
    places = [location.relative(source.location.path) or "." for source in found if source.format == name]
    return ", ".join(places[:_NAMED]) + (f" and {len(places) - _NAMED} more" if len(places) > _NAMED else "")


def _told_apart(sources: list[Source], location: Location) -> list[Source]:
    """Give each source its split: the folder of its file or, if that holds several, the file without its ending."""
    if len(sources) == 1:
        return sources
    folders = Counter(source.folder.path for source in sources)
    splits = []
    for source in sources:
        alone = folders[source.folder.path] == 1 and source.folder.path != location.path
        place = location.relative(source.folder.path if alone else source.location.path)
        splits.append(dataclasses.replace(source, split=place if alone else posixpath.splitext(place)[0]))
    return splits


def _of_file(location: Location) -> str:
    suffix = posixpath.splitext(location.name)[1].lower()
    if location.name == "wav.scp":
        return "kaldi"
    if suffix in _NAMES:
        return _NAMES[suffix]
    head = read_head(location, HEAD_BYTES)
    if suffix in AUDIO_SUFFIXES or is_audio(head):
        return "folder"
    if head[:4] == b"PAR1":
        return "parquet"
    raise InputError(f"{location.uri}: the layout of a '{suffix}' file is not known; looked for {_LOOKED_FOR}.")


def _found(location: Location, listing: Listing) -> list[Source]:
    """Return the sources of every layout but plain folders; LibriSpeech and parquet are one each, with all levels."""
    found: list[Source] = []
    whole: set[str] = set()
    for folder, pages in groupby(walk_files(location), key=lambda page: page[0]):
        here = Location(location.filesystem, folder)
        tables = []
        for path in (path for _, files in pages for path, _ in files):
            name = posixpath.basename(path)
            if name == "wav.scp":
                found.append(Source(here, "kaldi"))
            elif name.endswith(".trans.txt"):
                whole.add("librispeech")
            elif is_parquet(location.relative(path)):
                whole.add("parquet")
            elif name.lower().endswith((".json", ".jsonl")) and _is_nemo(here.join(name)):
                found.append(Source(here.join(name), "nemo"))
            elif name.lower().endswith(".tsv") and _is_common_voice(here.join(name)):
                tables.append(name)
        found += [Source(here.join(name), "common-voice") for name in _validated(tables, here, listing)]
    return found + [Source(location, name) for name in sorted(whole)]


def _validated(tables: list[str], folder: Location, listing: Listing) -> list[str]:
    """Return the tables of a Common Voice folder to take: validated.tsv, which holds train, dev and test, or all."""
    if "validated.tsv" not in tables:
        return tables
    others = [name for name in tables if name != "validated.tsv"]
    if others:
        listing.said.append(
            f"{folder.uri}: validated.tsv was taken, which holds train, dev and test; {', '.join(others)} left out"
        )
    return ["validated.tsv"]


def _is_nemo(location: Location) -> bool:
    """Whether the first line is JSON with ``audio_filepath``, or the file is called a manifest and may have errors."""
    return location.name in _MANIFESTS or b'"audio_filepath"' in _first_line(location)


def _is_common_voice(location: Location) -> bool:
    header = _first_line(location).strip().split(b"\t")
    return location.name == "validated.tsv" or {b"client_id", b"path", b"sentence"} <= set(header)


def _first_line(location: Location) -> bytes:
    return read_head(location, _FIRST_LINE).lstrip(b"\xef\xbb\xbf").lstrip().partition(b"\n")[0]
