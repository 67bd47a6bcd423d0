"""Praat's TextGrid, long text form: interval tiers for utterances, words and entities, of each speaker if several.

A tier covers the whole time without gaps and every interval has a length (Praat refuses others), so silence is an
empty interval, and words that the recogniser let touch or overlap are moved apart by a millisecond or more.
"""

import itertools
from collections.abc import Iterable, Sequence

from pipeline.export.speech import Track, Voice, voices

_LEAST = 0.001  # seconds
Mark = tuple[float, float, str]


def textgrid(track: Track) -> str:
    """Return the file's text; times in seconds."""
    tiers: dict[str, list[Mark]] = {}
    for voice in voices(track) or [Voice(None, ())]:
        name = " ".join((voice.speaker or "").split())
        number = next(number for number in itertools.count(1) if _tier_name("words", name, number) not in tiers)
        tiers |= {_tier_name(kind, name, number): marks for kind, marks in _marks(voice).items()}
    placed = {name: intervals(sorted(marks), track.end) for name, marks in tiers.items()}
    end = max(marks[-1][1] for marks in placed.values())
    body = "".join(_tier(number, name, marks, end) for number, (name, marks) in enumerate(placed.items(), start=1))
    head = 'File type = "ooTextFile"\nObject class = "TextGrid"\n\n'
    return f"{head}xmin = 0\nxmax = {end:.6f}\ntiers? <exists>\nsize = {len(tiers)}\nitem []:\n{body}"


def _marks(voice: Voice) -> dict[str, list[Mark]]:
    """The marks of each kind of tier."""
    return {
        "utterances": [
            (one.start, one.end, _text(one.error, (word.word for word in one.words))) for one in voice.utterances
        ],
        "words": [(word.start, word.end, word.word) for one in voice.utterances for word in one.words],
        "entities": [(name.start, name.end, name.shown) for one in voice.utterances for name in one.names],
    }


def _tier_name(kind: str, speaker: str, number: int) -> str:
    """Return the name of a tier as the Montreal Forced Aligner has it; ``number``: of voices that overlap.

    >>> _tier_name("words", "Ann", 2)
    'Ann - words 2'
    """
    return (f"{speaker} - " if speaker else "") + kind + (f" {number}" if number > 1 else "")


def _text(error: str | None, words: Iterable[str]) -> str:
    return f"[error] {error}" if error else " ".join(words)


def intervals(marks: Sequence[Mark], end: float) -> list[Mark]:
    """Return marks in order, each at least a millisecond long, with empty ones between, from 0 to ``end`` or later."""
    found: list[Mark] = []
    at = 0.0
    for start, stop, text in marks:
        start = round(max(start, at), 6)
        if start - at < _LEAST:
            start = at
        else:
            found.append((at, start, ""))
        at = round(max(stop, start + _LEAST), 6)
        found.append((start, at, text))
    last = round(max(end, _LEAST), 6)
    if last - at >= _LEAST or not found:
        found.append((at, last, ""))
    return found


def _tier(number: int, name: str, marks: Sequence[Mark], end: float) -> str:
    marks = [*marks[:-1], (marks[-1][0], end, marks[-1][2])] if not marks[-1][2] else _closed(marks, end)
    lines = [f'    item [{number}]:\n        class = "IntervalTier"\n        name = {_quoted(name)}\n']
    lines.append(f"        xmin = 0\n        xmax = {end:.6f}\n        intervals: size = {len(marks)}\n")
    for place, (start, stop, text) in enumerate(marks, start=1):
        lines.append(f"        intervals [{place}]:\n            xmin = {start:.6f}\n            xmax = {stop:.6f}\n")
        lines.append(f"            text = {_quoted(text)}\n")
    return "".join(lines)


def _closed(marks: Sequence[Mark], end: float) -> Sequence[Mark]:
    return [*marks, (marks[-1][1], end, "")] if end - marks[-1][1] >= 1e-6 else marks


def _quoted(text: str) -> str:
    """Praat doubles quotes within a text; line breaks would be read as part of it."""
    return '"' + " ".join(text.split()).replace('"', '""') + '"'
