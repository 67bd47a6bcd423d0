"""Rows for people and for machines: what every benchmark prints and writes."""

import json
import os
import platform
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table


def hardware() -> str:
    """Return the processor, its count and the system, as results files state them."""
    model = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        model = next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        pass  # not Linux: the architecture must do
    return f"{os.cpu_count()} x {model}, {platform.system()}"


def show(title: str, rows: Sequence[dict[str, Any]], path: Path | None = None) -> None:
    """Print ``rows`` as a table with date and hardware; write them as JSON to ``path`` if there is one."""
    facts = {"date": datetime.now(UTC).date().isoformat(), "hardware": hardware()}
    names = list(dict.fromkeys(name for row in rows for name in row))
    table = Table(*names, title=title, caption=f"{facts['date']}, {facts['hardware']}")
    for row in rows:
        table.add_row(*(_cell(row.get(name, "")) for name in names))
    Console(width=160).print(table)
    if path is not None:
        path.write_text(json.dumps({"title": title, **facts, "rows": list(rows)}, indent=1) + "\n", encoding="utf-8")


def write_markdown(rows: Sequence[dict[str, Any]], path: Path, shown: Callable[[str], bool]) -> None:
    """Write the columns that are ``shown`` as a table; what is called a rate or WER is in percent."""
    names = [name for name in dict.fromkeys(name for row in rows for name in row) if shown(name)]
    lines = [names, ["---"] * len(names)]
    for row in rows:
        cells = [(name, row.get(name, "")) for name in names]
        lines.append(
            [f"{100 * value:.2f}%" if _is_rate(name) and value != "" else _cell(value) for name, value in cells]
        )
    path.write_text("".join(f"| {' | '.join(line)} |\n" for line in lines), encoding="utf-8")


def _is_rate(name: str) -> bool:
    return "WER" in name or name.endswith("rate")


def _cell(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
