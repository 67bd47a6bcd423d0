"""What a scoring run writes: SCORES parquet, metrics.json and the report."""

import dataclasses
import io
import json
from collections.abc import Sequence
from typing import Any

import pyarrow.parquet as pq

from pipeline import storage
from pipeline.scoring.comparison import Comparison
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


def comparison_metrics(comparison: Comparison, judged: bool = True) -> dict[str, Any]:
    """Return the content of comparison.json: both runs' rates, the changes with p-values, and what changed where.

    ``judged`` is False where the first run stood for the reference: then nothing is better or worse, and the rates of
    the second run say how much it differs.
    """
    changes = [
        {
            "utterance_id": change.after.utterance_id,
            "more_errors": change.more_errors,
            **{kind: list(getattr(change, kind)) for kind in ("lost", "new_false", "gained", "gone_false")},
        }
        for change in comparison.changes
    ]
    verdicts = {
        "first": _brief(comparison.first),
        "change": _change(comparison.first, comparison.second),
        "matched_pairs_p": comparison.matched_pairs,
        "worse": comparison.worse,
    }
    return {
        "judged": judged,
        "second": _brief(comparison.second),
        **(verdicts if judged else {}),
        "entities": [dataclasses.asdict(one) for one in comparison.entities],
        "utterances": changes,
    }


def write_scores(folder: storage.Location, result: ScoreResult) -> None:
    """Write ``scores.parquet`` into ``folder``; raises StorageError."""
    buffer = io.BytesIO()
    pq.write_table(result.table(), buffer)
    storage.write_atomic(folder.join("scores.parquet"), buffer.getvalue())


def write_json(folder: storage.Location, name: str, metrics: dict[str, Any]) -> None:
    """Write one JSON file into ``folder``; raises StorageError."""
    text = json.dumps(metrics, indent=2, ensure_ascii=False, allow_nan=False)
    storage.write_atomic(folder.join(name), f"{text}\n".encode())
