"""Word times and audio of the few utterances that a report shows, read for those ids only."""

import base64
import dataclasses
import io
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import soundfile

from pipeline import storage
from pipeline.audio.decode import SAMPLE_RATE, decode_audio
from pipeline.errors import RowError
from pipeline.text import ENGLISH, Alphabet, normalise

Times = Sequence[tuple[float, float]]
"""(start, end) seconds of each word of a normalised hypothesis."""
SHARES = ("acoustic", "lm", "boost", "phone_cost")
_OGG = b"OggS"
_BATCH = 256  # rows of audio held at once


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
        clip = _ogg(name, (found.get(name) or {}).get("bytes"))
        if clip is not None and len(clip) <= clip_bytes:
            clips[name] = clip
            clip_bytes -= len(clip)
    return clips


def _ogg(name: str, data: bytes | None) -> bytes | None:
    """Return the audio as Ogg Opus, or None if it cannot be decoded: the row's own error says why."""
    if not data or data.startswith(_OGG):
        return data or None
    try:
        samples = decode_audio(data, name).samples
    except RowError:
        return None
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, SAMPLE_RATE, format="OGG", subtype="OPUS")
    return buffer.getvalue()


def _rows(path: str | None, ids: Collection[str], column: str) -> Iterator[dict[str, Any]]:
    """Yield the rows of ``ids`` with ``column``; reads only the row groups that have one of them."""
    if path is None or not ids:
        return
    wanted = pa.array(sorted(ids), pa.string())
    for location in storage.list_parquet(path):
        with location.filesystem.open(location.path, "rb") as stream:
            file = pq.ParquetFile(stream)
            if {"utterance_id", column} <= set(file.schema_arrow.names):
                yield from _wanted(file, wanted, column)


def _wanted(file: pq.ParquetFile, wanted: pa.Array, column: str) -> Iterable[dict[str, Any]]:
    groups = [
        group
        for group in range(file.num_row_groups)
        if pc.any(
            pc.is_in(file.read_row_group(group, ["utterance_id"])["utterance_id"].cast(pa.string()), wanted)
        ).as_py()
    ]
    for batch in file.iter_batches(_BATCH, row_groups=groups, columns=["utterance_id", column]):
        yield from batch.filter(pc.is_in(batch["utterance_id"].cast(pa.string()), wanted)).to_pylist()


def data_uri(clip: bytes) -> str:
    """Return an Ogg clip as a data URI, so that the page needs no other file."""
    return f"data:audio/ogg;base64,{base64.b64encode(clip).decode()}"


NO_EXAMPLES = ExampleSource(alphabet=ENGLISH)
