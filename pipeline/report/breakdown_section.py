"""Breakdowns of entity scores, and rates by speaker."""

from collections.abc import Mapping, Sequence

from pipeline.markup.charts import bar
from pipeline.markup.html import Html, join, tag
from pipeline.markup.tables import Cell, Row, table
from pipeline.report.entities_section import group_table
from pipeline.scoring.breakdowns import Breakdown, by_speaker
from pipeline.scoring.metrics import Rate, show
from pipeline.scoring.score import ScoreResult

SPEAKERS = 200  # shown, those with the most errors first


def breakdown_tables(parts: Sequence[Breakdown]) -> Html:
    """Return one table per breakdown."""
    return join([group_table(part.name, part.title, part.groups, part.before) for part in parts])


def speaker_table(result: ScoreResult, baseline: ScoreResult | None) -> Html | None:
    """Return rates by speaker; None if no speaker is known, or only one."""
    speakers = by_speaker(result)
    if len(speakers) < 2:
        return None
    before = by_speaker(baseline) if baseline is not None else {}
    worst = max(part.rates["wer"].value or 0.0 for part in speakers.values())
    rows = [_row(name, part, before, worst) for name, part in list(speakers.items())[:SPEAKERS]]
    headers = ["Speaker", "Utterances", "Words", "WER", "Entities", "Recall", "F1"]
    headers += ["Baseline WER", "Baseline F1"] if before else []
    left_out = len(speakers) - len(rows)
    note = tag("p", f"{left_out:,} more speakers, with fewer errors.") if left_out else None
    return join([table("speakers", "Rates by speaker, the most errors first", headers, rows), note])


def _row(name: str, part: ScoreResult, before: Mapping[str, ScoreResult], worst: float) -> Row:
    counts = part.entity_counts()
    said = counts["true_positives"] + counts["false_negatives"]
    cells = [Cell(name), Cell(len(part.utterances), number=True), Cell(part.word_counts("wer").words, number=True)]
    cells += [_word_rate(part.rates["wer"], worst), Cell(said, number=True)]
    cells += [_cell(rate, part.rates[rate]) for rate in ("recall", "f1")]
    if name in before:
        cells += [_cell(rate, before[name].rates[rate]) for rate in ("wer", "f1")]
    return Row(cells)


def _word_rate(rate: Rate, worst: float) -> Cell:
    if rate.value is None:
        return Cell("–", -1, number=True)
    spread = rate.low is not None and rate.low != rate.high  # one utterance has no interval
    interval = tag("small", f"{show('wer', rate.low)} to {show('wer', rate.high)}") if spread else None
    share = rate.value / worst if worst else 0.0
    return Cell([bar(share, show("wer", rate.value)), interval], round(rate.value, 5), number=True)


def _cell(name: str, rate: Rate) -> Cell:
    return Cell(show(name, rate.value), None if rate.value is not None else -1, number=True)
