"""SRT and WebVTT: cues that can be read, of at most two lines of 42 characters and 7 seconds.

The limits are those of common subtitling guidelines (BBC, Netflix). A cue ends at a pause, when its lines are full, or
before it would have been there for more than 7 seconds. Cues are made per speaker: those of one never overlap, those
of several may, and are named.
"""

import dataclasses
import html
from collections.abc import Iterator, Sequence

from pipeline.export.schema import stamp
from pipeline.export.speech import Spoken, Track, Voice, voices

LINE = 42  # characters
LINES = 2
LONGEST = 7.0  # seconds
SHORTEST = 1.0  # seconds that a cue stays, unless the next one comes earlier
PAUSE = 0.7  # seconds of silence after which a new cue begins


@dataclasses.dataclass(frozen=True)
class Cue:
    """Times in seconds; ``speaker`` where a track has several. SRT has the name in ``lines``, too."""

    start: float
    end: float
    lines: tuple[str, ...]
    speaker: str | None = None


def cues(track: Track, named: bool = False) -> list[Cue]:
    """Return the cues of a track, in order and within it; every word stands in exactly one.

    Those of one voice (pipeline.export.speech.voices) do not overlap. ``named``: lines begin with the speaker's name.
    """
    found = [cue for voice in voices(track) for cue in _cues(voice, track.end, named)]
    return sorted(found, key=lambda cue: (cue.start, cue.end))


def _cues(voice: Voice, last: float, named: bool) -> list[Cue]:
    speaker = " ".join((voice.speaker or "").split())
    lead = f"{speaker}:" if named and speaker else ""
    words = sorted((word for one in voice.utterances for word in one.words), key=lambda word: word.start)
    groups = list(_groups([word for word in words if word.shown], lead))
    found = []
    for at, group in enumerate(groups):
        start, end = group[0].start, max(word.end for word in group)
        following = groups[at + 1][0].start if at + 1 < len(groups) else float("inf")
        end = min(max(end, start + SHORTEST), max(following, start), start + LONGEST, max(last, start))
        found.append(Cue(start, end, tuple(wrap(group, lead)), speaker or None))
    return found


def _groups(words: Sequence[Spoken], lead: str) -> Iterator[list[Spoken]]:
    held: list[Spoken] = []
    for word in words:
        if held and _ends(held, word, lead):
            yield held
            held = []
        held.append(word)
    if held:
        yield held


def _ends(held: list[Spoken], word: Spoken, lead: str) -> bool:
    paused = word.start - held[-1].end > PAUSE
    return paused or word.end - held[0].start > LONGEST or len(wrap([*held, word], lead)) > LINES


def wrap(words: Sequence[Spoken], lead: str = "") -> list[str]:
    """Break words into lines of at most 42 characters, ``lead`` before them; a longer word has a line of its own."""
    lines = [lead] if lead else []
    for word in words:
        shown = " ".join(word.shown.split())
        if lines and len(lines[-1]) + 1 + len(shown) <= LINE:
            lines[-1] += f" {shown}"
        else:
            lines.append(shown)
    return lines


def srt(track: Track) -> str:
    """SubRip: numbered cues, a comma before the milliseconds. It has no escapes: what would be markup is replaced."""
    return "".join(
        f"{number}\n{_clock(cue.start, ',')} --> {_clock(cue.end, ',')}\n{_srt_text(cue.lines)}\n\n"
        for number, cue in enumerate(cues(track, named=True), start=1)
    )


def _srt_text(lines: Sequence[str]) -> str:
    plain = str.maketrans({"<": "‹", ">": "›", "{": "(", "}": ")"})
    return "\n".join(line.replace("-->", "→").translate(plain) for line in lines)


def vtt(track: Track) -> str:
    """WebVTT: a header, a note that names the schema, and cues with escaped text."""
    parts = [f"WEBVTT\n\nNOTE {stamp('rollcall.subtitles')}\n\n"]
    for number, cue in enumerate(cues(track), start=1):
        voice = f"<v {html.escape(cue.speaker, quote=False)}>" if cue.speaker else ""
        text = voice + "\n".join(html.escape(line, quote=False) for line in cue.lines)
        parts.append(f"{number}\n{_clock(cue.start, '.')} --> {_clock(cue.end, '.')}\n{text}\n\n")
    return "".join(parts)


def _clock(seconds: float, point: str) -> str:
    """
    >>> _clock(3661.5, ",")
    '01:01:01,500'
    """
    milliseconds = round(seconds * 1000)
    minutes, rest = divmod(milliseconds, 60_000)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{rest // 1000:02d}{point}{rest % 1000:03d}"
