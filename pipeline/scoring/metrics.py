"""Rates out of counts: one table of columns, used for the point values and for every bootstrap resample alike."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from pipeline.scoring.bootstrap import Bootstrap, Floats
from pipeline.scoring.words import WordCounts

GROUPS = ("wer", "u_wer", "b_wer")
ENTITY_COUNTS = ("true_positives", "false_positives", "false_negatives")
COLUMNS = (
    *(f"{group}_{count}" for group in GROUPS for count in ("words", "substitutions", "insertions", "deletions")),
    *ENTITY_COUNTS,
    "timed_false_positives",  # those in utterances of known duration, the ones that a rate per hour can count
    "audio_hours",
)
"""Columns of the counts table [utterances, K] that every rate is computed from."""

RATE_NAMES = {
    "wer": "WER",
    "u_wer": "U-WER",
    "b_wer": "B-WER",
    "precision": "Entity precision",
    "recall": "Entity recall",
    "f1": "Entity F1",
    "false_accepts_per_hour": "False accepts/h",
}
"""Every headline rate and how people read it."""
LOWER_IS_BETTER = (*GROUPS, "false_accepts_per_hour")


def ratio(numerator: Floats, denominator: Floats) -> Floats:
    """Elementwise quotient, NaN where the denominator is 0: a rate over nothing is undefined, not perfect."""
    safe = np.where(denominator > 0, denominator, np.nan)
    return np.asarray(numerator / safe, dtype=np.float64)


def entity_rates(counts: Floats) -> dict[str, Floats]:
    """Precision, recall and F1 from counts [..., (true positives, false positives, false negatives)]."""
    true, false, missed = counts[..., 0], counts[..., 1], counts[..., 2]
    return {
        "precision": ratio(true, true + false),
        "recall": ratio(true, true + missed),
        "f1": ratio(2 * true, 2 * true + false + missed),
    }


def all_rates(sums: Floats) -> dict[str, Floats]:
    """Every headline rate by name, from column sums [..., K] (order: COLUMNS)."""
    rates = {}
    for at, group in enumerate(GROUPS):
        words, *errors = np.moveaxis(sums[..., 4 * at : 4 * at + 4], -1, 0)
        rates[group] = ratio(np.sum(errors, axis=0), words)
    first = COLUMNS.index("true_positives")
    rates |= entity_rates(sums[..., first : first + 3])
    rates["false_accepts_per_hour"] = ratio(sums[..., first + 3], sums[..., first + 4])
    return rates


@dataclasses.dataclass(frozen=True)
class Rate:
    """A rate with its interval; None where it is undefined (nothing to divide by)."""

    value: float | None = None
    low: float | None = None
    high: float | None = None


def rates_with_intervals(counts: Floats, bootstrap: Bootstrap) -> tuple[dict[str, Rate], dict[str, Floats]]:
    """Return the rates of ``counts`` [utterances, K] and their replicates [B] each, by name."""
    points = all_rates(counts.sum(axis=0))
    replicates = all_rates(bootstrap.sums(counts))
    return {name: make_rate(float(points[name]), replicates[name], bootstrap) for name in points}, replicates


def make_rate(point: float, replicates: Floats, bootstrap: Bootstrap) -> Rate:
    """Put a point value and its interval together; an undefined point has no interval either."""
    if np.isnan(point):
        return Rate()
    return Rate(point, *bootstrap.interval(replicates))


def beside(name: str, rate: Rate) -> dict[str, float | None]:
    """``{name: value, name_low: ..., name_high: ...}``, as metrics.json writes rates that share an object."""
    return {name: rate.value, f"{name}_low": rate.low, f"{name}_high": rate.high}


def word_metrics(rate: Rate, counts: WordCounts) -> dict[str, Any]:
    """One of metrics.json's wer, u_wer, b_wer."""
    return {"rate": rate.value, "low": rate.low, "high": rate.high, **dataclasses.asdict(counts)}


def entity_metrics(rates: Mapping[str, Rate], counts: Mapping[str, int]) -> dict[str, Any]:
    """metrics.json's entity object, also of one tag or one entity."""
    named = [beside(name, rates[name]) for name in ("precision", "recall", "f1")]
    return {key: value for part in named for key, value in part.items()} | dict(counts)


def show(name: str, value: float | None, signed: bool = False) -> str:
    """A rate for people: percent, except that false accepts are per hour; a dash where it is undefined."""
    if value is None:
        return "–"
    sign = "+" if signed else ""
    return f"{value:{sign}.2f}" if name == "false_accepts_per_hour" else f"{100 * value:{sign}.2f}%"


def show_p(value: float | None) -> str:
    """A p-value for people; a dash where there is none."""
    return "–" if value is None else "< 0.001" if value < 0.001 else f"{value:.3f}"
