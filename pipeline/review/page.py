"""The page for reviewers: one file that needs no network, with sound, worked by keyboard, that saves a JSON file."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from pipeline.audio.clips import data_uri
from pipeline.markup.document import document
from pipeline.markup.html import Html, join, tag
from pipeline.review.tasks import Chosen

SAVED = "rollcall.reviews"
"""``format`` of the file that the page saves."""
_HOW = (
    "Accept a name that was said and is spelled right. Reject one that was not said. Correct one that stands for "
    "another name, or is spelled wrongly.",
    "Mark a missed name: choose its words with the arrow keys, Shift for several, then type the name.",
    "Heard whole: you have listened to the whole utterance and marked every name of it, also those that were missed.",
    "Save writes a file, for rollcall review-import. Until then what you did is kept in this browser.",
)
_BUTTONS = (
    ("play", "Space", "Play the name"),
    ("whole-sound", "p", "Play all"),
    ("accepted", "a", "Accept"),
    ("rejected", "r", "Reject"),
    ("corrected", "c", "Correct"),
    ("missed", "m", "Missed a name"),
    ("whole", "w", "Heard whole"),
    ("clear", "u", "Take back"),
    ("previous", "b", "Back"),
    ("next", "n", "Next"),
    ("save", "s", "Save"),
)


def build_page(chosen: Sequence[Chosen], run: str) -> str:
    """Return the whole HTML document. All text of the data is escaped; nothing is loaded from elsewhere."""
    tasks = sum(len(one.tasks) for one in chosen)
    header = tag(
        "header",
        tag("h1", "Review"),
        tag("p", f"Run {run}: {tasks:,} tasks in {len(chosen):,} utterances."),
        tag("label", "Your name ", tag("input", id="reviewer", autocomplete="name"), for_="reviewer"),
    )
    script = Html((Path(__file__).resolve().parent / "page.js").read_text(encoding="utf-8"))
    return document("Review", header, _main(chosen, run), _HOW, script)


def _main(chosen: Sequence[Chosen], run: str) -> Html:
    clips = [
        tag("data", id=f"clip-{at}", value=data_uri(one.clip)) for at, one in enumerate(chosen) if one.clip is not None
    ]
    buttons = [
        tag("button", text, " ", tag("kbd", key), type="button", data_do=action, aria_keyshortcuts=key)
        for action, key, text in _BUTTONS
    ]
    entry = tag(
        "form",
        tag(
            "label", tag("span", id="asked"), " ", tag("input", id="correction", autocomplete="off"), for_="correction"
        ),
        " ",
        tag("button", "Enter", type="submit"),
        id="entry",
        hidden=True,
    )
    parts = [
        tag("p", id="place"),
        tag("h2", id="asking"),
        tag("p", id="sentence", lang="en"),
        tag("p", id="alternative"),
        tag("audio", id="player", controls=True, preload="none"),
        tag("div", buttons, class_="filters", role="group", aria_label="What to do"),
        entry,
        tag("p", id="said", role="status"),
        tag("ul", id="missed-names", aria_label="Missed names of this utterance"),
    ]
    return join([tag("section", parts, id="review"), tag("div", clips, hidden=True), _data(chosen, run)])


def _data(chosen: Sequence[Chosen], run: str) -> Html:
    """The tasks as JSON that the script reads; a ``<`` of the data is written so that no markup can begin in it."""
    utterances = [
        {
            "utterance_id": one.utterance_id,
            "duration": one.duration_seconds,
            "words": one.words,
            "tasks": [
                task.fields | {"alternative": alternative}
                for task, alternative in zip(one.tasks, one.alternatives, strict=True)
            ],
        }
        for one in chosen
    ]
    content = json.dumps(utterances)
    key = hashlib.sha256(content.encode()).hexdigest()[:16]  # under which a browser keeps what was answered
    facts = {"format": SAVED, "key": key, "run": run, "utterances": utterances}
    text = json.dumps(facts, ensure_ascii=False)
    return tag("script", Html(text.replace("<", "\\u003c")), type="application/json", id="tasks")
