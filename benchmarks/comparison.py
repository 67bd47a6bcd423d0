"""Our decoder beside the others, each of them at the weights that are best on the set itself.

    python -m benchmarks.comparison measured/joint-names_dev.json measured/peers.json --json out/comparison.json

Reads rows of benchmarks.joint_ablation and benchmarks.word_spotter, and keeps of each set what is without a list, the
best of pyctcdecode's hotword weights and of the word spotter's, and ours, all on the same log-probs. Choosing on the
set flatters the others; our weights and our guard were fitted on these sets too.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from benchmarks.table import show

_SYSTEMS = {
    "greedy": "greedy search, no list",
    "beam + LM": "beam search and language model, no list",
    "hotwords": "pyctcdecode, hotwords",
    "word spotter": "CTC word spotter",
    "joint": "Rollcall",
}
_SETS = ("is21-100", "is21-1000", "names_dev")


def compare(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the best row of each system on each set, with the system's name."""
    found = []
    for name in _SETS:
        for family, shown in _SYSTEMS.items():
            mine = [row for row in rows if row["set"] == name and _family(row["system"]) == family]
            if mine:
                found.append({**max(mine, key=lambda row: row["f1"][0] or 0.0), "system": shown})
    return found


def _family(system: str) -> str:
    return "hotwords" if system.startswith("hotwords ") else system


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("measured", nargs="+", type=Path, help="what benchmarks.all keeps of its steps")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rows = [row for path in options.measured for row in json.loads(path.read_text(encoding="utf-8"))["rows"]]
    show("our decoder beside others", compare(rows), options.json)


if __name__ == "__main__":
    main()
