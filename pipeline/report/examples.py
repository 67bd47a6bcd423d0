"""Word times and audio of the few utterances that a report shows, read for those ids only."""

import dataclasses
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from pipeline import storage
from pipeline.audio.clips import ogg_clip
from pipeline.runs.columns import rows_of
from pipeline.text import ENGLISH, Alphabet, normalise

Times = Sequence[tuple[float, float]]
"""(start, end) seconds of each word of a normalised hypothesis."""
SHARES = ("acoustic", "lm", "boost", "phone_cost")


@dataclasses.dataclass(frozen=True)
class Why:
    """Why the run wrote an entity (TRANSCRIPTS entities): shares of its score in nats, None where not known."""

    name: str
    start_seconds: float | None
    end_seconds: float | None
    techniques: tuple[str, ...]
    shares: Mapping[str, float]  # acoustic, lm, boost, phone_cost: those that are known
    alternative: str | None  # what the run would have written without the list


@dataclasses.dataclass(frozen=True)
class Examples:
    """What is known of the utterances that are shown; ``clips`` are Ogg files."""

    times: Mapping[str, Times] = dataclasses.field(default_factory=dict)
    reasons: Mapping[str, Sequence[Why]] = dataclasses.field(default_factory=dict)
    clips: Mapping[str, bytes] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class ExampleSource:
    """Where examples come from: TRANSCRIPTS parquet for word times, AUDIO parquet for sound; either may be missing."""

    transcripts: str | None = None
    audio: str | None = None
    alphabet: Alphabet = ENGLISH

    def load(self, ids: Sequence[str], clip_bytes: int) -> Examples:
        """Return the times of ``ids``, and clips in the order of ``ids`` until ``clip_bytes`` are full."""
        wanted = set(ids)
        return Examples(
            _times(self.transcripts, wanted, self.alphabet),
            _reasons(self.transcripts, wanted),
            _clips(self.audio, ids, clip_bytes),
        )


def _times(path: str | None, ids: set[str], alphabet: Alphabet) -> dict[str, Times]:
    times: dict[str, Times] = {}
    for row in _rows(path, ids, "words"):
        words = row["words"] or []
        text = [normalise(word["word"], alphabet) for word in words]
        if all(word and " " not in word for word in text):  # else words and normalised words do not match one to one
            times[row["utterance_id"]] = [(word["start_seconds"], word["end_seconds"]) for word in words]
    return times


def _reasons(path: str | None, ids: set[str]) -> dict[str, list[Why]]:
    """Only entities of which the run says more than that it wrote them."""
    reasons = {}
    for row in _rows(path, ids, "entities"):
        found = [_why(entity) for entity in row["entities"] or () if isinstance(entity, dict)]
        said = [why for why in found if why.techniques or why.shares or why.alternative is not None]
        if said:
            reasons[row["utterance_id"]] = said
    return reasons


def _why(entity: Mapping[str, Any]) -> Why:
    return Why(
        entity.get("display_as") or entity.get("entity") or "",
        entity.get("start_seconds"),
        entity.get("end_seconds"),
        tuple(entity.get("techniques") or ()),
        {name: entity[name] for name in SHARES if entity.get(name) is not None},
        entity.get("alternative"),
    )


def _clips(path: str | None, ids: Sequence[str], clip_bytes: int) -> dict[str, bytes]:
    found = {row["utterance_id"]: row["audio"] for row in _rows(path, set(ids), "audio")}
    clips: dict[str, bytes] = {}
    for name in ids:
        clip = ogg_clip(name, (found.get(name) or {}).get("bytes"))
        if clip is not None and len(clip) <= clip_bytes:
            clips[name] = clip
            clip_bytes -= len(clip)
    return clips


def _rows(path: str | None, ids: Collection[str], column: str) -> Iterator[dict[str, Any]]:
    """Yield the rows of ``ids`` with ``column``; reads only the row groups that have one of them."""
    if path is not None and ids:
        yield from rows_of(storage.list_parquet(path), ids, (column,))


NO_EXAMPLES = ExampleSource(alphabet=ENGLISH)
