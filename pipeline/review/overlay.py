"""Reviewed text wins: what reviewers said is laid over a run's words, by audio and time; the run is not changed.

A word belongs to a span if at least half of it lies inside. Where an edge of the span cuts a word so that this is not
clear, or no word is there, the review no longer fits; it is counted and the run's words stay.
"""

import collections
import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.review.check import Review
from pipeline.review.folder import Files, counting, denies, says, version_of
from pipeline.schemas import FOUND_ENTITY, WORD
from pipeline.text import Alphabet, normalise

REVIEWED = pa.schema(
    [
        pa.field(
            "original_text", pa.string(), metadata={"about": "the run's own text; null where no review changed it"}
        ),
        pa.field(
            "reviewed",
            pa.list_(
                pa.struct(
                    [
                        pa.field("start_word", pa.int32(), metadata={"about": "index of the first word from a review"}),
                        pa.field("end_word", pa.int32(), metadata={"about": "one past the last"}),
                        pa.field("original", pa.string(), metadata={"about": "what the run wrote there"}),
                        pa.field("verdict", pa.string(), metadata={"about": "of the review"}),
                    ]
                )
            ),
            metadata={"about": "the words that reviews changed, in order"},
        ),
    ]
)
"""Further columns of TRANSCRIPTS rows that reviews were laid over."""
_INSIDE, _OUTSIDE = 0.6, 0.4
"""Shares of a word inside a span from which it surely belongs to it, and up to which it surely does not."""
_SURE = 1.0  # confidence of a word that a person heard
_TECHNIQUE = "review"
OUTCOMES = (
    "changed", "agreed", "not there", "no alternative", "edge cuts a word", "no word there", "overlaps another",
)  # fmt: skip
"""What becomes of a review: it changed the text; the run says the same; what it rejects is not written anyway; the run
does not know what else could stand there; and three ways not to fit."""
NOT_FITTING = OUTCOMES[3:]
_Row: TypeAlias = Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class _Edit:
    """Words [first, last) become ``words``; ``name`` as people write it, where they are an entity."""

    first: int
    last: int
    words: tuple[str, ...]
    name: str | None
    verdict: str


class Overlay:
    """The reviews that count, by the audio they are of. ``counts``: what became of them, over all rows so far."""

    def __init__(self, files: Files, alphabet: Alphabet) -> None:
        self._alphabet = alphabet
        self._by_audio: dict[str, list[Review]] = {}
        for one in counting(files):
            if one["audio_sha256"] and one["verdict"] is not None:
                self._by_audio.setdefault(one["audio_sha256"], []).append(one)
        self.version = version_of(files)
        self.counts: collections.Counter[str] = collections.Counter()
        self._rows = 0
        self._seen: set[str] = set()

    @property
    def reviews(self) -> int:
        return sum(map(len, self._by_audio.values()))

    def facts(self) -> dict[str, Any]:
        """What records say: how many reviews there are, and what became of them."""
        elsewhere = sum(len(found) for audio, found in self._by_audio.items() if audio not in self._seen)
        return {
            "version": self.version,
            "count": self.reviews,
            "rows_changed": self._rows,
            **{_key(name): self.counts[name] for name in OUTCOMES},
            "other_audio": elsewhere,
        }

    def lay(self, batch: pa.Table) -> pa.Table:
        """Return TRANSCRIPTS rows with what reviewers said in text, words and entities, and the columns of REVIEWED."""
        audio = batch["audio_sha256"].to_pylist()
        laid = {
            at: self.row(batch.slice(at, 1).to_pylist()[0]) for at, one in enumerate(audio) if one in self._by_audio
        }
        changed = {at: row for at, row in laid.items() if row["original_text"] is not None}
        if changed:
            for name in ("text", "words", "entities"):
                values = batch[name].to_pylist()
                for at, row in changed.items():
                    values[at] = row[name]
                place = batch.column_names.index(name)
                batch = batch.set_column(
                    place, batch.schema.field(name), pa.array(values, batch.schema.field(name).type)
                )
        for field in REVIEWED:
            marks = [changed[at][field.name] if at in changed else None for at in range(len(batch))]
            batch = batch.append_column(field, pa.array(marks, field.type))
        return batch

    def row(self, row: _Row) -> dict[str, Any]:
        """Return one TRANSCRIPTS row likewise."""
        reviews = self._by_audio.get(row["audio_sha256"] or "", [])
        self._seen.add(row["audio_sha256"])
        if row["error"] is not None:
            self.counts["no word there"] += len(reviews)
            reviews = []
        edits: list[_Edit] = []
        for one in sorted(reviews, key=lambda one: (says(one, self._alphabet) is None, one["start_seconds"])):
            outcome = self._edit(row, one, edits)
            if isinstance(outcome, _Edit):
                edits.append(outcome)
                outcome = "changed"
            self.counts[outcome] += 1
        if not edits:
            return {**row, "original_text": None, "reviewed": None}
        self._rows += 1
        return _edited(row, sorted(edits, key=lambda edit: edit.first))

    def _edit(self, row: _Row, review: Review, edits: Sequence[_Edit]) -> _Edit | str:
        """Return what a review changes in the run's row, or why it changes nothing; ``edits`` come first."""
        said, denied = says(review, self._alphabet), denies(review, self._alphabet)
        found = next((one for one in row["entities"] or () if self._is(one, denied, review)), None)
        if said is None:
            if found is None:
                return "not there"
            if found["alternative"] is None:
                return "no alternative"
            first, last, words = found["start_word"], found["end_word"], normalise(found["alternative"], self._alphabet)
        else:
            span = _span(row["words"] or (), review["start_seconds"], review["end_seconds"])
            if isinstance(span, str):
                return span
            (first, last), words = span, said
        new, old = tuple(words.split()), tuple(word["word"] for word in row["words"][first:last])
        for edit in edits:
            if edit.first < last and first < edit.last:
                same = (edit.first, edit.last, edit.words) == (first, last, new)
                return "agreed" if same else "not there" if said is None else "overlaps another"
        if new == old and (review["verdict"] in ("accepted", "rejected") or self._is_named(row, first, last)):
            return "agreed"
        name = None if review["verdict"] == "rejected" else review["correction"] or review["entity"]
        return _Edit(first, last, new, name, review["verdict"])

    def _is(self, found: _Row, denied: str | None, review: Review) -> bool:
        if denied is None or normalise(found["entity"] or "", self._alphabet) != denied:
            return False
        return bool(found["start_seconds"] < review["end_seconds"] and review["start_seconds"] < found["end_seconds"])

    @staticmethod
    def _is_named(row: _Row, first: int, last: int) -> bool:
        """Whether words [first, last) are an entity of the run."""
        return any((one["start_word"], one["end_word"]) == (first, last) for one in row["entities"] or ())


