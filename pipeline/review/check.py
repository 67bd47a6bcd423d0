"""Answers held against the run: every one becomes a row of REVIEWS, with ``error`` where it cannot count."""

import datetime
import math
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from pipeline.review.answers import Answer, Answers, text_of
from pipeline.review.formats import MISSED, VERDICTS
from pipeline.review.tasks import seconds_of
from pipeline.text import Alphabet, normalise

Review: TypeAlias = dict[str, Any]
"""A row of REVIEWS."""
_SPILL = 0.05  # seconds by which a span may leave its utterance: players and frames round
_YES, _NO = ("1", "yes", "true", "x", "y"), ("0", "no", "false", "n")


class _Wrong(ValueError):
    """Why an answer cannot count."""


def reviews_of(
    answers: Answers, rows: Mapping[str, Mapping[str, Any]], run: str, reviewer: str | None, alphabet: Alphabet
) -> list[Review]:
    """Return a REVIEWS row per answer, in their order; what cannot count has ``error`` set.

    rows:     TRANSCRIPTS rows of the run by id, at least those that the answers name
    reviewer: who it was where the file does not say
    """
    found = [_review(one, rows, run, reviewer, answers.probabilities, alphabet) for one in answers.answers]
    return _heard_whole(found)


def _heard_whole(reviews: list[Review]) -> list[Review]:
    """What one says of a whole utterance holds for all of their rows; it has a row only where there is no other."""
    whole = {(one["utterance_id"], one["reviewer"]) for one in reviews if one["whole"] and one["error"] is None}
    judged = {(one["utterance_id"], one["reviewer"]) for one in reviews if one["verdict"] is not None}
    kept, seen = [], set()
    for one in reviews:
        who = (one["utterance_id"], one["reviewer"])
        if one["verdict"] is None and one["error"] is None:
            if who in judged or who in seen:
                continue
            seen.add(who)
        kept.append(one | {"whole": bool(one["whole"]) or who in whole})
    return kept


def _review(
    answer: Answer,
    rows: Mapping[str, Mapping[str, Any]],
    run: str,
    reviewer: str | None,
    chosen: Mapping[str, Any],
    alphabet: Alphabet,
) -> Review:
    name = str(answer.get("utterance_id") or "")
    row = rows.get(name)
    found: Review = {
        "run": str(answer.get("run") or run),
        "utterance_id": name,
        "audio_sha256": row["audio_sha256"] if row else None,
        **{field: text_of(answer.get(field)) for field in ("entity", "text", "verdict", "correction")},
        "reviewer": text_of(answer.get("reviewer")) or reviewer,
    }
    problems: list[str] = []
    for field, read in _FIELDS.items():
        value = answer.get(field)
        try:
            found[field] = read(chosen.get(name) if field == "probability" and value is None else value)
        except _Wrong as error:
            found[field] = None
            problems.append(f"{field} {error}")
    found["error"] = None
    try:
        if found["run"] != run:
            raise _Wrong(f"is a review of run '{found['run']}', not of '{run}'")
        if row is None:
            raise _Wrong(f"run '{run}' has no utterance '{name}'" if name else "names no utterance")
        if problems:
            raise _Wrong("; ".join(problems))
        found |= _judged(found, row, alphabet)
    except _Wrong as error:
        found["error"] = str(error)
    return found


