"""What a report says about the run that it scores, from the run's own run.json."""

from collections.abc import Iterator, Mapping
from typing import Any

from pipeline import storage
from pipeline.runs.folder import RunFolder


def run_facts(run: RunFolder | None) -> dict[str, str]:
    """Return the facts of the run, as people read them; empty if it has no run.json.

    Raises InputError if run.json is there and broken.
    """
    return dict(_lines(_record(run)))


def vocabulary_of(run: RunFolder | None) -> str | None:
    """Return the word list of the language model that the run used; None if it had none, or it is not there now.

    Raises InputError if run.json is there and broken.
    """
    config = _record(run).get("config")
    model = config.get("language_model") if isinstance(config, Mapping) else None
    words = model.get("unigrams") if isinstance(model, Mapping) else None
    return words if isinstance(words, str) and storage.exists(storage.open_filesystem(words)) else None


def _record(run: RunFolder | None) -> Mapping[str, Any]:
    return {} if run is None else run.read_record() or {}


def _lines(record: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Only what is there: a run.json of another version has other keys."""
    for key, name in (
        ("fingerprint", "Run"),
        ("model_id", "Model"),
        ("list_version", "List version"),
        ("config_fingerprint", "Config"),
        ("started", "Started"),
        ("device", "Device"),
    ):
        if record.get(key):
            yield name, str(record[key])
    counts = record.get("counts")
    if isinstance(counts, Mapping) and isinstance(counts.get("errors"), Mapping) and counts["errors"]:
        yield "Rows with an error", "; ".join(f"{count:,} × {kind}" for kind, count in counts["errors"].items())
    config = record.get("config")
    if isinstance(config, Mapping):
        yield "Switched on", ", ".join(name for name, part in config.items() if part is not None)
    stages = record.get("stages")
    if isinstance(stages, Mapping):
        for stage, facts in stages.items():
            if isinstance(facts, Mapping) and "x_real_time" in facts:
                yield f"Speed of {stage}", f"{facts['x_real_time']} x real time"
    if isinstance(record.get("wall_seconds"), int | float):
        yield "Wall time", f"{record['wall_seconds']:.0f} s"
    versions = record.get("versions")
    if isinstance(versions, Mapping):
        yield "Versions", ", ".join(f"{name} {version}" for name, version in versions.items())
