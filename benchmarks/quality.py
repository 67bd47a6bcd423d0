"""What the list gains and costs, through the real jobs: WER, U-WER, B-WER, entity F1, false accepts per hour.

    python -m benchmarks.quality --data ../shared/data --presets baseline joint

Sets: test-clean-dev with the benchmark's lists of 100 and with adversarial lists (nothing on them is said), and
synthetic voices speaking names, cities and medicines. Runs ``jobs.transcribe`` and ``jobs.score``, and reads their
files.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from benchmarks.table import show
from jobs import score, transcribe
from pipeline.errors import InputError


def sets(data: Path) -> dict[str, list[str]]:
    """Return audio, lists and list column of every set."""
    clean = str(data / "librispeech_test_clean_dev.parquet")
    names = str(data / "names_dev.parquet")
    return {
        "is21-100": [clean, str(data / "is21_deep_bias" / "test-clean-dev.biasing_100.tsv"), ""],
        "names_dev": [names, names, "list"],
        "adversarial-100": [clean, str(data / "adversarial_100.tsv"), ""],
    }


def measure(name: str, source: list[str], preset: str, output: Path) -> dict[str, Any]:
    """Transcribe and score one set with one preset."""
    audio, lists, column = source
    folder = output / name / preset
    folder.mkdir(parents=True, exist_ok=True)
    summary = folder / "summary.json"
    command = ["--audio", audio, "--entities", lists, "--output", str(folder), "--preset", preset]
    command += ["--summary", str(summary), *(["--entities-column", column] if column else [])]
    if transcribe.main(command) != 0:
        raise InputError(f"jobs.transcribe failed on {name} with {preset}.")
    record = json.loads(summary.read_text(encoding="utf-8"))
    scored = ["--transcripts", record["transcripts"], "--reference", audio, "--lists", lists]
    scored += ["--output", str(folder / "scores"), *(["--list-column", column] if column else [])]
    if score.main(scored) != 0:
        raise InputError(f"jobs.score failed on {name} with {preset}.")
    metrics = json.loads((folder / "scores" / "metrics.json").read_text(encoding="utf-8"))
    return {"set": name, "preset": preset, **_rates(metrics), **_speeds(record)}


def _rates(metrics: dict[str, Any]) -> dict[str, float]:
    percent = {group: 100 * metrics[group]["rate"] for group in ("wer", "u_wer", "b_wer") if metrics[group]["words"]}
    entity = {key: 100 * (metrics["entity"][key] or 0.0) for key in ("precision", "recall", "f1")}
    return percent | entity | {"false_accepts_per_hour": metrics["false_accepts_per_hour"]}


def _speeds(record: dict[str, Any]) -> dict[str, float]:
    speeds = {f"{stage}_x": facts["x_real_time"] for stage, facts in record["stages"].items()}
    return speeds | {"job_x": 3600 * record["audio_hours"] / record["wall_seconds"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--sets", nargs="+", default=["is21-100", "names_dev", "adversarial-100"])
    parser.add_argument("--presets", nargs="+", default=["baseline", "joint"])
    parser.add_argument("--output", type=Path, default=Path("out/quality"))
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    known = sets(options.data)
    rows = [measure(name, known[name], preset, options.output) for name in options.sets for preset in options.presets]
    show("quality by set and preset (rates in percent, speeds in x real time)", rows, options.json)


if __name__ == "__main__":
    main()
