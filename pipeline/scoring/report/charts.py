"""Small SVG charts. Each carries its numbers as a label for those who do not see it."""

import dataclasses
from collections.abc import Sequence

from pipeline.scoring.metrics import Rate
from pipeline.scoring.report.markup import Html, tag

_WIDTH, _HEIGHT, _MARGIN = 260, 30, 8


@dataclasses.dataclass(frozen=True)
class Series:
    """One system's rate in a strip; ``name`` is the CSS class that colours it."""

    name: str
    rate: Rate


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
