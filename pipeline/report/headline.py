"""The first thing people read: the rates, the counts behind them, and what the list changed."""

from collections.abc import Sequence

from pipeline.markup.charts import Series, strip
from pipeline.markup.html import Html, tag
from pipeline.markup.tables import scrolling
from pipeline.scoring.difference import RateDifference, differences, verdict
from pipeline.scoring.metrics import GROUPS, RATE_NAMES, Rate, show
from pipeline.scoring.score import ScoreResult

_MEANINGS = {
    "wer": "word errors per word said",
    "u_wer": "on words that are not on the list",
    "b_wer": "on words of list entities",
    "precision": "of the entities written, how many were said",
    "recall": "of the entities said, how many were written",
    "f1": "harmonic mean of both",
    "false_accepts_per_hour": "entities written but not said, per hour of audio",
}


LABELS = ("Baseline", "This run")


def headline(result: ScoreResult, baseline: ScoreResult | None, labels: tuple[str, str] = LABELS) -> Html:
    """Return the table of rates with intervals; with a baseline, both (named by ``labels``) and the paired change."""
    changes = differences(baseline, result) if baseline is not None else {}
    systems = [labels[1]] if baseline is None else [*labels, "Change"]
    names = ["Measure", "Rate and interval, 0 at the left", *systems]
    rows = []
    for name in RATE_NAMES:
        rates = [result.rates[name]] if baseline is None else [baseline.rates[name], result.rates[name]]
        cells = [_measure(name), tag("td", _strip(name, rates, _top(name, result, baseline)))]
        cells += [tag("td", _rate(name, rate), class_="n") for rate in rates]
        if baseline is not None:
            cells.append(_change(name, changes[name]))
        rows.append(tag("tr", cells))
    head = tag("thead", tag("tr", [tag("th", name, scope="col", class_=_side(at)) for at, name in enumerate(names)]))
    caption = f"Rates with {result.bootstrap.confidence:.0%} bootstrap intervals over utterances"
    return scrolling(tag("table", tag("caption", caption), head, tag("tbody", rows), class_="headline"), caption)


def _side(column: int) -> str | None:
    return "n" if column > 1 else None


def _measure(name: str) -> Html:
    return tag("th", RATE_NAMES[name], tag("small", _MEANINGS[name]), scope="row")


def _top(name: str, result: ScoreResult, baseline: ScoreResult | None) -> float:
    """End of the axis: the word error rates share one, entity rates end at 100%."""
    if name in ("precision", "recall", "f1"):
        return 1.0
    names = GROUPS if name in GROUPS else (name,)
    systems = [result] if baseline is None else [result, baseline]
    return max(system.rates[each].high or system.rates[each].value or 0.0 for system in systems for each in names)


def _strip(name: str, rates: Sequence[Rate], top: float) -> Html:
    kinds = ("this",) if len(rates) == 1 else ("base", "this")
    spoken = [f"{kind} {show(name, rate.value)}" for kind, rate in zip(kinds, rates, strict=True)]
    series = [Series(kind, rate) for kind, rate in zip(kinds, rates, strict=True)]
    return strip(series, top, f"{RATE_NAMES[name]}: {', '.join(spoken)}; axis from 0 to {show(name, top)}")


def _rate(name: str, rate: Rate, signed: bool = False) -> list[Html]:
    cells = [tag("strong", show(name, rate.value, signed))]
    if rate.low is not None:
        cells.append(tag("small", f"{show(name, rate.low, signed)} to {show(name, rate.high, signed)}"))
    return cells


def _change(name: str, difference: RateDifference) -> Html:
    if difference.change.value is None:
        return tag("td", "–", class_="n")
    word = verdict(name, difference)
    about = tag("small", word, class_=word if difference.is_clear else None)
    return tag("td", _rate(name, difference.change, signed=True), about, class_="n")


def counts(result: ScoreResult, baseline: ScoreResult | None, labels: tuple[str, str] = LABELS) -> Html:
    """Return the error counts that the word error rates are made of."""
    systems = [(labels[1], result)] if baseline is None else [(labels[0], baseline), (labels[1], result)]
    rows = []
    for group in GROUPS:
        for label, system in systems:
            count = system.word_counts(group)
            numbers = (count.words, count.substitutions, count.insertions, count.deletions, count.errors)
            title = RATE_NAMES[group] + (f", {label.lower()}" if baseline is not None else "")
            rows.append(tag("tr", tag("th", title, scope="row"), [tag("td", f"{n:,}", class_="n") for n in numbers]))
    names = ("", "Words", "Substituted", "Inserted", "Deleted", "Errors")
    head = tag("thead", tag("tr", [tag("th", name, scope="col") if name else tag("td") for name in names]))
    return tag("table", tag("caption", "Word error counts"), head, tag("tbody", rows))
