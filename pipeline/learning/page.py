"""The report of ``rollcall learn`` on a policy: what it is worth, by whom that is said, and what changes."""

from collections.abc import Mapping, Sequence

from pipeline.learning.estimators import ESTIMATORS, Estimate
from pipeline.learning.evaluate import Comparison, StrategyWorth
from pipeline.learning.replayed import Replayed
from pipeline.markup.charts import Series, strip
from pipeline.markup.document import document, fact_list, section
from pipeline.markup.html import Html, join, tag
from pipeline.markup.tables import Cell, Row, table
from pipeline.retrieval.strategy import LEVELS

_NAMES = {"ips": "IPS", "snips": "SNIPS", "dm": "DM", "dr": "DR"}
_HOW = (
    "Reward of a decision (an utterance and a strategy): names that were said and are on the shortlist, less the price "
    "of its candidates. Policies are fitted to the same mean candidates.",
    "IPS, SNIPS: rewards that were seen, by the inverse of the probability of seeing them. DM: what a model expects. "
    "DR: the model, corrected by what was seen. Each half of the speakers is judged by what was fitted on the other.",
    "Intervals: 95%, percentile bootstrap over speakers. The difference is paired: both on the same resamples.",
    "Effective sample: how many decisions of equal weight would say as much of the new policy.",
    "Replay: utterances that were heard whole, decoded again from the cached first pass with both policies; the new "
    "one was fitted on them too.",
    "Level 0 is off, 3 is the strategy as it is configured, 4 is wider.",
)


def build_page(facts: Mapping[str, str], result: Comparison, replay: Replayed | None) -> str:
    """Return the whole HTML document; all text of the data is escaped."""
    header = tag("header", tag("h1", "What the policy learnt"), tag("p", _summary(result)), fact_list(facts))
    main = join([
        section("value-part", "What it is worth", _values(result)),
        section("strategies-part", "By strategy", _strategies(result)),
        section("replay-part", "Decoded again", _replay(replay)),
    ])  # fmt: skip
    return document("What the policy learnt", header, main, _HOW)


def _summary(result: Comparison) -> str:
    return (
        f"{result.decisions:,} decisions, an effective sample of {result.effective:,.0f}. Against the policy before: "
        f"{_signed(result.difference)} names per decision (paired DR)."
    )


def _signed(one: Estimate) -> str:
    return f"{one.value:+.4f} [{one.low:+.4f}, {one.high:+.4f}]"


def _plain(one: Estimate) -> str:
    return f"{one.value:.4f} [{one.low:.4f}, {one.high:.4f}]"


def _values(result: Comparison) -> Html:
    top = max((one.high for values in (result.new, result.old) for one in values.values()), default=0.0)
    rows = []
    for name in ESTIMATORS:
        new, old = result.new[name], result.old[name]
        drawing = strip(
            [Series("base", old), Series("this", new)], top, f"{_NAMES[name]}: {_plain(old)}; {_plain(new)}"
        )
        rows.append(
            Row([Cell(_NAMES[name]), Cell(_plain(old), old.value), Cell(_plain(new), new.value), Cell(drawing)])
        )
    return table("values", "Reward per decision, in names", ["Estimator", "Before", "New", "Both"], rows)


def _strategies(result: Comparison) -> Html:
    rows = [
        row
        for old, new in zip(result.old_strategies, result.new_strategies, strict=True)
        for row in (_strategy(old, "before"), _strategy(new, "new"))
    ]
    headers = ["Strategy", "Policy", "Names", "Candidates", "Recall", *(f"Level {at}" for at in range(LEVELS + 1))]
    return table("strategies", "Per utterance; shares of utterances at each level", headers, rows)


def _strategy(one: StrategyWorth, name: str) -> Row:
    recall = "" if one.recall is None else f"{one.recall:.1%}"
    numbers = [
        Cell(f"{one.names:.3f}", one.names, number=True),
        Cell(f"{one.candidates:.1f}", one.candidates, number=True),
        Cell(recall, one.recall, number=True),
    ]
    levels = [Cell(f"{share:.0%}", share, number=True) for share in one.levels]
    return Row([Cell(one.strategy), Cell(name), *numbers, *levels])


def _replay(replay: Replayed | None) -> Html:
    if replay is None:
        return tag("p", "No reviewed utterance was heard whole, or the replay was left out: nothing was decoded again.")
    rows: Sequence[tuple[str, int, int]] = (
        ("Names found", replay.found_before, replay.found_after),
        ("Names written that were not said", replay.false_before, replay.false_after),
    )
    cells = [Row([Cell(name), Cell(old, number=True), Cell(new, number=True)]) for name, old, new in rows]
    said = (
        f"{replay.utterances:,} utterances with {replay.said:,} names; {_signed(replay.difference)} found per utterance"
    )
    return table("replay", said, ["", "Before", "New"], cells)