def _judged(found: Review, row: Mapping[str, Any], alphabet: Alphabet) -> Review:
    """Return what the run adds to an answer; raises _Wrong where the two do not meet."""
    if row["error"] is not None:
        raise _Wrong("the run has no transcript of this utterance")
    verdict = found["verdict"]
    length = seconds_of(row)
    if verdict is None:
        place = {"start_seconds": 0.0, "end_seconds": length}
        return {**place, "entity": None, "text": row["text"], "correction": None}
    if verdict.lower() not in VERDICTS:
        raise _Wrong(f"verdict '{verdict}' is none of {', '.join(VERDICTS)}")
    verdict = verdict.lower()
    start, end = found["start_seconds"], found["end_seconds"]
    if start is None or end is None:
        raise _Wrong("start_seconds and end_seconds are needed, in seconds of the utterance")
    if not -_SPILL <= start < end <= length + _SPILL:
        raise _Wrong(f"its span {start:g} to {end:g} s is not within the {length:g} s of the utterance")
    start, end = max(0.0, start), min(end, length)
    if verdict == MISSED:
        name = found["correction"] or found["entity"]
        _check_written(name, "a missed name needs the name, in correction", alphabet)
        text = found["text"] or _between(row, start, end)
        found = {"start_seconds": start, "end_seconds": end, "text": text, "correction": name}
        return {**found, "entity": None, "verdict": verdict}
    proposal = _proposal(found, row, start, end, alphabet)
    if verdict == "corrected":
        _check_written(found["correction"], "a corrected name needs the correction", alphabet)
    elif verdict == "rejected" and found["correction"] is not None:
        _check_written(found["correction"], "its correction has nothing that is spoken", alphabet)
    return {
        "start_seconds": start,
        "end_seconds": end,
        "entity": proposal["entity"],
        "text": _words(row, proposal),
        "verdict": verdict,
        "correction": None if verdict == "accepted" else found["correction"],
    }


def _check_written(text: str | None, problem: str, alphabet: Alphabet) -> None:
    if not normalise(text or "", alphabet):
        raise _Wrong(problem + (f"; got '{text}'" if text else ""))


def _proposal(found: Review, row: Mapping[str, Any], start: float, end: float, alphabet: Alphabet) -> Mapping[str, Any]:
    """Return the entity of the run that an answer is about."""
    if found["entity"] is None:
        raise _Wrong(
            f"'{found['verdict']}' is about a proposed name and it has none; a name that the run lacks is missed"
        )
    name = normalise(found["entity"], alphabet)
    for one in row["entities"] or ():
        names = {one["entity"], normalise(one["entity"] or "", alphabet), normalise(one["display_as"] or "", alphabet)}
        if name in names and one["start_seconds"] < end and start < one["end_seconds"]:
            written = _words(row, one)
            if found["text"] is not None and normalise(found["text"], alphabet) != normalise(written, alphabet):
                raise _Wrong(f"the run wrote '{written}' there, the review is of '{found['text']}': another run's?")
            proposal: Mapping[str, Any] = one
            return proposal
    raise _Wrong(f"the run proposed no '{found['entity']}' from {start:g} to {end:g} s")


def _words(row: Mapping[str, Any], found: Mapping[str, Any]) -> str:
    return " ".join(word["word"] for word in row["words"][found["start_word"] : found["end_word"]])


def _between(row: Mapping[str, Any], start: float, end: float) -> str:
    return " ".join(
        word["word"] for word in row["words"] or () if word["start_seconds"] < end and start < word["end_seconds"]
    )


def _number(value: Any) -> float | None:
    """Read seconds; a comma stands for the point where spreadsheets write it so."""
    if value is None or value == "":
        return None
    try:
        number = float(value.replace(",", ".") if isinstance(value, str) else value)
    except (TypeError, ValueError) as error:
        raise _Wrong(f"'{value}' is no number") from error
    if not math.isfinite(number):
        raise _Wrong(f"'{value}' is no number of seconds")
    return number


def _probability(value: Any) -> float | None:
    number = _number(value)
    if number is not None and not 0.0 < number <= 1.0:
        raise _Wrong(f"{number:g} is not above 0 and at most 1")
    return number


def _time(value: Any) -> datetime.datetime | None:
    """Read ISO 8601, as UTC where it names no zone."""
    text = text_of(value)
    if text is None:
        return None
    try:
        time = datetime.datetime.fromisoformat(text)
    except ValueError as error:
        raise _Wrong(f"'{text}' is no time such as 2026-11-30T10:00:00Z") from error
    return time.astimezone(datetime.UTC) if time.tzinfo else time.replace(tzinfo=datetime.UTC)


def _yes(value: Any) -> bool:
    if value is None or isinstance(value, bool):
        return bool(value)
    text = str(value).strip().lower()
    if text not in (*_YES, *_NO, ""):
        raise _Wrong(f"'{value}' is neither yes nor no")
    return text in _YES


_FIELDS: dict[str, Callable[[Any], Any]] = {
    "start_seconds": _number,
    "end_seconds": _number,
    "reviewed_at": _time,
    "probability": _probability,
    "whole": _yes,
}
"""What reads the fields that are no text."""
