"""Scores as tables on the terminal: what jobs.score and jobs.compare print."""

from rich import box
from rich.console import Console
from rich.table import Table

from pipeline.scoring.difference import differences
from pipeline.scoring.metrics import GROUPS, RATE_NAMES, Rate, show
from pipeline.scoring.score import ScoreResult


def print_summary(
    result: ScoreResult, baseline: ScoreResult | None = None, labels: tuple[str, str] = ("baseline", "this run")
) -> None:
    """Print the headline table; with a baseline, both systems and the change."""
    console = Console()
    console.print(_words_table(result))
    console.print(_rates_table(result, baseline, labels))


def _words_table(result: ScoreResult) -> Table:
    table = Table("", "words", "substitutions", "insertions", "deletions", box=box.SIMPLE_HEAD)
    table.title = f"{len(result.utterances)} utterances"
    for group in GROUPS:
        counts = result.word_counts(group)
        numbers = (counts.words, counts.substitutions, counts.insertions, counts.deletions)
        table.add_row(RATE_NAMES[group], *map(str, numbers))
    return table


def _rates_table(result: ScoreResult, baseline: ScoreResult | None, labels: tuple[str, str]) -> Table:
    names = [*labels, "change"] if baseline is not None else [labels[1]]
    table = Table("", *names, box=box.SIMPLE_HEAD)
    changes = differences(baseline, result) if baseline is not None else {}
    for name, label in RATE_NAMES.items():
        cells = [_cell(name, result.rates[name])]
        if baseline is not None:
            cells = [_cell(name, baseline.rates[name]), *cells, _cell(name, changes[name].change, signed=True)]
        table.add_row(label, *cells)
    table.caption = f"in brackets: {result.bootstrap.confidence:.0%} bootstrap interval over utterances"
    return table


def _cell(name: str, rate: Rate, signed: bool = False) -> str:
    shown = show(name, rate.value, signed)
    if rate.low is None:
        return shown
    interval = f"{show(name, rate.low, signed)}, {show(name, rate.high, signed)}".replace("%", "")
    return f"{shown} [dim]\\[{interval}][/]"
