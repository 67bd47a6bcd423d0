"""What every page shares: one HTML file with style and script inside, sections, facts and definitions."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from pipeline.markup.html import Html, tag
from pipeline.markup.tables import scrolling

_FOLDER = Path(__file__).resolve().parent
DEFINITIONS = (
    "WER: substitutions, insertions and deletions per reference word, at the fewest (jiwer).",
    "U-WER and B-WER: the same for the words off the list and for the words of spoken list entities, with the "
    "alignment of the is21_deep_bias benchmark.",
    "Entities are whole phrases, the longest first, none inside another. Per utterance, an entity written as often "
    "as it was said is found; more is falsely inserted, less is missed.",
    "Intervals: percentile bootstrap over utterances; changes are paired on the same resamples.",
)


def document(title: str, header: Html, main: Html, definitions: Sequence[str], script: Html | None = None) -> str:
    """Return the whole HTML document; it loads nothing from elsewhere.

    script: what works the page, in place of what tables, players and filters need
    """
    style = Html((_FOLDER / "style.css").read_text(encoding="utf-8"))
    if script is None:
        script = Html((_FOLDER / "script.js").read_text(encoding="utf-8"))
    head = [
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=_policy(script)),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", title),
        tag("style", style),
    ]
    how = tag("section", tag("h2", "How to read this"), tag("ul", [tag("li", text) for text in definitions]))
    body = [header, tag("main", main), tag("footer", how), tag("script", script)]
    return "<!doctype html>\n" + tag("html", tag("head", head), tag("body", body), lang="en") + "\n"


def _policy(script: str) -> str:
    """Only the report's own script may run, even if some markup slipped through the escaping."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; img-src data:; media-src data:"
    )


def fact_list(facts: Mapping[str, str]) -> Html | None:
    """Return facts as name and value; None if there are none."""
    items = [tag("div", tag("dt", key), tag("dd", value)) for key, value in facts.items()]
    return tag("dl", items, class_="facts") if items else None


def section(name: str, title: str, *content: Html | None) -> Html | None:
    """Return a section, or None if it has no content."""
    if not any(content):
        return None
    return tag("section", tag("h2", title, id=f"{name}-title"), content, id=name, aria_labelledby=f"{name}-title")


def folded(title: str, content: Html) -> Html:
    """Return content that opens on demand."""
    return tag("details", tag("summary", title), scrolling(content, title))
