"""A calibration as a directory: JSON files, their hashes, and a card."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.acoustic.calibration_files import CARD, CONFIG, FILES, Calibration, fitted_with
from pipeline.config import RunConfig
from pipeline.config.fingerprint import content_hash

Values = Mapping[str, Mapping[str, float]]


def write_calibration(
    folder: Path,
    config: RunConfig,
    values: Values,
    files: Mapping[str, Any],
    measured: Mapping[str, Any],
    command: str = "calibrate",
) -> Calibration:
    """Write and return a calibration that was fitted with ``config``; ``calibration.json`` appears last.

    values: of the configuration by part and key; files: JSON content by name (calibration_files.FILES);
    command: that it is of
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name in (CONFIG, *FILES):
        (folder / name).unlink(missing_ok=True)
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content, sort_keys=True) + "\n", encoding="utf-8")
    hashes = {name: content_hash(str(folder / name)) for name in files}
    with_what = fitted_with(config)
    written = Calibration(
        model=str(with_what.pop("model")), **with_what, values=values, files=hashes, measured=measured
    )
    (folder / CARD).write_text(card(written, config, command), encoding="utf-8")
    (folder / CONFIG).write_text(json.dumps(written.to_json(), indent=1) + "\n", encoding="utf-8")
    return written


def card(written: Calibration, config: RunConfig, command: str) -> str:
    """Return the card of a calibration, in Markdown."""
    facts = {name: value for name, value in written.measured.items() if not isinstance(value, list)}
    lines = [
        "# Calibration",
        "",
        f"Of the model `{config.acoustic.model}` ({written.model}), by `rollcall {command}`.",
        "",
        *(f"- {name.replace('_', ' ')}: {value}" for name, value in facts.items()),
        *(f"- {part}.{key}: {value:g}" for part, keys in written.values.items() for key, value in keys.items()),
        "",
    ]
    rows = written.measured.get("guard_rows", [])
    return "\n".join([*lines, *_table(rows), ""]) if rows else "\n".join(lines)


def _table(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return what the guard does to each half of the speech, judged by what was learned from the other."""
    names = ("part", "half", "rate", "F1 unbiased", "F1", "false accepts/h")
    head = ["The guard on each half of the speech, by what was learned from the other:", ""]
    head += ["| " + " | ".join(names) + " |", "|" + "---|" * len(names)]
    return head + ["| " + " | ".join(_cell(row[name]) for name in names) + " |" for row in rows]


def _cell(value: Any) -> str:
    return f"{value:.1f}" if isinstance(value, float) else str(value)
