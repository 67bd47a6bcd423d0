"""A page that shows what became of a list in one utterance, and where the adapter looked: one file without scripts."""

import dataclasses
from collections.abc import Sequence
from html import escape

import numpy as np
import numpy.typing as npt

from pipeline.recognition.trace import Trace
from pipeline.types.hypothesis import Word

NO_BIAS = "<no-bias>"
_ROW, _LABEL, _HEAD, _CELL = 18, 220, 92, 7  # pixels
_LEAST = 0.01  # a smaller share would not be seen
_MOST_ROWS = 40
_MOST_FATES = 100
_MANY_SECONDS = 1.0  # a tick of the time axis

_STYLE = """
body{font:14px/1.5 system-ui,sans-serif;margin:2em auto;max-width:1200px;padding:0 1em;color:#1c1c1c;background:#fff}
svg{max-width:100%;height:auto}text{font-size:11px;fill:currentColor}.soft{fill:#666}.heat{fill:#b3261e}
.none{fill:#345995}.grid{stroke:#ddd}.plot{overflow-x:auto}table{border-collapse:collapse;margin:1em 0}
th,td{text-align:left;padding:.2em .8em .2em 0;border-bottom:1px solid #8884;vertical-align:top}
code{background:#f2f2f2;padding:0 .3em}
@media(prefers-color-scheme:dark){body{color:#eee;background:#161616}.soft{fill:#aaa}.grid{stroke:#333}
.heat{fill:#ff8a80}.none{fill:#9db8e8}code{background:#2a2a2a}}
"""


@dataclasses.dataclass(frozen=True)
class Explained:
    """What is drawn of one utterance.

    entities: of the shortlist, by their display form
    shares:   [E + 1, T] attention of each frame, the last row that of ``<no-bias>``
    before, after: greedy words without and with the adapter
    trace:    what became of the list
    """

    utterance_id: str
    frame_seconds: float
    entities: tuple[str, ...]
    shares: npt.NDArray[np.float32]
    before: tuple[Word, ...]
    after: tuple[Word, ...]
    listed: int
    trace: Trace


def render(one: Explained) -> str:
    """Return the page as HTML; all texts are escaped."""
    title = f"{one.utterance_id}: what became of the list"
    facts = (
        f"{one.listed} entities on the list, {len(one.entities)} of them plausible in this audio; "
        f"{one.shares.shape[1]} frames of {one.frame_seconds * 1000:.0f} ms."
    )
    return "\n".join(
        [
            "<!doctype html>",
            f'<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title><style>{_STYLE}</style></head>',
            f"<body><h1>{escape(title)}</h1><p>{escape(facts)}</p>",
            _trace(one.trace),
            "<h2>Where the adapter looks</h2>",
            _texts(one),
            f'<div class="plot">{_plot(one)}</div>',
            "<p>The darker a cell, the more of the frame's attention the entity has. Each frame's shares, "
            f"<code>{escape(NO_BIAS)}</code> included, add up to 1. Words stand where they begin.</p>",
            "</body></html>",
        ]
    )


def _trace(trace: Trace) -> str:
    """The texts, how many entities each step kept, and the way of each name."""
    texts = f"<p>Without the list: <q>{escape(trace.unbiased)}</q><br>with it: <q>{escape(trace.text)}</q></p>"
    heads, counts = (
        "".join(f"<{cell}>{escape(str(value))}</{cell}>" for value in values)
        for cell, values in (("th", trace.steps), ("td", trace.steps.values()))
    )
    rows = "".join(
        f"<tr><td>{escape(fate.name)}</td><td>{escape(fate.kept)}</td><td>{escape(fate.why)}</td></tr>"
        for fate in trace.fates[:_MOST_FATES]
    )
    more = len(trace.fates) - _MOST_FATES
    left_out = f"<p>{more} names more are not shown.</p>" if more > 0 else ""
    return (
        f"{texts}<table><tr>{heads}</tr><tr>{counts}</tr></table>"
        f"<table><tr><th>name</th><th>came as far as</th><th>why</th></tr>{rows}</table>{left_out}"
    )


def _texts(one: Explained) -> str:
    before, after = (" ".join(word.text for word in words) for words in (one.before, one.after))
    return f"<p>Best path without the adapter: <q>{escape(before)}</q><br>with it: <q>{escape(after)}</q></p>"


def shown(one: Explained) -> list[int]:
    """Return the rows to draw: the entities that any frame looks at, the most looked at first, and ``<no-bias>``."""
    peaks = one.shares[:-1].max(1) if one.shares.shape[1] else np.zeros(len(one.entities))
    order = sorted(range(len(one.entities)), key=lambda row: (-float(peaks[row]), one.entities[row]))
    return [*order[:_MOST_ROWS], len(one.entities)]


def _plot(one: Explained) -> str:
    rows, frames = shown(one), one.shares.shape[1]
    width, height = _LABEL + frames * _CELL + 20, _HEAD + len(rows) * _ROW + 30
    names = [*one.entities, NO_BIAS]
    marks = [_words(one.after), _time_axis(one, height - 12)]
    for place, row in enumerate(rows):
        y = _HEAD + place * _ROW
        marks.append(f'<text x="{_LABEL - 8}" y="{y + 13}" text-anchor="end">{escape(names[row])}</text>')
        marks.append(_cells(one.shares[row], y, "none" if row == len(one.entities) else "heat"))
    label = escape(f"Attention of {frames} frames to {len(rows) - 1} entities and {NO_BIAS}", quote=True)
    return f'<svg viewBox="0 0 {width} {height}" width="{width}" role="img" aria-label="{label}">{"".join(marks)}</svg>'


def _cells(shares: npt.NDArray[np.float32], y: int, kind: str) -> str:
    return "".join(
        f'<rect class="{kind}" x="{_LABEL + frame * _CELL}" y="{y + 1}" width="{_CELL}" height="{_ROW - 2}" '
        f'fill-opacity="{share:.2f}"/>'
        for frame, share in enumerate(shares.tolist())
        if share >= _LEAST
    )


def _words(words: Sequence[Word]) -> str:
    marks = []
    for word in words:
        x = _LABEL + word.start_frame * _CELL + 4
        turned = f'transform="rotate(-60 {x} {_HEAD - 8})"'
        marks.append(f'<text x="{x}" y="{_HEAD - 8}" {turned}>{escape(word.text)}</text>')
        marks.append(f'<line class="grid" x1="{x - 4}" y1="{_HEAD - 6}" x2="{x - 4}" y2="{_HEAD}"/>')
    return "".join(marks)


def _time_axis(one: Explained, y: int) -> str:
    seconds = one.shares.shape[1] * one.frame_seconds
    ticks = np.arange(0.0, seconds + 1e-6, _MANY_SECONDS)
    return "".join(
        f'<text class="soft" x="{_LABEL + tick / one.frame_seconds * _CELL:.0f}" y="{y}">{tick:.0f} s</text>'
        for tick in ticks.tolist()
    )
