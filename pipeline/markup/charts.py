"""Small SVG charts. Each carries its numbers as a label for those who do not see it."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Protocol

from pipeline.markup.html import Html, tag

_WIDTH, _HEIGHT, _MARGIN = 260, 30, 8


class Interval(Protocol):
    """A value and its interval, each None where it is undefined; pipeline.scoring.metrics.Rate is one."""

    @property
    def value(self) -> float | None: ...
    @property
    def low(self) -> float | None: ...
    @property
    def high(self) -> float | None: ...


@dataclasses.dataclass(frozen=True)
class Series:
    """One system's rate in a strip; ``name`` is the CSS class that colours it."""

    name: str
    rate: Interval


def strip(series: Sequence[Series], top: float, label: str) -> Html:
    """Return dots with interval whiskers on an axis from 0 to ``top``, one line per system."""
    marks: list[Html] = []
    step = _HEIGHT / (len(series) + 1)
    for at, one in enumerate(series, start=1):
        marks += _marks(one, top, step * at)
    axis = tag("line", x1=_MARGIN, x2=_WIDTH - _MARGIN, y1=_HEIGHT - 2, y2=_HEIGHT - 2, class_="axis")
    box = f"0 0 {_WIDTH} {_HEIGHT}"
    return tag("svg", axis, marks, viewBox=box, class_="strip", role="img", aria_label=label)


def _marks(series: Series, top: float, y: float) -> list[Html]:
    rate = series.rate
    if rate.value is None:
        return []
    marks = []
    if rate.low is not None and rate.high is not None:
        x1, x2 = _x(rate.low, top), _x(rate.high, top)
        marks.append(tag("line", x1=x1, x2=x2, y1=round(y, 1), y2=round(y, 1), class_=f"whisker {series.name}"))
    return [*marks, tag("circle", cx=_x(rate.value, top), cy=round(y, 1), r=4, class_=f"dot {series.name}")]


def _x(value: float, top: float) -> float:
    share = min(max(value / top, 0.0), 1.0) if top > 0 else 0.0
    return round(_MARGIN + share * (_WIDTH - 2 * _MARGIN), 1)


def bar(share: float, label: str) -> Html:
    """Return ``label`` with a bar that is filled to ``share`` (0 to 1)."""
    filled = tag("rect", x=0, y=0, width=round(60 * share, 1), height=8, class_="fill")
    drawing = tag("svg", filled, viewBox="0 0 60 8", class_="bar", aria_hidden="true")
    return tag("span", drawing, f" {label}", class_="barred")


@dataclasses.dataclass(frozen=True)
class Point:
    """One measurement, y with its interval if it has one."""

    x: float
    y: float
    low: float | None = None
    high: float | None = None
    label: str = ""


@dataclasses.dataclass(frozen=True)
class Curve:
    """Points joined in order; ``name`` is the CSS class that colours and dashes the line."""

    name: str
    title: str
    points: Sequence[Point]


_CHART_WIDTH, _CHART_HEIGHT, _LEFT, _BOTTOM, _PADDING = 640, 320, 56, 44, 16


@dataclasses.dataclass(frozen=True)
class _Frame:
    """Maps data to the drawing."""

    x: tuple[float, float]
    y: tuple[float, float]

    def across(self, value: float) -> float:
        share = (value - self.x[0]) / (self.x[1] - self.x[0])
        return round(_LEFT + share * (_CHART_WIDTH - _LEFT - _PADDING), 1)

    def up(self, value: float) -> float:
        share = (value - self.y[0]) / (self.y[1] - self.y[0])
        return round(_CHART_HEIGHT - _BOTTOM - share * (_CHART_HEIGHT - _BOTTOM - _PADDING), 1)


def chart(curves: Sequence[Curve], x_title: str, y_title: str, x_labels: Mapping[float, str] | None = None) -> Html:
    """Return a line chart of rates (y from 0 to 1), with its legend; ``x_labels`` name whole-number positions."""
    points = [point for curve in curves for point in curve.points]
    if not points:
        return tag("p", "Nothing to draw: the rates are undefined.")
    frame = _Frame(_range([point.x for point in points]), _range([point.y for point in points]))
    drawn = [*_axes(frame, x_title, y_title, x_labels), *(mark for curve in curves for mark in _curve(frame, curve))]
    label = "; ".join(f"{curve.title}: {', '.join(f'{point.y:.1%}' for point in curve.points)}" for curve in curves)
    drawing = tag(
        "svg", drawn, viewBox=f"0 0 {_CHART_WIDTH} {_CHART_HEIGHT}", class_="chart", role="img", aria_label=label
    )
    keys = [tag("span", tag("span", class_=f"line {curve.name}"), f" {curve.title}", class_="key") for curve in curves]
    return tag("figure", drawing, tag("figcaption", keys))


def _range(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    margin = (high - low) * 0.08 or 0.05
    return low - margin, high + margin


def _axes(frame: _Frame, x_title: str, y_title: str, x_labels: Mapping[float, str] | None) -> list[Html]:
    bottom, left = _CHART_HEIGHT - _BOTTOM, _LEFT
    ticks: Mapping[float, str] = x_labels or {value: f"{value:.0%}" for value in _ticks(frame.x)}
    marks = [tag("line", x1=left, x2=_CHART_WIDTH - _PADDING, y1=bottom, y2=bottom, class_="axis")]
    for value in _ticks(frame.y):
        y = frame.up(value)
        marks.append(tag("line", x1=left, x2=_CHART_WIDTH - _PADDING, y1=y, y2=y, class_="grid"))
        marks.append(tag("text", f"{value:.0%}", x=left - 6, y=y + 4, class_="end"))
    marks += [tag("text", text, x=frame.across(value), y=bottom + 18, class_="middle") for value, text in ticks.items()]
    marks.append(tag("text", x_title, x=(left + _CHART_WIDTH) / 2, y=_CHART_HEIGHT - 6, class_="middle"))
    return [*marks, tag("text", y_title, x=4, y=12)]


def _ticks(ends: tuple[float, float]) -> list[float]:
    """Round numbers inside the range, 3 to 7 of them."""
    span = ends[1] - ends[0]
    step = next(step for step in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, span) if span / step <= 7)
    first = math.ceil(ends[0] / step)
    return [round(at * step, 6) for at in range(first, math.floor(ends[1] / step) + 1) if 0 <= at * step <= 1]


def _curve(frame: _Frame, curve: Curve) -> list[Html]:
    path = " ".join(f"{frame.across(point.x)},{frame.up(point.y)}" for point in curve.points)
    marks = [tag("polyline", points=path, class_=f"line {curve.name}")]
    for point in curve.points:
        x = frame.across(point.x)
        if point.low is not None and point.high is not None:
            y1, y2 = frame.up(point.low), frame.up(point.high)
            marks.append(tag("line", x1=x, x2=x, y1=y1, y2=y2, class_=f"line {curve.name}"))
        marks.append(tag("circle", cx=x, cy=frame.up(point.y), r=4, class_=f"point {curve.name}"))
        if point.label:
            marks.append(tag("text", point.label, x=x + 7, y=frame.up(point.y) - 6))
    return marks
