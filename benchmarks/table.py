"""Rows for people and for machines: what every benchmark prints and writes."""

import json
import math
import os
import platform
from collections.abc import Mapping, Sequence
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


class Lines:
    """Rows that are printed and written as JSON lines as they come."""

    def __init__(self, path: Path | None, resume: bool = False) -> None:
        """``resume``: what stands in ``path`` is not measured again; without it they come on top."""
        self._path = path
        known = path.read_text(encoding="utf-8").splitlines() if resume and path and path.is_file() else []
        self.before: list[dict[str, Any]] = [json.loads(line) for line in known]

    def has(self, **of: object) -> bool:
        """Whether a row with these values was there before."""
        return any(all(row.get(name) == value for name, value in of.items()) for row in self.before)

    def add(self, row: dict[str, Any]) -> None:
        """Print a row and append it with the hardware."""
        line = json.dumps({**row, "hardware": hardware()})
        print(line, flush=True)
        if self._path is not None:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(line + "\n")


def markdown(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str]) -> str:
    """Return a table: heading by ``key``, ``key*scale`` or ``key*scale:digits`` of the rows.

    A list is a value with its interval; what is undefined or not in a row stays empty. Columns that no row has are left
    out.
    """
    parts = {head: _column(source) for head, source in columns.items()}
    parts = {head: part for head, part in parts.items() if any(part[0] in row for row in rows)}
    lines = [list(parts), ["---"] * len(parts)]
    lines += [[_shown(row.get(key), scale, digits) for key, scale, digits in parts.values()] for row in rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _column(source: str) -> tuple[str, float, int | None]:
    key, _, digits = source.partition(":")
    key, _, scale = key.partition("*")
    return key, float(scale or 1), int(digits) if digits else None


def _shown(value: Any, scale: float, digits: int | None) -> str:
    if isinstance(value, list):
        shown = [_shown(one, scale, digits) for one in value]
        return f"{shown[0]} [{shown[1]}, {shown[2]}]" if len(shown) == 3 and shown[1] else shown[0]
    if value is None or value == "" or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bool | str):
        return str(value)
    scaled = value * scale
    return f"{scaled:,.{digits}f}" if digits is not None else _cell(scaled if scale != 1 else value)


def _cell(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
