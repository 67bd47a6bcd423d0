"""What a scoring run writes: SCORES parquet, metrics.json and the report."""

import io
import json
from typing import Any

import pyarrow.parquet as pq

from pipeline import storage
from pipeline.scoring.difference import differences
from pipeline.scoring.score import ScoreResult


def metrics_with_baseline(result: ScoreResult, baseline: ScoreResult | None) -> dict[str, Any]:
    """Return ``result.metrics()``; with a baseline also its (not per entity), and the differences under ``change``."""
    if baseline is None:
        return result.metrics()
    change = {
        name: {
            "difference": difference.change.value,
            "low": difference.change.low,
            "high": difference.change.high,
            "p_value": difference.p_value,
        }
        for name, difference in differences(baseline, result).items()
    }
    beside = {key: value for key, value in baseline.metrics().items() if key not in ("by_entity", "bootstrap")}
    return result.metrics() | {"baseline": beside, "change": change}


def write_scores(folder: storage.Location, result: ScoreResult) -> None:
    """Write ``scores.parquet`` into ``folder``; raises StorageError."""
    buffer = io.BytesIO()
    pq.write_table(result.table(), buffer)
    storage.write_atomic(folder.join("scores.parquet"), buffer.getvalue())


def write_metrics(folder: storage.Location, metrics: dict[str, Any]) -> None:
    """Write ``metrics.json`` into ``folder``; raises StorageError."""
    text = json.dumps(metrics, indent=2, ensure_ascii=False, allow_nan=False)
    storage.write_atomic(folder.join("metrics.json"), f"{text}\n".encode())
