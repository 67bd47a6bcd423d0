"""What reviewers sent back, in any of the formats, told apart by their content; nothing is judged here.

Every answer becomes fields by the names of REVIEWS, as the file has them. What a tool calls otherwise is put into
these names; a task that nobody answered is counted and gives nothing.
"""

import csv
import dataclasses
import datetime
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from pipeline import storage
from pipeline.errors import InputError
from pipeline.review.formats import COLUMNS, HEARD_WHOLE, MISSED
from pipeline.review.page import SAVED
from pipeline.storage import Location

Answer: TypeAlias = dict[str, Any]
"""Fields of REVIEWS as the file has them, without audio_sha256 and error; those that it lacks are missing or None."""
_TASK = ("run", "utterance_id", "start_seconds", "end_seconds", "entity", "text", "probability")
_PRODIGY = {"accept": "accepted", "reject": "rejected"}


@dataclasses.dataclass(frozen=True)
class Answers:
    """A file of reviews.

    unanswered:    tasks without a verdict that were not heard whole either
    probabilities: with which utterances were chosen, by id, as far as any task of the file says
    """

    form: str
    answers: tuple[Answer, ...]
    unanswered: int
    probabilities: Mapping[str, Any]


def read_answers(location: Location) -> Answers:
    """Return the answers of a file of Label Studio, Prodigy, csv or the page; raises InputError or StorageError."""
    source = location.uri
    try:
        text = storage.read_bytes(location).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{source}: is not UTF-8 text ({error}); save it as UTF-8.") from error
    form, answers = _parsed(source, text)
    found = [one for one in answers if one.get("verdict") or _is_whole(one)]
    chosen = {str(one.get("utterance_id")): one["probability"] for one in answers if one.get("probability") is not None}
    return Answers(form, tuple(found), len(answers) - len(found), chosen)


def _is_whole(answer: Answer) -> bool:
    return answer.get("whole") not in (None, False, "")


def _parsed(source: str, text: str) -> tuple[str, list[Answer]]:
    start = text.lstrip()[:1]
    if start == "[":
        return "label-studio", list(_label_studio(source, _json(source, text)))
    if start != "{":
        return "csv", _csv(source, text)
    try:
        whole = json.loads(text)
    except ValueError:
        whole = None  # an object per line
    if isinstance(whole, dict) and whole.get("format") == SAVED:
        return "html", list(_page(source, whole))
    return "prodigy", list(_prodigy(source, text))


def _json(source: str, text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise InputError(f"{source}: is not JSON ({error}); export it again from the tool.") from error


def _csv(source: str, text: str) -> list[Answer]:
    header = text.partition("\n")[0]
    by_semicolon = "," not in header  # as spreadsheets save it where the comma is the decimal sign
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=";" if by_semicolon else ",", strict=True)
    names = [(name or "").strip() for name in reader.fieldnames or ()]
    reader.fieldnames = names
    missing = [name for name in COLUMNS if name not in names]
    if missing:
        raise InputError(
            f"{source}: is neither JSON nor a table of reviews; columns {missing} are missing, it has {names[:12]}. "
            "Needed is what `rollcall review-export` wrote, with the verdicts."
        )
    try:
        return [{name: (row.get(name) or "").strip() or None for name in COLUMNS} for row in reader]
    except csv.Error as error:
        raise InputError(f"{source}: line {reader.line_num} is not valid CSV ({error}).") from error


def _page(source: str, saved: Mapping[str, Any]) -> Iterator[Answer]:
    reviews = saved.get("reviews")
    if not isinstance(reviews, list) or not all(isinstance(one, dict) for one in reviews):
        raise InputError(f"{source}: has no list 'reviews'; save it again from the page.")
    for one in reviews:
        yield {"run": saved.get("run"), **one}


def _prodigy(source: str, text: str) -> Iterator[Answer]:
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        entry = _json(f"{source}: line {number}", line)
        if not isinstance(entry, dict):
            raise InputError(f"{source}: line {number} is no JSON object; needed is what Prodigy's db-out writes.")
        yield from _prodigy_answers(entry)


