"""Tasks in the formats that annotation tools read: what each one is, and how its files are written."""

import csv
import dataclasses
import io
import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypedDict

from pipeline import storage
from pipeline.errors import ConfigError
from pipeline.markup.html import tag
from pipeline.review.page import build_page
from pipeline.review.tasks import Chosen, Task
from pipeline.storage import Location

COLUMNS = (
    "utterance_id", "start_seconds", "end_seconds", "entity", "text", "verdict", "correction", "reviewer",
    "reviewed_at", "probability", "whole",
)  # fmt: skip
"""Of csv; the verdict's are empty."""
PROPOSED, MISSED, HEARD_WHOLE = "proposed", "missed", "heard whole"
"""What spans are labelled as, and the choice that says that nothing else was missed."""
VERDICTS = ("accepted", "rejected", "corrected", "missed")
_JUDGED = VERDICTS[:3]


@dataclasses.dataclass(frozen=True)
class Settings:
    """``audio_url`` stands before the path of each clip: where the tool serves the tasks' folder."""

    run: str
    audio_url: str = ""


Files = dict[str, bytes]
"""By their path below the tasks' folder."""


def write_tasks(chosen: Sequence[Chosen], form: str, settings: Settings, output: Location) -> int:
    """Write the files of a format into an empty folder, clips among them, and return their number.

    Raises ConfigError where the format needs sound that is not there, and StorageError.
    """
    found = FORMATS[form]
    if found.needs_sound and chosen and all(one.clip is None for one in chosen):
        raise ConfigError(
            f"--format {form} is a page to listen to, and there is no sound for any of the {len(chosen)} utterances; "
            "give --audio with the AUDIO parquet that the run was made from, or another format."
        )
    files = found.write(chosen, settings)
    if not found.embeds_sound:
        files |= {one.clip_name: one.clip for one in chosen if one.clip is not None}
    for name, content in files.items():
        storage.write_atomic(output.join(name), content)
    return len(files)


def _csv(chosen: Sequence[Chosen], settings: Settings) -> Files:
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, COLUMNS, restval="", extrasaction="ignore", lineterminator="\r\n")
    writer.writeheader()
    for one in chosen:
        writer.writerows(task.fields for task in one.tasks)
    return {"tasks.csv": buffer.getvalue().encode()}


def _prodigy(chosen: Sequence[Chosen], settings: Settings) -> Files:
    lines = [json.dumps(task, ensure_ascii=False) + "\n" for task in _prodigy_tasks(chosen, settings)]
    return {"tasks.jsonl": "".join(lines).encode()}


def _prodigy_tasks(chosen: Sequence[Chosen], settings: Settings) -> Iterator[dict[str, Any]]:
    for one in chosen:
        for task in one.tasks:
            spans = [] if task.entity is None else [_span(task)]
            yield {
                **_sound(settings, one),
                "text": one.text,
                "audio_spans": spans,
                "options": [{"id": HEARD_WHOLE, "text": HEARD_WHOLE}],
                "meta": task.fields,
            }


def _sound(settings: Settings, one: Chosen) -> dict[str, Any]:
    return {} if one.clip is None else {"audio": f"{settings.audio_url}{one.clip_name}"}


def _span(task: Task) -> dict[str, Any]:
    return {"start": task.start_seconds, "end": task.end_seconds, "label": PROPOSED}


class _LabelStudioTask(TypedDict):
    data: dict[str, Any]
    predictions: list[dict[str, Any]]


def _label_studio(chosen: Sequence[Chosen], settings: Settings) -> Files:
    tasks: list[_LabelStudioTask] = [
        {
            "data": {**_sound(settings, one), "sentence": one.text, **task.fields,
                     "name": task.entity or "(none)"},
            "predictions": [_prediction(task, confidence, settings.run)] if task.entity and one.clip else [],
        }
        for one in chosen
        for task, confidence in zip(one.tasks, one.confidences, strict=True)
    ]  # fmt: skip
    has_sound = any(one.clip is not None for one in chosen)
    text = json.dumps(tasks, ensure_ascii=False, indent=1) + "\n"
    return {"tasks.json": text.encode(), "label_config.xml": _label_config(has_sound).encode()}


def _prediction(task: Task, confidence: float, run: str) -> dict[str, Any]:
    place = {"start": task.start_seconds, "end": task.end_seconds, "channel": 0}
    region = {
        "id": PROPOSED,
        "from_name": "span",
        "to_name": "audio",
        "type": "labels",
        "value": {**place, "labels": [PROPOSED]},
    }
    return {"model_version": run, "score": round(confidence, 4), "result": [region]}


def _label_config(has_sound: bool) -> str:
    """The labelling interface, to be pasted into a project's settings."""
    sound = [
        tag("Audio", name="audio", value="$audio", hotkey="space"),
        tag(
            "Labels",
            [tag("Label", value=PROPOSED, background="#0a58ca"), tag("Label", value=MISSED, background="#a40e26")],
            name="span",
            toName="audio",
        ),
        tag("TextArea", name="missed_name", toName="audio", perRegion="true", whenLabelValue=MISSED,
            placeholder="the missed name"),
    ]  # fmt: skip
    rest = [
        tag("Text", name="sentence", value="$sentence"),
        tag("Header", value="Was this name said: $name"),
        tag("Choices", [tag("Choice", value=one) for one in _JUDGED], name="verdict", toName="sentence"),
        tag("TextArea", name="correction", toName="sentence", maxSubmissions=1, placeholder="what was said there"),
        tag("Choices", tag("Choice", value=HEARD_WHOLE), name="whole", toName="sentence", choice="multiple"),
    ]
    return f"{tag('View', sound if has_sound else None, rest)}\n"


def _page(chosen: Sequence[Chosen], settings: Settings) -> Files:
    return {"review.html": build_page(chosen, settings.run).encode()}


@dataclasses.dataclass(frozen=True)
class Format:
    """How tasks are written in it. ``embeds_sound``: clips are in the file, else they are files beside it."""

    about: str
    write: Callable[[Sequence[Chosen], Settings], Files]
    needs_sound: bool = False
    embeds_sound: bool = False


FORMATS: dict[str, Format] = {
    "html": Format("one page that works offline", _page, needs_sound=True, embeds_sound=True),
    "csv": Format("a table, a task a row", _csv),
    "label-studio": Format("JSON to import, and the labelling interface", _label_studio),
    "prodigy": Format("JSONL, a task a line", _prodigy),
}
"""What ``--format`` takes."""
