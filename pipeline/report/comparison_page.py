"""The page of a comparison: what changed, regressions first."""

import dataclasses
from collections.abc import Mapping, Sequence

from pipeline.markup.document import DEFINITIONS, document, folded, section
from pipeline.markup.html import Html, join, tag
from pipeline.markup.tables import Cell, Row, table
from pipeline.report.aligned import legend
from pipeline.report.examples import NO_EXAMPLES, ExampleSource
from pipeline.report.headline import counts, headline
from pipeline.report.utterances_section import Drawing
from pipeline.scoring.comparison import Comparison, EntityChange, UtteranceChange
from pipeline.scoring.difference import verdict
from pipeline.scoring.metrics import RATE_NAMES, show_p

SHOWN = 60  # utterances that got worse, and as many that got better
ENTITIES = 1000
_CLIP_BYTES = 2_500_000  # as in the report
_KINDS = ("Lost", "Newly inserted", "Gained", "No longer inserted")
_TESTS = (
    "Bootstrap p: twice the smaller share of the paired resamples on the other side of zero. Matched pairs p: "
    "MAPSSWE, the mean difference of errors per segment over its standard error; segments are parted by two words that "
    "both runs got right (Gillick and Cox 1989).",
    "An utterance is a regression if it has more word errors, lost an entity or got a false one.",
)


@dataclasses.dataclass(frozen=True)
class ComparisonInput:
    """What the page is made of. ``labels`` name the two runs; ``against_first`` says that run A was the reference."""

    comparison: Comparison
    labels: tuple[str, str] = ("Run A", "Run B")
    facts: tuple[Mapping[str, str], Mapping[str, str]] = ({}, {})
    examples: ExampleSource = NO_EXAMPLES
    against_first: bool = False


def build_comparison(page: ComparisonInput) -> str:
    """Return the whole HTML document. All text of the data is escaped; nothing is loaded from elsewhere."""
    title = f"{page.labels[0]} against {page.labels[1]}"
    return document(title, _header(title, page), _sections(page), (*DEFINITIONS, *_TESTS))


def _header(title: str, page: ComparisonInput) -> Html:
    comparison = page.comparison
    worse = [] if page.against_first else [RATE_NAMES[name] for name in comparison.worse]
    same = len(comparison.second.utterances) - len(comparison.changes)
    summary = f"{len(comparison.second.utterances):,} utterances, {same:,} with the same text in both runs."
    note = "No reference was given: what run A wrote stands for what was said." if page.against_first else None
    return tag(
        "header",
        tag("h1", title),
        tag("p", summary),
        tag("p", note, class_="warning") if note else None,
        tag("p", f"Worse by more than chance: {', '.join(worse)}.", class_="warning") if worse else None,
    )


def _runs(page: ComparisonInput) -> Html | None:
    """Return the facts of both runs, those that differ first; None if neither run tells any."""
    first, second = page.facts
    names = sorted({**first, **second}, key=lambda name: first.get(name) == second.get(name))
    rows = [Row([Cell(name), Cell(first.get(name, "–")), Cell(second.get(name, "–"))]) for name in names]
    return table("runs", "What the runs were, differences first", ["Fact", *page.labels], rows) if rows else None


def _sections(page: ComparisonInput) -> Html:
    return _unjudged(page) if page.against_first else _judged(page)


def _unjudged(page: ComparisonInput) -> Html:
    """Without a reference nothing is better or worse: only what differs is shown."""
    comparison = page.comparison
    shown = sorted(comparison.changes, key=lambda change: (-change.harm, -change.more_errors))[:SHOWN]
    drawing = Drawing(None, page.examples.load([change.after.utterance_id for change in shown], _CLIP_BYTES))
    rates = headline(comparison.second, None, ("", f"{page.labels[1]} as if {page.labels[0]} were right"))
    only = tuple(f"Only in {label}" for label in page.labels)
    drawn = [_drawn(change, drawing, (only[0], only[1], "", "")) for change in shown]
    return join(
        [
            section("result", "How much differs", rates, folded("Word counts", counts(comparison.second, None))),
            section("entities-part", "Entities that differ", entity_changes(comparison, only)),
            section("changes", "Utterances that differ most", join([legend(), drawn]) if drawn else None),
            section("runs-part", "The runs", _runs(page)),
            drawing.sounds.embedded(),
        ]
    )


