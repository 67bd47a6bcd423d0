"""The page: sections in order, with style and script inside, so that the file needs nothing else."""

import base64
import dataclasses
import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from pipeline.scoring.breakdowns import NO_KNOWLEDGE, Knowledge, breakdowns
from pipeline.scoring.groups import GroupScore
from pipeline.scoring.mistakes import Mistake, mistakes_of
from pipeline.scoring.report.breakdown_section import breakdown_tables, speaker_table
from pipeline.scoring.report.entities_section import EntityRows, confusion_table, group_table
from pipeline.scoring.report.examples import NO_EXAMPLES, ExampleSource
from pipeline.scoring.report.headline import counts, headline
from pipeline.scoring.report.markup import Html, join, tag
from pipeline.scoring.report.tables import scrolling
from pipeline.scoring.report.utterances_section import Drawing, choose, entity_examples, worst_utterances
from pipeline.scoring.report.variants_section import ablation_table, precision_recall, size_section
from pipeline.scoring.score import ScoreResult
from pipeline.scoring.variants import Variant

_CLIP_BYTES = 2_500_000  # of audio in one report: 3.3 MB as text, so that the page stays below 5 MB
_FOLDER = Path(__file__).resolve().parent


@dataclasses.dataclass(frozen=True)
class ReportInput:
    """What a report is made of.

    facts:    shown as they are: model, list version, config, throughput
    examples: where word times and audio of the utterances that are shown come from
    knowledge, variants: what breakdowns and curves need, where it is given
    """

    result: ScoreResult
    baseline: ScoreResult | None = None
    title: str = "Entity-F1 report"
    facts: Mapping[str, str] = dataclasses.field(default_factory=dict)
    examples: ExampleSource = NO_EXAMPLES
    knowledge: Knowledge = NO_KNOWLEDGE
    variants: Sequence[Variant] = ()


def build_report(report: ReportInput) -> str:
    """Return the whole HTML document. All text of the data is escaped; nothing is loaded from elsewhere."""
    style, script = (Html((_FOLDER / name).read_text(encoding="utf-8")) for name in ("style.css", "script.js"))
    head = [
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=_policy(script)),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", report.title),
        tag("style", style),
    ]
    body = [_header(report), tag("main", _sections(report)), tag("footer", _definitions()), tag("script", script)]
    return "<!doctype html>\n" + tag("html", tag("head", head), tag("body", body), lang="en") + "\n"


def _policy(script: str) -> str:
    """Only the report's own script may run, even if some markup slipped through the escaping."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; img-src data:; media-src data:"
    )


def _header(report: ReportInput) -> Html:
    result = report.result
    hours = f", {result.audio_hours:.2f} hours of audio" if result.audio_hours is not None else ""
    entities = result.entity_counts()
    said = entities["true_positives"] + entities["false_negatives"]
    summary = f"{len(result.utterances):,} utterances{hours}, {said:,} spoken entities."
    failed = tag("p", f"{result.errors:,} utterances have no transcript and count as deleted.", class_="warning")
    facts = [tag("div", tag("dt", key), tag("dd", value)) for key, value in report.facts.items()]
    return tag(
        "header",
        tag("h1", report.title),
        tag("p", summary),
        failed if result.errors else None,
        tag("dl", facts, class_="facts") if facts else None,
    )


def _sections(report: ReportInput) -> Html:
    result, baseline = report.result, report.baseline
    mistakes = mistakes_of(result)
    by_entity: dict[str, list[Mistake]] = defaultdict(list)
    for mistake in mistakes:
        by_entity[mistake.entity].append(mistake)
    chosen = choose(result, by_entity)
    drawing = Drawing(result, baseline, report.examples.load(chosen.ids, _CLIP_BYTES))
    sections = [
        _section("headline", "Result", headline(result, baseline), _details(counts(result, baseline))),
        _section("ablation-part", "Ablation", ablation_table(result, report.variants)),
        _section("tags", "By tag", _tag_table(result, baseline)),
        _section("kinds", "By kind of entity", _kinds(report)),
        _section("sizes-part", "By size of the list", size_section(report.variants)),
        _section("weights-part", "Precision and recall over the boost weight", precision_recall(report.variants)),
        _section("by-speaker", "By speaker", speaker_table(result, baseline)),
        _section("per-entity", "By entity", _entity_table(report, by_entity, entity_examples(chosen, drawing))),
        _section("confused", "Confusions", confusion_table(mistakes) if mistakes else None),
        _section("worst", "Worst utterances", worst_utterances(chosen, drawing)),
    ]
    return join(sections)


def _tag_table(result: ScoreResult, baseline: ScoreResult | None) -> Html | None:
    before = _by_name(baseline.by_tag) if baseline is not None else None
    return group_table("by-tag", "Entities by tag", result.by_tag, before) if result.by_tag else None


def _kinds(report: ReportInput) -> Html | None:
    parts = breakdowns(report.result, report.baseline, report.knowledge)
    return breakdown_tables(parts) if parts else None


def _entity_table(
    report: ReportInput, mistakes: Mapping[str, Sequence[Mistake]], examples: Mapping[str, Html]
) -> Html | None:
    before = _by_name(report.baseline.by_entity) if report.baseline is not None else None
    rows = EntityRows(report.result, mistakes, examples, before)
    return rows.table() if report.result.by_entity else None


def _by_name(groups: Sequence[GroupScore]) -> dict[str, GroupScore]:
    return {group.name: group for group in groups}


def _section(name: str, title: str, *content: Html | None) -> Html | None:
    """Return a section, or None if it has no content."""
    if not any(content):
        return None
    return tag("section", tag("h2", title, id=f"{name}-title"), content, id=name, aria_labelledby=f"{name}-title")


def _details(content: Html) -> Html:
    return tag("details", tag("summary", "Error counts"), scrolling(content, "Error counts"))


def _definitions() -> Html:
    texts = [
        "WER: substitutions, insertions and deletions per reference word, at the fewest (jiwer).",
        "U-WER and B-WER: the same for the words off the list and for the words of spoken list entities, with the "
        "alignment of the is21_deep_bias benchmark.",
        "Entities are whole phrases, the longest first, none inside another. Per utterance, an entity written as often "
        "as it was said is found; more is falsely inserted, less is missed.",
        "Intervals: percentile bootstrap over utterances; changes are paired on the same resamples.",
    ]
    return tag("section", tag("h2", "How to read this"), tag("ul", [tag("li", text) for text in texts]))
