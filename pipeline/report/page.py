"""The page: sections in order, with style and script inside, so that the file needs nothing else."""

import dataclasses
from collections import defaultdict
from collections.abc import Mapping, Sequence

from pipeline.markup.document import DEFINITIONS, document, fact_list, folded, section
from pipeline.markup.html import Html, join, tag
from pipeline.report.attention_section import Attended, attention_plots
from pipeline.report.breakdown_section import breakdown_tables, speaker_table
from pipeline.report.entities_section import EntityRows, confusion_table, group_table
from pipeline.report.examples import NO_EXAMPLES, ExampleSource
from pipeline.report.headline import counts, headline
from pipeline.report.utterances_section import Drawing, choose, entity_examples, worst_utterances
from pipeline.report.variants_section import ablation_table, precision_recall, size_section
from pipeline.scoring.breakdowns import NO_KNOWLEDGE, Knowledge, breakdowns
from pipeline.scoring.groups import GroupScore
from pipeline.scoring.mistakes import Mistake, mistakes_of
from pipeline.scoring.score import ScoreResult
from pipeline.scoring.variants import Variant

LIMIT = 5_000_000  # bytes of a report
_CLIP_BYTES = (2_300_000, 1_200_000, 0)  # of audio, a third more as text: the most with which the report is in LIMIT


@dataclasses.dataclass(frozen=True)
class ReportInput:
    """What a report is made of.

    facts:    shown as they are: model, list version, config, throughput
    examples: where word times and audio of the utterances that are shown come from
    knowledge, variants: what breakdowns and curves need, where it is given
    attention: what the adapter attended to in chosen utterances, where it is given
    """

    result: ScoreResult
    baseline: ScoreResult | None = None
    title: str = "Entity-F1 report"
    facts: Mapping[str, str] = dataclasses.field(default_factory=dict)
    examples: ExampleSource = NO_EXAMPLES
    knowledge: Knowledge = NO_KNOWLEDGE
    variants: Sequence[Variant] = ()
    attention: Sequence[Attended] = ()


def build_report(report: ReportInput) -> str:
    """Return the whole HTML document. All text of the data is escaped; nothing is loaded from elsewhere."""
    page = ""
    for clip_bytes in _CLIP_BYTES:
        page = document(report.title, _header(report), _sections(report, clip_bytes), DEFINITIONS)
        if len(page.encode()) <= LIMIT:
            break
    return page


def _header(report: ReportInput) -> Html:
    result = report.result
    hours = f", {result.audio_hours:.2f} hours of audio" if result.audio_hours is not None else ""
    entities = result.entity_counts()
    said = entities["true_positives"] + entities["false_negatives"]
    summary = f"{len(result.utterances):,} utterances{hours}, {said:,} spoken entities."
    failed = tag("p", f"{result.errors:,} utterances have no transcript and count as deleted.", class_="warning")
    return tag(
        "header",
        tag("h1", report.title),
        tag("p", summary),
        failed if result.errors else None,
        fact_list(report.facts),
    )


def _sections(report: ReportInput, clip_bytes: int) -> Html:
    result, baseline = report.result, report.baseline
    mistakes = mistakes_of(result)
    by_entity: dict[str, list[Mistake]] = defaultdict(list)
    for mistake in mistakes:
        by_entity[mistake.entity].append(mistake)
    chosen = choose(result, baseline, by_entity)
    drawing = Drawing(baseline, report.examples.load(chosen.ids, clip_bytes))
    sections = [
        section("headline", "Result", headline(result, baseline), folded("Error counts", counts(result, baseline))),
        section("ablation-part", "Ablation", ablation_table(result, report.variants)),
        section("tags", "By tag", _tag_table(result, baseline)),
        section("kinds", "By kind of entity", _kinds(report)),
        section("sizes-part", "By size of the list", size_section(report.variants)),
        section("weights-part", "Precision and recall over the boost weight", precision_recall(report.variants)),
        section("per-entity", "By entity", _entity_table(report, by_entity, entity_examples(chosen, drawing))),
        section("confused", "Confusions", confusion_table(mistakes) if mistakes else None),
        section("attended", "What the adapter attended to", attention_plots(report.attention)),
        section("by-speaker", "By speaker", speaker_table(result, baseline)),
        section("worst", "Worst utterances", worst_utterances(chosen, drawing)),
        drawing.sounds.embedded(),
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
