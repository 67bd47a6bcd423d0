"""Tables that sort and filter in the browser, and read well without it."""

import dataclasses
from collections.abc import Sequence

from pipeline.markup.html import Child, Html, tag


@dataclasses.dataclass(frozen=True)
class Cell:
    """A cell. It sorts by ``sort``, else by its text; ``number`` sorts it as a number and sets it to the right."""

    content: Child
    sort: float | str | None = None
    number: bool = False


@dataclasses.dataclass(frozen=True)
class Row:
    """A row with an optional detail that opens under it; ``search`` is what the filter looks in, beside the cells."""

    cells: Sequence[Cell]
    detail: Html | None = None
    labels: str = ""  # space-separated labels for the filter buttons


def table(name: str, caption: str, headers: Sequence[str], rows: Sequence[Row]) -> Html:
    """Return a sortable table; its id is ``name``. Every row is a tbody, so that its detail moves with it."""
    numbers = [bool(rows) and at < len(rows[0].cells) and rows[0].cells[at].number for at in range(len(headers))]
    head = tag("tr", [_header(header, number) for header, number in zip(headers, numbers, strict=True)])
    bodies = [_body(f"{name}-{at}", row, len(headers)) for at, row in enumerate(rows)]
    content = (tag("caption", caption), tag("thead", head), bodies)
    return scrolling(tag("table", *content, class_="sortable", id=name), caption)


def scrolling(content: Html, label: str) -> Html:
    """Return ``content`` in a box that scrolls sideways, also from the keyboard."""
    return tag("div", content, class_="scroll", role="region", tabindex=0, aria_label=label)


def _header(text: str, number: bool) -> Html:
    return tag("th", tag("button", text, type="button"), scope="col", class_="n" if number else None)


def _body(name: str, row: Row, width: int) -> Html:
    cells = [_cell(cell, at == 0, f"{name}-d" if row.detail is not None else None) for at, cell in enumerate(row.cells)]
    rows = [tag("tr", cells)]
    if row.detail is not None:
        detail = tag("td", tag("template", row.detail), colspan=width)  # built by the browser when it is opened
        rows.append(tag("tr", detail, class_="detail", id=f"{name}-d", hidden=True))
    return tag("tbody", rows, data_labels=row.labels or None)


def _cell(cell: Cell, first: bool, controls: str | None) -> Html:
    content: Child = cell.content
    if first and controls is not None:
        content = tag("button", content, type="button", class_="open", aria_expanded="false", aria_controls=controls)
    name, scope = ("th", "row") if first else ("td", None)
    return tag(name, content, scope=scope, class_="n" if cell.number else None, data_v=cell.sort)
