"""The page of a new version: per entity, which utterances changed, before and after."""

import difflib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from pipeline.markup.document import document, fact_list, section
from pipeline.markup.html import Html, join, tag
from pipeline.markup.tables import Cell, Row, table
from pipeline.reprocess.changes import Change, Totals

SHOWN = 500
"""Utterances on the page; changes.parquet has all. Some 400 bytes each."""
_HOW = (
    "Gained: an entity of the list that stands in the new version and did not stand in the old one. Lost: the other "
    "way round. An entity is counted once per occurrence.",
    "An utterance was transcribed again only if an entity that differs between the lists is plausible in its audio; "
    "every other row is a copy, which a full run would have written as it is.",
    "Words outside of entities: differing stretches that hold no entity before or after, counted on the longer side.",
)


def build_page(title: str, facts: Mapping[str, str], totals: Totals, changes: Iterable[Change]) -> str:
    """Return the whole HTML document; all text of the data is escaped. Looks at the first SHOWN visible changes."""
    shown: list[Change] = []
    gained: Counter[str] = Counter()
    lost: Counter[str] = Counter()
    for change in changes:
        gained.update(change.gained)
        lost.update(change.lost)
        if change.is_visible and len(shown) < SHOWN:
            shown.append(change)
    header = tag("header", tag("h1", title), tag("p", _summary(totals)), fact_list(facts))
    main = join(
        [
            section("entities-part", "By entity", _entities(gained, lost, shown)),
            section("utterances-part", "Utterances that changed", _utterances(shown, totals)),
        ]
    )
    return document(title, header, main, _HOW)


def _summary(totals: Totals) -> str:
    return (
        f"{totals.rows:,} utterances: {totals.recomputed:,} transcribed again, {totals.changed:,} changed, "
        f"{totals.rescored:,} with other scores only. {totals.gained:,} entities gained, {totals.lost:,} lost; "
        f"{totals.other_words:,} of {totals.words:,} words changed outside of entities."
    )


def _entities(gained: Counter[str], lost: Counter[str], shown: Sequence[Change]) -> Html:
    names = sorted(gained.keys() | lost.keys(), key=lambda name: (-gained[name] - lost[name], name))
    if not names:
        return tag("p", "No entity was gained or lost.")
    rows = [
        Row(
            [Cell(name), Cell(gained[name], number=True), Cell(lost[name], number=True)],
            detail=join([_drawn(change) for change in shown if name in change.gained or name in change.lost]) or None,
        )
        for name in names
    ]
    return table("entities", "Entities gained and lost", ["Entity", "Gained", "Lost"], rows)


def _utterances(shown: Sequence[Change], totals: Totals) -> Html:
    if not shown:
        return tag("p", "No transcript changed.")
    note = f"The first {len(shown):,} of {totals.changed:,} are shown; changes.parquet has all."
    return join([tag("p", note) if totals.changed > len(shown) else None, [_drawn(change) for change in shown]])


def _drawn(change: Change) -> Html:
    before, after = (change.before or "").split(), (change.after or "").split()
    blocks = difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes()
    old = [_words(before[a:b], kind, "d") for kind, a, b, _, _ in blocks]
    new = [_words(after[c:d], kind, "i") for kind, _, _, c, d in blocks]
    parts = [("Gained", change.gained, "better"), ("Lost", change.lost, "worse"), ("Error", change.error, "worse")]
    said = [
        tag("span", f"{name}: {value if isinstance(value, str) else ', '.join(value)}. ", class_=look)
        for name, value, look in parts
        if value
    ]
    because = f"Changed in the list: {', '.join(change.because)}." if change.because else None
    return tag(
        "figure",
        tag("figcaption", tag("b", change.utterance_id), " ", said, because),
        tag("p", "Before: ", old if change.before is not None else "an error"),
        tag("p", "After: ", new if change.after is not None else "an error"),
    )


def _words(words: Sequence[str], kind: str, look: str) -> Html | None:
    if not words:
        return None
    text = " ".join(words)
    return join([text if kind == "equal" else tag("span", text, class_=look), " "])
