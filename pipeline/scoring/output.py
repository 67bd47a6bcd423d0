"""What a scoring run writes: SCORES parquet, metrics.json and the report."""

import io
import json
from collections.abc import Sequence
from typing import Any

import pyarrow.parquet as pq

from pipeline import storage
from pipeline.scoring.difference import differences
from pipeline.scoring.score import ScoreResult
from pipeline.scoring.variants import Variant


def all_metrics(
    result: ScoreResult, baseline: ScoreResult | None = None, variants: Sequence[Variant] = ()
) -> dict[str, Any]:
    """Return ``result.metrics()``; with a baseline also its metrics, and the differences under ``change``.

    The baseline and the ``variants`` have theirs without the part per entity.
    """
    metrics = result.metrics()
    if baseline is not None:
        metrics |= {"baseline": _brief(baseline), "change": _change(baseline, result)}
    if variants:
        about = [{"kind": variant.kind, "name": variant.name, "value": variant.value} for variant in variants]
        metrics["variants"] = [{**one, **_brief(variant.result)} for one, variant in zip(about, variants, strict=True)]
    return metrics


def _brief(result: ScoreResult) -> dict[str, Any]:
    return {key: value for key, value in result.metrics().items() if key not in ("by_entity", "bootstrap")}


def _change(baseline: ScoreResult, result: ScoreResult) -> dict[str, Any]:
    return {
        name: {
            "difference": difference.change.value,
            "low": difference.change.low,
            "high": difference.change.high,
            "p_value": difference.p_value,
        }
        for name, difference in differences(baseline, result).items()
    }


def write_scores(folder: storage.Location, result: ScoreResult) -> None:
    """Write ``scores.parquet`` into ``folder``; raises StorageError."""
    buffer = io.BytesIO()
    pq.write_table(result.table(), buffer)
    storage.write_atomic(folder.join("scores.parquet"), buffer.getvalue())


def write_metrics(folder: storage.Location, metrics: dict[str, Any]) -> None:
    """Write ``metrics.json`` into ``folder``; raises StorageError."""
    text = json.dumps(metrics, indent=2, ensure_ascii=False, allow_nan=False)
    storage.write_atomic(folder.join("metrics.json"), f"{text}\n".encode())
