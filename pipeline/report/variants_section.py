"""Ablations, the effect of the list's size, and precision against recall over the boost weight."""

from collections.abc import Sequence

from pipeline.markup.charts import Curve, Point, Series, chart, strip
from pipeline.markup.html import Html, join, tag
from pipeline.markup.tables import Cell, Row, table
from pipeline.scoring.difference import differences
from pipeline.scoring.metrics import RATE_NAMES, show
from pipeline.scoring.score import ScoreResult
from pipeline.scoring.variants import ABLATION, BOOST_WEIGHT, LIST_SIZE, Variant


def ablation_table(result: ScoreResult, variants: Sequence[Variant]) -> Html | None:
    """Return every ablation beside the full run, with the paired change of F1; None if there is none."""
    chosen = [variant for variant in variants if variant.kind == ABLATION]
    if not chosen:
        return None
    rows = [_rates_row("all techniques (this run)", result, None)]
    rows += [_rates_row(variant.name, variant.result, result) for variant in chosen]
    headers = ["Run", "F1, from 0 to 100%", *RATE_NAMES.values(), "F1 against this run"]
    return table("ablation", "Without one technique", headers, rows)


def _rates_row(name: str, result: ScoreResult, full: ScoreResult | None) -> Row:
    cells = [_f1_strip(result, full)]
    cells += [Cell(show(rate, result.rates[rate].value), number=True) for rate in RATE_NAMES]
    if full is None:
        return Row([Cell(name), *cells, Cell("–", 0, number=True)])
    change = differences(full, result)["f1"].change
    interval = f"{show('f1', change.low, signed=True)} to {show('f1', change.high, signed=True)}"
    shown = [show("f1", change.value, signed=True), tag("small", interval if change.low is not None else "")]
    return Row([Cell(name), *cells, Cell(shown, change.value, number=True)])


def _f1_strip(result: ScoreResult, full: ScoreResult | None) -> Cell:
    """F1 with its interval, under that of the full run."""
    series = [Series("this", result.rates["f1"])]
    if full is not None:
        series = [Series("base", full.rates["f1"]), *series]
    label = f"F1 {show('f1', result.rates['f1'].value)}" + (
        f", all techniques {show('f1', full.rates['f1'].value)}" if full is not None else ""
    )
    return Cell(strip(series, 1.0, label), result.rates["f1"].value or 0.0)


def size_section(variants: Sequence[Variant]) -> Html | None:
    """Return F1, recall and precision against the size of the list; None with fewer than two sizes."""
    chosen = _ordered(variants, LIST_SIZE)
    if len(chosen) < 2:
        return None
    curves = []
    for rate in ("f1", "precision", "recall"):
        points = [_point(at, variant, rate) for at, variant in enumerate(chosen)]
        curves.append(Curve(rate, RATE_NAMES[rate], [point for point in points if point is not None]))
    drawing = chart(curves, "entries on the list", "rate", {at: variant.name for at, variant in enumerate(chosen)})
    return join([drawing, _sweep_table("sizes", "Rates by size of the list", "Entries", chosen)])


def _point(at: int, variant: Variant, rate: str) -> Point | None:
    """List sizes stand at equal distances: they grow by factors."""
    measured = variant.result.rates[rate]
    if measured.value is None:
        return None
    return Point(at, measured.value, measured.low, measured.high)


def precision_recall(variants: Sequence[Variant]) -> Html | None:
    """Return precision against recall, one point per boost weight; None with fewer than two."""
    chosen = _ordered(variants, BOOST_WEIGHT)
    if len(chosen) < 2:
        return None
    points = []
    for variant in chosen:
        recall, precision = variant.result.rates["recall"].value, variant.result.rates["precision"].value
        if recall is not None and precision is not None:
            points.append(Point(recall, precision, label=variant.name))
    drawing = chart([Curve("f1", "weight at each point", points)], "recall", "precision")
    return join([drawing, _sweep_table("weights", "Rates by boost weight", "Weight", chosen)])


def _ordered(variants: Sequence[Variant], kind: str) -> list[Variant]:
    return sorted((variant for variant in variants if variant.kind == kind), key=lambda variant: variant.value or 0.0)


def _sweep_table(name: str, caption: str, header: str, variants: Sequence[Variant]) -> Html:
    rows = [
        Row(
            [
                Cell(variant.name, variant.value),
                *(Cell(show(rate, variant.result.rates[rate].value), number=True) for rate in RATE_NAMES),
            ]
        )
        for variant in variants
    ]
    return tag("details", tag("summary", "Numbers"), table(name, caption, [header, *RATE_NAMES.values()], rows))
