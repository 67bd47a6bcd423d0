"""Texts under each other, word by word: what was said, and what each system wrote."""

import dataclasses
from collections.abc import Sequence

from pipeline.markup.html import Html, join, tag
from pipeline.markup.tables import scrolling
from pipeline.report.examples import SHARES, Times, Why
from pipeline.scoring.alignment import DELETION, INSERTION, MATCH, align
from pipeline.scoring.score import UtteranceScore

_CLASSES = {"S": "s", "I": "i", "D": "d"}


@dataclasses.dataclass(frozen=True)
class Cell:
    """One word of one row: its text, whether it differs from what was said, whether it is part of an entity, when."""

    text: str = ""
    mark: str = ""  # "", "S", "I" or "D"
    entity: bool = False
    times: tuple[float, float] | None = None  # start and end, seconds


Column = list[Cell]


def columns_of(systems: Sequence[UtteranceScore], times: Times = ()) -> list[Column]:
    """Return the columns of the reference (first cell) and of every system (one cell each) for one utterance.

    ``times`` are those of the words of the last system, where they are known.
    Every reference word is a column; before each stand as many columns as the system with the most insertions needs.
    """
    first = systems[0]
    reference = first.reference.split()
    said = _inside([(found.start, found.end) for found in first.said])
    rows = [*(_system_cells(system, ()) for system in systems[:-1]), _system_cells(systems[-1], times)]
    columns: list[Column] = []
    for at in range(len(reference) + 1):
        for gap in range(max(len(row[0][at]) for row in rows)):
            cells = [row[0][at][gap] if gap < len(row[0][at]) else Cell() for row in rows]
            columns.append([Cell(), *cells])
        if at < len(reference):
            columns.append([Cell(reference[at], entity=at in said), *(row[1][at] for row in rows)])
    return columns


def _system_cells(system: UtteranceScore, times: Times) -> tuple[list[list[Cell]], list[Cell]]:
    """Return (insertions before each reference word and at the end, the cell of each reference word)."""
    words, size = system.hypothesis.split(), len(system.reference.split())
    timed = times if len(times) == len(words) else [None] * len(words)
    written = _inside([(found.start, found.end) for found in system.written])
    gaps: list[list[Cell]] = [[] for _ in range(size + 1)]
    cells: list[Cell] = []
    for step in align(system.reference.split(), words):
        text = words[step.hypothesis] if step.hypothesis is not None else ""
        entity = step.hypothesis in written
        when = timed[step.hypothesis] if step.hypothesis is not None else None
        if step.operation == INSERTION:
            gaps[len(cells)].append(Cell(text, "I", entity, when))
        else:
            mark = "" if step.operation == MATCH else "D" if step.operation == DELETION else "S"
            cells.append(Cell(text, mark, entity, when))
    return gaps, cells


def _inside(spans: Sequence[tuple[int, int]]) -> set[int | None]:
    return {at for start, end in spans for at in range(start, end)}


def aligned(systems: Sequence[UtteranceScore], labels: Sequence[str], times: Times = ()) -> Html:
    """Return one utterance as markup: columns for the eye, plain sentences for screen readers and for copying.

    ``labels`` name the rows: one for what was said, then one per system.
    """
    names = tag("b", [tag("i", label) for label in labels], class_="names")
    columns = [
        tag("b", [_cell(cell) for cell in column]) for column in columns_of(systems, times)
    ]  # short tags: many words
    texts = [systems[0].reference, *(system.hypothesis for system in systems)]
    plain = [tag("p", f"{label}: {text or 'nothing'}") for label, text in zip(labels, texts, strict=True)]
    return tag("div", tag("div", names, columns, class_="aligned", aria_hidden="true"), tag("div", plain, class_="sr"))


def _cell(cell: Cell) -> Html:
    classes = " ".join(part for part in (_CLASSES.get(cell.mark), "e" if cell.entity else None) if part)
    text = cell.text or ("–" if cell.mark == "D" else "\u00a0")
    if cell.times is None:
        return tag("i", text, class_=classes or None)
    start, end = cell.times
    return tag("i", text, class_=classes or None, data_t=round(start, 2), title=f"{start:.2f} to {end:.2f} s")


def word_times(hypothesis: str, times: Times) -> Html | None:
    """Return when each word was said, folded away; None where that is not known."""
    words = hypothesis.split()
    if not words or len(words) != len(times):
        return None
    listed = [f"{word} {start:.2f}–{end:.2f}" for word, (start, end) in zip(words, times, strict=True)]
    return tag("details", tag("summary", "Word times (s)"), tag("p", ", ".join(listed)), class_="times")


def explanation(reasons: Sequence[Why], utterance_id: str) -> Html | None:
    """Return why the entities of an utterance were written, folded away; None if the run does not say."""
    if not reasons:
        return None
    names = ("Entity", "Time (s)", "Techniques", "Acoustic", "LM", "Boost", "Phone cost", "Without the list")
    rows = [tag("tr", tag("th", why.name, scope="row"), [tag("td", text) for text in _reason(why)]) for why in reasons]
    head = tag("thead", tag("tr", [tag("th", name, scope="col") for name in names]))
    table = scrolling(
        tag("table", head, tag("tbody", rows)), f"Why the entities of {utterance_id} were written; scores in nats"
    )
    return tag("details", tag("summary", "Why these entities (scores in nats)"), table, class_="times")


def _reason(why: Why) -> list[str]:
    known = why.start_seconds is not None and why.end_seconds is not None
    when = f"{why.start_seconds:.2f}–{why.end_seconds:.2f}" if known else "–"
    shares = [f"{why.shares[name]:.2f}" if name in why.shares else "–" for name in SHARES]
    return [when, ", ".join(why.techniques) or "–", *shares, "–" if why.alternative is None else why.alternative]


def legend() -> Html:
    """What the colours and marks mean."""
    marks = [("s", "other word"), ("i", "extra word"), ("d", "missing word"), ("e", "list entity")]
    return tag("p", [join([tag("span", text, class_=f"key {name}"), " "]) for name, text in marks], class_="legend")