def _judged(page: ComparisonInput) -> Html:
    comparison = page.comparison
    worse = [change for change in comparison.changes if change.is_worse][:SHOWN]
    better = [change for change in reversed(comparison.changes) if change.is_better][:SHOWN]
    ids = [change.after.utterance_id for change in (*worse, *better)]
    labels = (page.labels[0], page.labels[1])
    drawing = Drawing(comparison.first, page.examples.load(ids, _CLIP_BYTES), labels)
    first, second = comparison.first, comparison.second
    rates = [headline(second, first, labels), folded("Error counts", counts(second, first, labels))]
    return join(
        [
            section("result", "Result", *rates),
            section("significance", "Significance", significance_table(comparison)),
            section("regressions", "Regressions", _changes(comparison, worse, drawing, worse_ones=True)),
            section("entities-part", "Entities lost and gained", entity_changes(comparison, _KINDS)),
            section("improvements", "Improvements", _changes(comparison, better, drawing, worse_ones=False)),
            section("runs-part", "The runs", _runs(page)),
            drawing.sounds.embedded(),
        ]
    )


def significance_table(comparison: Comparison) -> Html:
    """Return p-values of every rate's difference."""
    rows = []
    for name, difference in comparison.rates.items():
        matched = comparison.matched_pairs.get(name)
        cells = [Cell(RATE_NAMES[name]), Cell(verdict(name, difference))]
        cells += [
            Cell(show_p(value), 2 if value is None else round(value, 6), number=True)
            for value in (difference.p_value, matched)
        ]
        rows.append(Row(cells))
    headers = ["Measure", "Verdict", "Bootstrap p", "Matched pairs p"]
    return table("tests", "Are the differences more than chance?", headers, rows)


def _changes(comparison: Comparison, shown: Sequence[UtteranceChange], drawing: Drawing, *, worse_ones: bool) -> Html:
    total = sum(change.is_worse if worse_ones else change.is_better for change in comparison.changes)
    if not shown:
        return tag("p", "No utterance got worse." if worse_ones else "No utterance got better.")
    said = f"{total:,} utterances got {'worse' if worse_ones else 'better'}" + (
        f"; the first {len(shown)} are shown." if total > len(shown) else "."
    )
    return join([tag("p", said), legend(), [_drawn(change, drawing, _KINDS) for change in shown]])


def _drawn(change: UtteranceChange, drawing: Drawing, kinds: Sequence[str]) -> Html:
    """Draw one utterance under what changed in it; ``kinds`` name lost, newly inserted, gained, no longer inserted."""
    entities = (change.lost, change.new_false, change.gained, change.gone_false)
    parts = [
        tag("span", f"{label} {', '.join(names)}. ", class_=look)
        for label, names, look in zip(kinds, entities, ("worse", "worse", "better", "better"), strict=True)
        if names
    ]
    words = tag("span", f"{change.more_errors:+d} word errors. ") if change.more_errors else None
    return tag("div", tag("p", parts, words), drawing.draw(change.after))


def entity_changes(comparison: Comparison, kinds: Sequence[str]) -> Html | None:
    """Return the entities whose finds or false inserts differ, the losses first; None if there are none."""
    catalog = {**comparison.first.catalog, **comparison.second.catalog}
    shown = comparison.entities[:ENTITIES]
    rows = [Row([Cell(catalog[one.entity].display_as), *_counts(one)[: len(kinds)]]) for one in shown]
    left_out = len(comparison.entities) - len(shown)
    note = tag("p", f"{left_out:,} more entities changed; comparison.json has all.") if left_out else None
    return join([table("changed", "Entities that changed", ["Entity", *kinds], rows), note]) if rows else None


def _counts(one: EntityChange) -> list[Cell]:
    return [Cell(count, number=True) for count in (one.lost, one.new_false, one.gained, one.gone_false)]