def summary(facts: Mapping[str, Any]) -> str:
    """Return what ``Overlay.facts`` says, in a line for people."""
    misfits = {name: facts[_key(name)] for name in NOT_FITTING if facts[_key(name)]}
    named = f" ({', '.join(f'{name}: {count:,}' for name, count in misfits.items())})" if misfits else ""
    return (
        f"{facts['count']:,} reviews: {facts['changed']:,} change {facts['rows_changed']:,} rows, "
        f"{sum(misfits.values()):,} no longer fit{named}, {facts['other_audio']:,} are of other audio"
    )


def _key(outcome: str) -> str:
    return outcome.replace(" ", "_")


def changed_lines(batch: pa.Table) -> list[str]:
    """Return a JSON line per row that reviews changed: its id, text, original text and what was reviewed."""
    changed = batch.filter(pc.is_valid(batch["original_text"]))
    rows = changed.select(["utterance_id", "text", *REVIEWED.names]).to_pylist()
    return [json.dumps(row, ensure_ascii=False) + "\n" for row in rows]


def _span(words: Sequence[_Row], start: float, end: float) -> tuple[int, int] | str:
    """Return the words [first, last) that a span is of, or why that is not clear."""
    inside = []
    for at, word in enumerate(words):
        length = word["end_seconds"] - word["start_seconds"]
        shared = min(end, word["end_seconds"]) - max(start, word["start_seconds"])
        share = shared / length if length > 0 else float(start <= word["start_seconds"] < end)
        if _OUTSIDE < share < _INSIDE:
            return "edge cuts a word"
        if share >= _INSIDE:
            inside.append(at)
    return (inside[0], inside[-1] + 1) if inside else "no word there"


def _edited(row: _Row, edits: Sequence[_Edit]) -> dict[str, Any]:
    """Return the row with its words replaced; entities that an edit touches are gone, those behind it move along."""
    words: list[dict[str, Any]] = []
    entities: list[dict[str, Any]] = []
    reviewed: list[dict[str, Any]] = []
    moved: list[int] = []  # place of every word that stays, in the new text
    at = 0
    for edit in [*edits, None]:
        until = edit.first if edit else len(row["words"])
        moved += [len(words) + place for place in range(until - at)]
        words += row["words"][at:until]
        if edit is None:
            break
        old = row["words"][edit.first : edit.last]
        new = _timed(edit.words, old[0]["start_seconds"], old[-1]["end_seconds"])
        place = {"start_word": len(words), "end_word": len(words) + len(new)}
        original = " ".join(word["word"] for word in old)
        reviewed.append({**place, "original": original, "verdict": edit.verdict})
        if edit.name is not None:
            entities.append(_entity(edit, new, place, original))
        moved += [-1] * len(old)
        words += new
        at = edit.last
    for one in row["entities"] or ():
        places = moved[one["start_word"] : one["end_word"]]
        if places and -1 not in places:
            entities.append(one | {"start_word": places[0], "end_word": places[-1] + 1})
    entities.sort(key=lambda one: one["start_word"])
    text = " ".join(word["word"] for word in words)
    return {
        **row,
        "text": text,
        "words": words,
        "entities": entities,
        "original_text": row["text"],
        "reviewed": reviewed,
    }


def _timed(words: Sequence[str], start: float, end: float) -> list[dict[str, Any]]:
    """Share the time of the replaced words out among the new ones, by their letters."""
    letters = sum(map(len, words))
    found, at = [], 0
    for word in words:
        times = (start + (end - start) * place / letters for place in (at, at + len(word)))
        found.append(dict(zip((field.name for field in WORD), (word, *times, _SURE), strict=True)))
        at += len(word)
    return found


def _entity(edit: _Edit, words: Sequence[_Row], place: Mapping[str, int], original: str) -> dict[str, Any]:
    fields = {
        "entity": " ".join(edit.words),
        "display_as": edit.name,
        **place,
        "start_seconds": words[0]["start_seconds"],
        "end_seconds": words[-1]["end_seconds"],
        "techniques": [_TECHNIQUE],
        "strategies": [],
        "alternative": original,
    }
    return {field.name: fields.get(field.name) for field in FOUND_ENTITY}
