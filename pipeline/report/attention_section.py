"""What the contextual adapter attended to, frame by frame: a heat map per chosen utterance."""

import dataclasses
import json
from collections.abc import Sequence
from typing import Any

from pipeline import storage
from pipeline.errors import InputError
from pipeline.markup.html import Html, join, tag

SHOWN = 12  # utterances
_ROWS = 10  # entities of one utterance, those with the highest weight anywhere
_LEAST = 0.02  # weights below are not drawn; nearly all are, and a report has 5 MB
_LEFT, _RIGHT, _ROW, _TOP, _BOTTOM, _WIDTH = 190, 10, 20, 6, 26, 900


@dataclasses.dataclass(frozen=True)
class Attended:
    """Attention of one utterance: ``weights`` [entities][frames] from 0 to 1, what is left is on no entity."""

    utterance_id: str
    frame_seconds: float
    entities: Sequence[str]
    weights: Sequence[Sequence[float]]


def read_attention(path: str) -> list[Attended]:
    """Return the utterances of a JSONL file, one object per line with the fields of Attended.

    Raises StorageError, or InputError, naming the line, for what is not that.
    """
    text = storage.read_bytes(storage.open_filesystem(path)).decode("utf-8", errors="replace")
    lines = [(at, line) for at, line in enumerate(text.splitlines(), start=1) if line.strip()]
    return [_attended(f"{path}: line {at}", line) for at, line in lines[:SHOWN]]


def _attended(where: str, line: str) -> Attended:
    try:
        row: Any = json.loads(line)
        one = Attended(
            str(row["utterance_id"]),
            float(row["frame_seconds"]),
            [str(name) for name in row["entities"]],
            [[float(weight) for weight in weights] for weights in row["weights"]],
        )
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(
            f"{where}: needed is an object with utterance_id, frame_seconds, entities and weights ({error!r})."
        ) from error
    if len(one.weights) != len(one.entities) or len({len(weights) for weights in one.weights}) > 1:
        raise InputError(f"{where}: needed are as many rows of weights as entities, all of one length.")
    if not one.frame_seconds > 0:
        raise InputError(f"{where}: frame_seconds must be above 0, got {one.frame_seconds}.")
    return one


def attention_plots(utterances: Sequence[Attended]) -> Html | None:
    """Return a figure per utterance; None without any."""
    if not utterances:
        return None
    about = tag("p", "The darker, the more of the frame's attention an entity has; what is left is on no entity.")
    return join([about, [_plot(one) for one in utterances[:SHOWN]]])


def _plot(one: Attended) -> Html:
    rows = [(name, weights) for name, weights in zip(one.entities, one.weights, strict=True) if weights]
    rows = sorted(rows, key=lambda row: (-max(row[1]), row[0]))[:_ROWS]
    frames = len(rows[0][1]) if rows else 0
    if not frames:
        return tag("figure", tag("figcaption", tag("code", one.utterance_id), " has no entity to attend to"))
    step = (_WIDTH - _LEFT - _RIGHT) / frames
    marks = [mark for at, (name, weights) in enumerate(rows) for mark in _row(at, name, weights, step)]
    height = _TOP + _ROW * len(rows) + _BOTTOM
    marks += _seconds(frames * one.frame_seconds, step / one.frame_seconds, height)
    drawing = tag(
        "svg", marks, viewBox=f"0 0 {_WIDTH} {height}", class_="attention", role="img", aria_label=_said(one, rows)
    )
    return tag("figure", tag("figcaption", tag("code", one.utterance_id)), drawing)


def _row(at: int, name: str, weights: Sequence[float], step: float) -> list[Html]:
    y = _TOP + at * _ROW
    shown = name if len(name) <= 26 else f"{name[:25]}…"
    marks = [tag("text", shown, tag("title", name), x=_LEFT - 8, y=y + 14, class_="end")]
    marks.append(tag("rect", x=_LEFT, y=y, width=_WIDTH - _LEFT - _RIGHT, height=_ROW - 2, class_="empty"))
    for frame, weight in enumerate(weights):
        if weight >= _LEAST:
            x = round(_LEFT + frame * step, 1)
            opacity = round(min(weight, 1.0), 2)
            marks.append(
                tag("rect", x=x, y=y, width=round(step, 1), height=_ROW - 2, fill_opacity=opacity, class_="heat")
            )
    return marks


def _seconds(total: float, per_second: float, height: int) -> list[Html]:
    every = next(every for every in (0.5, 1, 2, 5, 10, 30, 60, 600, total) if total / every <= 12)
    ticks = [at * every for at in range(int(total / every) + 1)]
    return [
        tag("text", f"{at:g} s", x=round(_LEFT + at * per_second, 1), y=height - 8, class_="middle") for at in ticks
    ]


def _said(one: Attended, rows: Sequence[tuple[str, Sequence[float]]]) -> str:
    """The plot in words: where each entity has its highest weight."""
    parts = []
    for name, weights in rows:
        frame = max(range(len(weights)), key=weights.__getitem__)
        parts.append(f"{name} at most {weights[frame]:.2f}, at {frame * one.frame_seconds:.2f} s")
    return "; ".join(parts)
