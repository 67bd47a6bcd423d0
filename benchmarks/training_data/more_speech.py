"""Write the recorded dialogue of freely given games as an AUDIO parquet for the training of the base.

    python more_speech.py --sources SOURCES --dev-parquet DEV --catalog CATALOG --common-words WORDS --out speech

One file per game, with the columns of the speech data of this project (synthesise.SCHEMA). Pieces of one turn that
follow each other are joined, up to 12 s, with a fifth of a second between them. Left out is what is no plain speech
(cries, sounds in brackets, digits), what is said too fast or too slowly for its words, and what could leak the
development sets (texts.LeakFilter).
"""

from __future__ import annotations

import argparse
import itertools
import pathlib
import re
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import soxr
from synthesise import SAMPLE_RATE, encode, write_file
from talking_games import GAMES, RATE, Line, Samples
from texts import LeakFilter, add_leak_arguments, clean, read_leak_filter, transcript

NO_SPEECH = re.compile(r"[\d()<>\[\]^_{}]|([A-Za-z])\1\1")
MIN_SECONDS, MAX_SECONDS, GAP_SECONDS = 0.6, 12.0, 0.2
SLOWEST, FASTEST = 5.0, 24.0  # letters a second
EDGE_SECONDS, SILENCE = 0.1, 0.02  # kept before and after the voice; the loudest part of silence, of the peak


def trimmed(samples: Samples) -> Samples:
    """Return samples without the silence before and after the voice."""
    loud = np.flatnonzero(np.abs(samples) > SILENCE * np.abs(samples).max(initial=0.0))
    if not len(loud):
        return samples[:0]
    edge = int(EDGE_SECONDS * RATE)
    return samples[max(0, loud[0] - edge) : loud[-1] + edge]


def is_speech(words: str, seconds: float) -> bool:
    """Return whether a recording can be what its words say: neither too short nor too long for them."""
    return bool(words) and seconds >= MIN_SECONDS and SLOWEST <= len(words) / seconds <= FASTEST


def joined(lines: Iterable[Line]) -> Iterator[Line]:
    """Yield lines, with the pieces of a turn joined as far as they fit, but not over a piece that is left out."""
    gap = np.zeros(int(GAP_SECONDS * RATE), np.float32)
    for _, pieces in itertools.groupby(lines, lambda line: (line.turn, line.speaker)):
        whole: Line | None = None
        for piece in pieces:
            samples = trimmed(piece.samples)
            words = "" if NO_SPEECH.search(piece.text) else transcript(clean(piece.text))
            fits = is_speech(words, len(samples) / RATE)
            if whole and (not fits or len(whole.samples) + len(gap) + len(samples) > MAX_SECONDS * RATE):
                yield whole
                whole = None
            if fits and whole:
                sound = np.concatenate([whole.samples, gap, samples])
                whole = Line(whole.name, whole.speaker, whole.turn, f"{whole.text} {words}", sound)
            elif fits:
                whole = Line(piece.name, piece.speaker, piece.turn, words, samples)
        if whole:
            yield whole


def rows(game: str, lines: Iterable[Line], leaks: LeakFilter) -> Iterator[dict[str, Any]]:
    """Yield a row for every utterance that does not leak; the same recording under two names comes once."""
    seen = set()
    for line in joined(lines):
        key = (line.text, len(line.samples))
        if key in seen or leaks.leaks(line.text):
            continue
        seen.add(key)
        samples = soxr.resample(line.samples, RATE, SAMPLE_RATE, quality="HQ").clip(-1, 1)
        utterance = f"{game}-{line.name}"
        yield {
            "utterance_id": utterance,
            "speaker": f"{game}:{line.speaker}",
            "duration_seconds": len(samples) / SAMPLE_RATE,
            "text": line.text,
            "audio": {"bytes": encode(samples), "path": f"{utterance}.flac"},
        }


def main() -> None:
    """Write the files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sources", type=pathlib.Path, required=True)
    add_leak_arguments(parser)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    arguments = parser.parse_args()
    leaks = read_leak_filter(arguments)
    arguments.out.mkdir(parents=True, exist_ok=True)
    for game, load in GAMES.items():
        found = list(rows(game, load(arguments.sources), leaks))
        write_file(found, arguments.out / f"{game}.parquet")
        minutes = sum(row["duration_seconds"] for row in found) / 60
        print(f"{game}: {len(found)} utterances, {minutes:.1f} minutes", flush=True)


if __name__ == "__main__":
    main()
