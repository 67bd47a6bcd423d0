"""CTM and STM, as sclite of NIST's Scoring Toolkit reads them.

CTM: ``<file> <channel> <start> <duration> <word> <confidence>``, a line per word, sorted by file, channel and start.
STM: ``<file> <channel> <speaker> <start> <end> <text>``, a line per utterance; one that has no transcript because of an
error has the text IGNORE_TIME_SEGMENT_IN_SCORING, which takes its time out of the scoring. Fields are separated by
blanks and ``;;`` begins a comment, so both are percent-encoded within ids.
"""

import re

from pipeline.export.schema import stamp
from pipeline.export.speech import Track

CHANNEL = "1"
IGNORED = "IGNORE_TIME_SEGMENT_IN_SCORING"
_UNSAFE = re.compile(r"[\s%;<>\x00-\x1f\x7f]")


def field(text: str) -> str:
    """Return an id as one field; different ids stay different.

    >>> field("talk 1;b")
    'talk%201%3Bb'
    """
    return _UNSAFE.sub(lambda match: "".join(f"%{byte:02X}" for byte in match[0].encode()), text) or "%"


def ctm_head() -> str:
    return f";; {stamp('rollcall.ctm')}\n"


def stm_head() -> str:
    return f";; {stamp('rollcall.stm')}\n"


def ctm_lines(track: Track) -> list[str]:
    """The words of a track in the order in which they begin."""
    name = field(track.name)
    words = sorted((word for one in track.utterances for word in one.words), key=lambda word: word.start)
    return [
        f"{name} {CHANNEL} {word.start:.3f} {max(0.0, word.end - word.start):.3f} {field(word.word)} "
        f"{min(1.0, max(0.0, word.confidence)):.4f}\n"
        for word in words
    ]


def stm_lines(track: Track) -> list[str]:
    """The utterances of a track."""
    name = field(track.name)
    lines = []
    for one in track.utterances:
        speaker = field(one.speaker) if one.speaker else "unknown"
        text = IGNORED if one.error else " ".join(word.word for word in one.words)
        lines.append(f"{name} {CHANNEL} {speaker} {one.start:.3f} {one.end:.3f} {text}".rstrip() + "\n")
    return lines
