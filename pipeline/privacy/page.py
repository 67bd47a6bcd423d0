"""The report of private exports: what mechanisms tell, what texts are still good for, and what attackers reach."""

import dataclasses
import math
from collections.abc import Sequence

from pipeline.markup.charts import Curve, Point, chart
from pipeline.markup.document import document, section
from pipeline.markup.html import Html, join, tag
from pipeline.markup.tables import Cell, Row, table
from pipeline.privacy.config import GROUPED, PrivacyConfig
from pipeline.privacy.mechanism import Audit
from pipeline.privacy.promise import NOT_PROTECTED
from pipeline.privacy.utility import Moves

_HOW = (
    "A loss is the logarithm of how many times likelier an outcome is with one word than with another. Audited: the "
    "largest over all pairs of words, in the unit of the claim.",
    "Epsilon means another thing for each mechanism: grouped is between any two words, with kary or distance inside a "
    "group that is told; tem and laplace are by distance. Compare them where an attacker guesses as much, not where "
    "epsilon is the same.",
    "Guessed: how often the best guess of a word is right, from what came out and from how often words come. For "
    "laplace it is what an attacker learnt from draws reaches, a lower bound.",
    "Linked: speakers of private texts who are found among originals of other sentences, by the best of these attacks: "
    "words and pairs of words, how likely each speaker's words are to come out as these, groups where they are told.",
    "Recovered: words found again by channel times language model (Viterbi), and by the language model alone.",
)


@dataclasses.dataclass(frozen=True)
class Measured:
    """One mechanism at one epsilon; rates are None where they were not measured."""

    config: PrivacyConfig
    audit: Audit
    moves: Moves
    guessed: float
    changed: float
    changed_names: float
    linked: float | None = None
    linked_before: float | None = None
    recovered: float | None = None
    recovered_blind: float | None = None
    accuracy: float | None = None
    accuracy_before: float | None = None
    perplexity: float | None = None
    perplexity_before: float | None = None


def build_page(measured: Sequence[Measured], facts: str) -> str:
    """Return the whole HTML document; no text of the data is in it."""
    header = tag("header", tag("h1", "What private texts tell"), tag("p", facts))
    limits = tag("ul", [tag("li", line) for line in NOT_PROTECTED])
    main = join(
        [
            section("audits-part", "Claims and audits", _audits(measured)),
            section("moves-part", "How words move", _stays(measured), _density(measured)),
            section("utility-part", "Utility", _utility(measured)),
            section("attacks-part", "Attacks", _attacks(measured)),
            section("limits-part", "Not protected, whatever the figures say", limits),
        ]
    )
    return document("What private texts tell", header, main, _HOW)


def _name(one: Measured) -> Cell:
    parts = [one.config.mechanism, f"at {one.config.epsilon:g}"]
    parts += [one.config.inside] if one.config.mechanism == GROUPED and not one.config.is_nearest else []
    parts += ["with a prior"] if one.config.prior != "none" else []
    parts += ["truncated"] if one.config.truncate is not None else []
    return Cell(" ".join(parts))


def _number(value: float | None, percent: bool = False) -> Cell:
    if value is None:
        return Cell("–", sort=-1.0, number=True)
    if math.isinf(value):
        return Cell("infinite", sort=1e300, number=True)
    return Cell(f"{value:.1%}" if percent else f"{value:.4g}", sort=value, number=True)


def _audits(measured: Sequence[Measured]) -> Html:
    rows = []
    for one in measured:
        audit = one.audit
        verdict = Cell(tag("span", "more than claimed", class_="worse") if audit.exceeds else "holds")
        numbers = [_number(audit.claimed), _number(audit.measured), verdict, _number(audit.all_pairs)]
        rows.append(Row([_name(one), Cell(audit.claim), *numbers, Cell(audit.how), Cell(audit.alone, number=True)]))
    heads = [
        "Mechanism",
        "Claim",
        "Claimed",
        "Audited",
        "Verdict",
        "Loss over all pairs",
        "How",
        "Words that cannot move",
    ]
    return table("audits", "The largest loss against the claim", heads, rows)


def _stays(measured: Sequence[Measured]) -> Html:
    rows = [
        Row([_name(one), _number(one.moves.stays, True), _number(one.moves.deniability), _number(one.guessed, True)])
        for one in measured
    ]
    heads = ["Mechanism", "Words that stay", "Words that are likely to come out", "Guessed"]
    return table("moves", "How many words stay, and how many come out with more than one in a thousand", heads, rows)


def _density(measured: Sequence[Measured]) -> Html:
    drawn = [one for one in measured if one.moves.by_density]
    top = max((max(one.moves.by_density) for one in drawn), default=1.0)
    curves = []
    for at, one in enumerate(drawn):
        points = [Point(decile, far / top) for decile, far in enumerate(one.moves.by_density, start=1)]
        curves.append(Curve(("f1", "precision", "recall")[at % 3], str(_name(one).content), points))
    labels = {1.0: "densest", 5.0: "5", 10.0: "sparsest"}
    return chart(curves, "tenth of the words, by density of their region", f"mean distance moved, of {top:.2f}", labels)


def _utility(measured: Sequence[Measured]) -> Html:
    rows = [
        Row(
            [
                _name(one),
                _number(one.changed, True),
                _number(one.changed_names, True),
                _number(one.accuracy, True),
                _number(one.accuracy_before, True),
                _number(one.perplexity),
                _number(one.perplexity_before),
            ]
        )
        for one in measured
    ]
    heads = ["Mechanism", "Words changed", "Names changed", "Accuracy", "before", "Perplexity", "before"]
    return table("utility", "What the texts are still good for", heads, rows)


def _attacks(measured: Sequence[Measured]) -> Html:
    rows = [
        Row(
            [
                _name(one),
                _number(one.guessed, True),
                _number(one.linked, True),
                _number(one.linked_before, True),
                _number(one.recovered, True),
                _number(one.recovered_blind, True),
            ]
        )
        for one in measured
    ]
    heads = ["Mechanism", "Guessed", "Speakers linked", "before", "Words recovered", "by the language model alone"]
    return table("attacks", "What attackers reach", heads, rows)
