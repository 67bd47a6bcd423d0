"""Rows for people and for machines: what every benchmark prints and writes."""

import json
import os
import platform
from collections.abc import Sequence
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


def _cell(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