def _prodigy_answers(entry: Mapping[str, Any]) -> Iterator[Answer]:
    meta = entry.get("meta")
    task = {name: meta.get(name) for name in _TASK} if isinstance(meta, dict) else {}
    correction = text_of(entry.get("correction"))
    verdict = _PRODIGY.get(str(entry.get("answer")))
    if verdict == "accepted" and correction is not None:
        verdict = "corrected"
    if task.get("entity") is None:
        verdict = None  # an utterance to listen to: accepting it judges no name
    seconds = entry.get("_timestamp")
    said = {
        "reviewer": text_of(entry.get("_annotator_id") or entry.get("_session_id")),
        "reviewed_at": _of_clock(seconds) if isinstance(seconds, int | float) else None,
        "whole": entry.get("answer") != "ignore" and HEARD_WHOLE in (entry.get("accept") or ()),
    }
    yield {**task, "verdict": verdict, "correction": correction if verdict else None, **said}
    names = (text_of(entry.get("missed")) or "").split("\n")
    spans = [span for span in entry.get("audio_spans") or () if isinstance(span, dict)]
    marked = sorted((span for span in spans if str(span.get("label", "")).lower() == MISSED), key=_start)
    for at, span in enumerate(marked if entry.get("answer") != "ignore" else ()):
        name = names[at].strip() if at < len(names) else ""
        yield _missed(task, span.get("start"), span.get("end"), name, said)


def _start(span: Mapping[str, Any]) -> float:
    start = span.get("start")
    return start if isinstance(start, int | float) else 0.0


def _of_clock(seconds: float) -> str:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).isoformat()


def _missed(task: Answer, start: Any, end: Any, name: str | None, said: Mapping[str, Any]) -> Answer:
    place = {"start_seconds": start, "end_seconds": end, "entity": None, "text": None}
    return {**task, **place, "verdict": MISSED, "correction": name or None, **said}


def _label_studio(source: str, tasks: Any) -> Iterator[Answer]:
    for number, task in enumerate(tasks, start=1):
        data = task.get("data") if isinstance(task, dict) else None
        if not isinstance(data, dict):
            raise InputError(
                f"{source}: task {number} has no 'data'; needed is Label Studio's export as JSON (not JSON-MIN)."
            )
        fields = {name: data.get(name) for name in _TASK}
        annotations = [one for one in task.get("annotations") or () if isinstance(one, dict)]
        done = [one for one in annotations if not one.get("was_cancelled")]
        if not done:
            yield fields
        for one in done:
            yield from _annotation(fields, one)


def _annotation(task: Answer, annotation: Mapping[str, Any]) -> Iterator[Answer]:
    results = [one for one in annotation.get("result") or () if isinstance(one, dict)]
    said = {
        "reviewer": _annotator(annotation.get("completed_by")),
        "reviewed_at": annotation.get("updated_at") or annotation.get("created_at"),
        "whole": HEARD_WHOLE in _values(results, "whole", "choices"),
    }
    verdict = next(iter(_values(results, "verdict", "choices")), None)
    correction = next(iter(_values(results, "correction", "text")), None)
    yield {**task, "verdict": verdict, "correction": text_of(correction), **said}
    names = {one.get("id"): _value(one, "text") for one in results if one.get("from_name") == "missed_name"}
    for one in results:
        if one.get("from_name") == "span" and MISSED in _value(one, "labels"):
            place = one["value"]
            name = " ".join(map(str, names.get(one.get("id"), ())))
            yield _missed(task, place.get("start"), place.get("end"), name, said)


def _values(results: Sequence[Mapping[str, Any]], name: str, key: str) -> list[Any]:
    return [value for one in results if one.get("from_name") == name for value in _value(one, key)]


def _value(result: Mapping[str, Any], key: str) -> list[Any]:
    """Return what a result holds under a key; Label Studio writes one text as a list of it, or alone."""
    value = result.get("value")
    found = value.get(key) if isinstance(value, dict) else None
    return found if isinstance(found, list) else [] if found is None else [found]


def _annotator(who: Any) -> str | None:
    if isinstance(who, dict):
        who = who.get("email") or who.get("id")
    return text_of(who)


def text_of(value: Any) -> str | None:
    """Return a field as text without spaces around it; None for an empty one."""
    return None if value is None else str(value).strip() or None
