"""The table at the end of a run."""

from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

_REJECTED_SHOWN = 3  # entries of the list; run.json has more
_SHOWN = 40  # characters of an entry


def print_summary(record: Mapping[str, Any], console: Console) -> None:
    """Print run.json as a table."""
    table = Table(title=f"run {record['fingerprint']}", title_justify="left", show_header=False)
    for name, value in _lines(record):
        table.add_row(name, escape(value))
    console.print(table)


def _lines(record: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    counts = record["counts"]
    yield "utterances in / out", f"{counts['rows_in']:,} / {counts['rows_out']:,}"
    yield "with an error", f"{sum(counts['errors'].values()):,}"
    for kind, count in counts["errors"].items():
        yield "", f"{count:,} x {kind}"
    yield "audio", f"{record['audio_hours']:.2f} h"
    yield "entities found", f"{counts['entities_found']:,}"
    entries = record["entities"]["rejected"]["count"]
    if entries:
        yield "list entries rejected", f"{entries:,} (see run.json)"
    for one in record["entities"]["rejected"]["examples"][:_REJECTED_SHOWN]:
        yield "", f"line {one['row']}: '{_short(one['entry'])}' {one['reason']}"
    for stage, facts in record["stages"].items():
        yield stage, _stage(facts)
    yield "wall time", f"{record['wall_seconds']:.1f} s, of which start-up {record['startup_seconds']:.1f} s"
    yield "transcripts", str(record["transcripts"])


def _short(entry: str) -> str:
    return entry if len(entry) <= _SHOWN else f"{entry[:_SHOWN]}…"


def _stage(facts: Mapping[str, Any]) -> str:
    text = f"{facts['x_real_time']:,.1f} x real time with {facts['workers']} worker(s)"
    if "busy_share" in facts:  # records of older runs lack it
        text += f", {facts['rows_per_second']:,.1f} rows/s, busy {facts['busy_share']:.0%}"
    if facts.get("gpu_busy_share") is not None:
        text += f", GPU {facts['gpu_busy_share']:.0%}"
    return text
