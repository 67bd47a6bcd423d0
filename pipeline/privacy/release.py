"""From rows of a run to rows that may leave: PRIVATE has nothing but what is written here."""

import dataclasses
import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.entities import snapshot
from pipeline.privacy.config import PrivacyConfig, fingerprint
from pipeline.privacy.embeddings import Embeddings, load
from pipeline.privacy.lists import known_names
from pipeline.privacy.mechanism import Mechanism
from pipeline.privacy.mechanisms import build
from pipeline.privacy.names import PERSON, TAGS, Names, Span, Surrogates, Word
from pipeline.privacy.noise import Keyed
from pipeline.schemas import PRIVATE
from pipeline.storage import Location, exists

NEEDED = ("utterance_id", "text", "entities", "recording_id", "speaker", "error")
"""The columns of TRANSCRIPTS that a release is made of; no other is read."""
UNTAGGED = "family"


def tags_of(lists: Location, config: PrivacyConfig) -> dict[str, str]:
    """Return for each entity of a run's lists the class that it is replaced as; empty where the run has no lists."""
    if not exists(lists):
        return {}
    meaning = {**TAGS, **dict(config.tags)}
    found = {}
    for entity in snapshot.load_union(lists).entities:
        known = [meaning[tag] for tag in entity.tags if tag in meaning]
        known = known or [meaning[tag.lower()] for tag in entity.tags if tag.lower() in meaning]
        found[entity.text] = known[0] if known else UNTAGGED
    return found


@dataclasses.dataclass(frozen=True)
class Charge:
    """What the release of one utterance tells: ``words`` of it, each at what the mechanism charges.

    All names are pseudonyms. ``text`` is a keyed hash of the original text.
    """

    noise: str
    utterance: str
    text: str
    speaker: str | None
    recording: str
    words: int


class Releaser:
    """Makes private rows, under one configuration and key."""

    def __init__(
        self, config: PrivacyConfig, key: bytes, tags: Mapping[str, str], mechanism: Mechanism | None = None
    ) -> None:
        """``tags``: entity -> class (``tags_of``); ``mechanism``: of ``config``, where it is built already.

        Raises ConfigError or InputError.
        """
        self.config, self.embeddings, self._built = config, load(config.embeddings), mechanism
        self._tags = tags
        self._names = Names(self.embeddings.ids, known_names())
        self._surrogates = Surrogates(key)
        self._noise = Keyed(key, "word", config.parameters, self.embeddings.content_hash)
        self._pseudonyms = Keyed(key, "pseudonym")
        self.noise_id = noise_id(config, self.embeddings, key)

    @functools.cached_property
    def mechanism(self) -> Mechanism:
        """Of ``config``; built when it is first needed."""
        return self._built or build(self.config, self.embeddings)

    def charges(self, rows: pa.Table) -> Iterator[Charge]:
        """Yield what releasing rows tells; rows without a text tell nothing."""
        for row in rows.select(NEEDED).to_pylist():
            if row["text"] is None or row["error"] is not None:
                continue
            text = self._pseudonyms.name("text", row["text"])
            words = len(row["text"].split())
            yield Charge(self.noise_id, self._name("utterance", row), text, *self._whose(row), words)

    def _name(self, kind: str, row: Mapping[str, Any]) -> str:
        return self._pseudonyms.name(kind, row["utterance_id"])

    def _whose(self, row: Mapping[str, Any]) -> tuple[str | None, str]:
        speaker = None if row["speaker"] is None else self._pseudonyms.name("speaker", row["speaker"])
        return speaker, self._pseudonyms.name("recording", recording_of(row))

    def private(self, rows: pa.Table) -> pa.Table:
        """Return PRIVATE rows, sorted by pseudonym; each row depends on nothing but itself."""
        found: list[dict[str, Any]] = []
        waiting = _Waiting([], [], [])
        for row in rows.select(NEEDED).to_pylist():
            speaker, recording = self._whose(row)
            ids = {"utterance_id": self._name("utterance", row), "speaker": speaker, "recording_id": recording}
            if row["text"] is None or row["error"] is not None:
                found.append(ids | {"text": None, "tags": None})
                continue
            words, spans = self._spans(row)
            written = [""] * len(words)
            for span in spans:
                written[span.start : span.end] = self._surrogates.write(recording_of(row), span, words)
            self._collect(row, words, written, waiting)
            found.append(ids | {"text": written, "tags": [_tag(span) for span in spans]})
        self._draw(waiting)
        for row in found:
            row["text"] = None if row["text"] is None else " ".join(row["text"])
        return pa.Table.from_pylist(sorted(found, key=lambda row: str(row["utterance_id"])), schema=PRIVATE)

    def _spans(self, row: Mapping[str, Any]) -> tuple[list[Word], list[Span]]:
        words = [self._names.word(raw) for raw in row["text"].split()]
        entities = [
            Span(self._tags.get(found["entity"], UNTAGGED), found["start_word"], found["end_word"])
            for found in row["entities"] or ()
        ]
        return words, self._names.find(words, entities)

    def _collect(self, row: Mapping[str, Any], words: Sequence[Word], written: list[str], waiting: "_Waiting") -> None:
        """Note the ordinary words of a row, which have nothing written yet, and their noise."""
        places = [at for at, done in enumerate(written) if not done]
        if places:
            cores = [words[at].core for at in places]
            waiting.places += [(written, at, words[at].ending) for at in places]
            waiting.words += [self.embeddings.ids[core] for core in cores]
            waiting.bits.append(self._noise.bits(row["utterance_id"], row["text"], places, cores))

    def _draw(self, waiting: "_Waiting") -> None:
        if not waiting.places:
            return
        drawn = self.mechanism.draw(np.array(waiting.words, np.int32), np.concatenate(waiting.bits))
        outputs = self.mechanism.outputs
        for (written, at, ending), output in zip(waiting.places, drawn.tolist(), strict=True):
            written[at] = outputs[output] + ending


@dataclasses.dataclass
class _Waiting:
    """Words of many rows that one draw is made for: where they go, with what ending, their ids and their noise."""

    places: list[tuple[list[str], int, str]]
    words: list[int]
    bits: list[np.ndarray[Any, np.dtype[np.uint64]]]


def noise_id(config: PrivacyConfig, embeddings: Embeddings, key: bytes) -> str:
    """Return what tells noise apart: releases with the same one give the same words for the same texts."""
    return fingerprint(config, embeddings.content_hash, Keyed(key, "key").name())


def recording_of(row: Mapping[str, Any]) -> str:
    """Return the recording that an utterance is part of; its own id where it is a whole file."""
    return str(row["recording_id"] if row["recording_id"] is not None else row["utterance_id"])


def _tag(span: Span) -> dict[str, Any]:
    assert span.kind != PERSON
    return {"tag": span.kind, "start_word": span.start, "end_word": span.end}
