"""Folders of audio files, and LibriSpeech, whose folders hold a transcript file besides."""

import posixpath
from collections import Counter
from itertools import groupby

from pipeline.audio.sniff import HEAD_BYTES, is_audio
from pipeline.errors import InputError
from pipeline.ingest.listing import Listing
from pipeline.ingest.recordings import (
    AUDIO_SUFFIXES,
    USUAL_SUFFIXES,
    Recording,
    Recordings,
    Utterance,
    without_audio_suffix,
    without_suffix,
)
from pipeline.storage import Location, read_bytes, read_head, walk_files


def read_folder(source: Location, _root: Location, listing: Listing) -> Recordings:
    """Yield every audio file on all levels; the id is the path below ``source`` without an audio file's ending.

    Where another file of the folder has the same name, as clip.mov beside clip.mkv, a less usual ending stays.
    Files of other names are looked into: what holds audio is taken, and what does not is counted in ``listing``.
    """
    base = source.parent if source.filesystem.isfile(source.path) else source
    for _, files in walk_files(source):
        names = Counter(without_audio_suffix(base.relative(path)) for path, _ in files)
        for path, size in files:
            label = base.relative(path)
            name = without_audio_suffix(label)
            if names[name] > 1 and not label.lower().endswith(USUAL_SUFFIXES):
                name = label
            named = label.lower().endswith(AUDIO_SUFFIXES) or path == source.path
            if named or is_audio(read_head(Location(source.filesystem, path), HEAD_BYTES)):
                yield Recording(path, label, (Utterance(name),), size)
            else:
                listing.not_audio.add(label)


def read_librispeech(source: Location, _root: Location, listing: Listing) -> Recordings:
    """Yield SPEAKER/CHAPTER/SPEAKER-CHAPTER-NNNN.flac with the text of its ``*.trans.txt``; the id is the file's name.

    A transcript whose file is missing becomes an utterance with an error. Raises InputError for a malformed line.
    """
    for folder, pages in groupby(walk_files(source), key=lambda page: page[0]):
        files = [file for _, page in pages for file in page]
        sizes = {path: size for path, size in files if path.lower().endswith(AUDIO_SUFFIXES)}
        texts: dict[str, str] = {}
        for path, _ in files:
            if path.endswith(".trans.txt"):
                texts |= _transcripts(Location(source.filesystem, path))
            elif path not in sizes:
                listing.not_audio.add(source.relative(path))
        named = {posixpath.basename(without_suffix(path)): path for path in sizes}
        if len(named) < len(sizes):
            raise InputError(f"{folder}: audio files of the same name but different endings; keep one of each.")
        for name in sorted(named | texts):
            path = named.get(name, f"{folder}/{name}.flac")
            error = None if name in named else f"{path}: in the transcripts, but the audio file is missing."
            yield Recording(path, source.relative(path), (_utterance(name, texts.get(name), error),), sizes.get(path))


def _utterance(name: str, text: str | None, error: str | None) -> Utterance:
    parts = name.split("-")
    speaker = parts[0] if len(parts) == 3 else None
    session = "-".join(parts[:2]) if len(parts) == 3 else None
    return Utterance(name, text, speaker, session, error=error)


def _transcripts(location: Location) -> dict[str, str]:
    """One chapter's lines of ``ID TEXT``."""
    texts = {}
    try:
        lines = read_bytes(location).decode("utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise InputError(f"{location.uri}: not UTF-8 text ({error}).") from error
    for number, line in enumerate(lines, 1):
        name, _, text = line.strip().partition(" ")
        if name in texts:
            raise InputError(f"{location.uri} line {number}: utterance id '{name}' is there twice; remove one.")
        if name:
            texts[name] = text.strip()
    return texts
