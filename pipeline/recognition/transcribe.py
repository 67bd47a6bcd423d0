"""EMISSIONS rows to TRANSCRIPTS rows: decode with the utterance's entity list. Table in, table out, a row per row."""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.census import step
from pipeline.decoding.interface import Decoder
from pipeline.decoding.spans import entity_spans
from pipeline.entities.lists import EntitySource
from pipeline.errors import ConfigError
from pipeline.recognition.emission_rows import read_emissions, shortlist_of
from pipeline.recognition.failures import FAILURES
from pipeline.rescoring.doubts import Doubt
from pipeline.rescoring.evidence import Vector
from pipeline.rescoring.proposals import Proposal
from pipeline.rescoring.stage import NO_TECHNIQUES, RescoringStage, Weighed
from pipeline.retrieval.shortlist import WHOLE_LISTS, Shortlister
from pipeline.schemas import DECIDED, ORIGIN, TRANSCRIPTS
from pipeline.types.emissions import Emissions
from pipeline.types.entity import EMPTY, EntityList
from pipeline.types.hypothesis import EntitySpan, Hypothesis, Word
from pipeline.types.shortlist import Shortlist

_CARRIED = ("utterance_id", "duration_seconds", "audio_sha256", "model_id", *ORIGIN, "error")
"""Columns of EMISSIONS that TRANSCRIPTS takes as they are."""


@dataclasses.dataclass(frozen=True)
class Judgement:
    """How one utterance was transcribed, step by step.

    heard:    as this run reads it
    sought:   what the search was given of the shortlist
    unbiased: what is written without a list
    weighed:  what the guard made of the proposals; None without one
    """

    heard: Emissions
    shortlist: Shortlist
    sought: EntityList
    unbiased: Hypothesis
    weighed: Weighed | None
    nbest: list[Hypothesis]


@dataclasses.dataclass(frozen=True)
class Transcriber:
    """Decoding and rescoring over tables of EMISSIONS rows.

    shortlister:     for rows that no adapter has given a shortlist
    least_attention: config.AdapterConfig's; None for a run without an adapter, which reads nothing of what one wrote

    Everything after the shortlist sees only the entities on it, and of a list that is ranked the power of two of its
    size, so a row depends on the rest of its list in nothing else but ``list_version``.
    """

    decoder: Decoder
    lists: EntitySource
    config_fingerprint: str
    stage: RescoringStage = NO_TECHNIQUES
    shortlister: Shortlister = WHOLE_LISTS
    least_attention: float | None = None

    def transcribe(self, emissions: pa.Table) -> pa.Table:
        """Return the TRANSCRIPTS rows of EMISSIONS rows, in their order; errors are carried along."""
        rows = [self._row(scalars, heard) for scalars, heard in read_emissions(emissions)]
        return pa.Table.from_pylist(rows, schema=self.schema)

    @property
    def schema(self) -> pa.Schema:
        """Of the rows: TRANSCRIPTS, with a policy and DECIDED."""
        return TRANSCRIPTS if self.shortlister.pilot is None else TRANSCRIPTS.append(DECIDED)

    def decided(self, emissions: pa.Table, transcripts: pa.Table) -> pa.Table:
        """Return ``transcripts``, rows that another run wrote of ``emissions``, with what this run's policy decided.

        They must be as this run would write them; nothing is transcribed.
        """
        if self.shortlister.pilot is None:
            return transcripts
        decisions = list[list[dict[str, Any]] | None]()
        for (scalars, heard), row in zip(read_emissions(emissions), transcripts.to_pylist(), strict=True):
            if heard is None or row["error"] is not None:
                decisions.append(None)
                continue
            entities = self.lists.of(scalars["utterance_id"], scalars["entities"])
            shortlist = self.shortlister.shortlist(heard, entities)
            decisions.append(self._decisions(scalars, heard, entities, shortlist, row["entities"] or ()))
        return transcripts.append_column(DECIDED, pa.array(decisions, DECIDED.type))

    def _decisions(
        self, scalars: Mapping[str, Any], heard: Emissions, entities: EntityList, shortlist: Shortlist,
        found: Iterable[Mapping[str, Any]],
    ) -> list[dict[str, Any]]:  # fmt: skip
        """Return DECISIONS of one utterance; ``found``: FOUND_ENTITY of its transcript."""
        names = {name: scalars[name] for name in ("utterance_id", "audio_sha256", "model_id")}
        written = {one["entity"] for one in found}
        return [names | one for one in self.shortlister.decided(heard, entities, shortlist, written)]

    def _row(self, scalars: dict[str, Any], heard: Emissions | None) -> dict[str, Any]:
        entities = self.lists.of(scalars["utterance_id"], scalars["entities"])
        row = {name: scalars[name] for name in _CARRIED}
        row |= {"list_version": entities.version, "config_fingerprint": self.config_fingerprint}
        if heard is None:
            return row
        try:
            nbest, shortlist = self.hypotheses(heard, entities, shortlist_of(scalars, entities))
        except FAILURES as error:
            # One row that a decoder cannot take must not end a run of millions; run.json counts errors by kind.
            return row | {"error": f"{scalars['utterance_id']}: the decoder failed ({type(error).__name__}: {error})."}
        row |= transcript_fields(nbest, shortlist, scalars["frame_seconds"])
        if self.shortlister.pilot is not None:
            row[DECIDED.name] = self._decisions(scalars, heard, entities, shortlist, row["entities"])
        return row

    def hypotheses(
        self, heard: Emissions, entities: EntityList, shortlist: Shortlist | None = None
    ) -> tuple[list[Hypothesis], Shortlist]:
        """Return the final n-best of one utterance, best first, and the shortlist that it was found with.

        ``shortlist``: the one that the adapter was given, if one has run
        """
        heard, shortlist, sought = self._narrowed(heard, entities, shortlist)
        found = self._decode(heard, shortlist.entities, sought, self.shortlister.size_class(len(entities)))
        nbest = _marked(found, shortlist.entities, sought)
        return _with_adapter(nbest, heard), shortlist

    def clear(self, heard: Emissions, entities: EntityList) -> frozenset[str]:
        """Return the names of the list that are clear in an utterance: pipeline.retrieval.session says when."""
        unbiased, _ = self.hypotheses(dataclasses.replace(heard, adapted=None, attended=None, earlier=()), EMPTY)
        return self.shortlister.clear(heard, entities, unbiased[0].text)

    def proposals(
        self, heard: Emissions, entities: EntityList, shortlist: Shortlist | None = None
    ) -> tuple[Hypothesis, list[tuple[Proposal, Vector]]]:
        """Return one utterance's unbiased hypothesis and what the guard is asked about it, with the evidence.

        Raises ConfigError for a run without a guard.
        """
        if not self.stage.compares:
            raise ConfigError("there is no guard in this configuration; set guard, e.g. take the joint preset.")
        heard, shortlist, sought = self._narrowed(heard, entities, shortlist)
        nbest = self.decoder.decode(heard.biased, self.stage.expand(sought), judged=True)
        size_class = self.shortlister.size_class(len(entities))
        return self.stage.measured(nbest, heard, shortlist.entities, self._unbiased(heard), size_class)

    def doubts(
        self, heard: Emissions, entities: EntityList, shortlist: Shortlist | None = None
    ) -> tuple[Hypothesis, list[tuple[Doubt, float]]]:
        """Return one utterance's unbiased hypothesis and the log odds of names in it that the guard may doubt."""
        heard, shortlist, _ = self._narrowed(heard, entities, shortlist)
        size_class = self.shortlister.size_class(len(entities))
        return self.stage.weighed_doubts(heard, shortlist.entities, self._unbiased(heard), size_class)

    def judgement(self, heard: Emissions, entities: EntityList, shortlist: Shortlist | None = None) -> Judgement:
        """Return how one utterance is transcribed, for people to look at: every step is done anew."""
        nbest, _ = self.hypotheses(heard, entities, shortlist)
        unbiased, _ = self.hypotheses(dataclasses.replace(heard, adapted=None, attended=None), EMPTY)
        heard, shortlist, sought = self._narrowed(heard, entities, shortlist)
        weighed = None
        if self.stage.compares and shortlist.entities.entities:
            found = self.decoder.decode(heard.biased, self.stage.expand(sought), judged=True)
            size_class, plain = self.shortlister.size_class(len(entities)), self._unbiased(heard)
            weighed = self.stage.weighed(found, heard, shortlist.entities, plain, size_class)
        return Judgement(heard, shortlist, sought, unbiased[0], weighed, nbest)

    def _narrowed(
        self, heard: Emissions, entities: EntityList, shortlist: Shortlist | None
    ) -> tuple[Emissions, Shortlist, EntityList]:
        """Return what this run reads of the emissions, the shortlist and those of it to search for."""
        if self.least_attention is None:
            heard, shortlist = dataclasses.replace(heard, adapted=None, attended=None), None
        if shortlist is None:
            shortlist = self.shortlister.shortlist(heard, entities)
        else:
            shortlist = self.shortlister.taught(heard, shortlist)
        with step("attended") as kept:
            sought = self._attended(heard, shortlist.entities)
            kept.kept = len(sought)
        return heard, shortlist, sought

    def _attended(self, heard: Emissions, entities: EntityList) -> EntityList:
        """Return the entities that the adapter hears; without what it says, all of them."""
        if heard.attended is None or self.least_attention is None:
            return entities
        if len(heard.attended) != len(entities):
            raise ValueError(f"the adapter saw {len(heard.attended)} plausible entities, here are {len(entities)}")
        pairs = zip(entities.entities, heard.attended[:, 0], strict=True)
        kept = tuple(one for one, share in pairs if not share < self.least_attention)  # NaN: it cannot say
        return entities if len(kept) == len(entities) else EntityList(kept)

    def _decode(self, heard: Emissions, entities: EntityList, sought: EntityList, size_class: int) -> list[Hypothesis]:
        """Return the n-best; without phones, or with every technique of the stage off, it is the search's own."""
        if heard.phone_log_probs is None:
            return self.stage.finish(self.decoder.decode(heard.biased, sought), heard, entities)
        compares = self.stage.compares and bool(entities.entities)
        with step("searched") as kept:
            nbest = self.decoder.decode(heard.biased, self.stage.expand(sought), judged=compares)
            kept.kept = len(nbest[0].entities) if nbest else 0
        return self.stage.finish(nbest, heard, entities, self._unbiased(heard) if compares else None, size_class)

    def _unbiased(self, heard: Emissions) -> list[Hypothesis]:
        with step("unbiased"):
            return self.decoder.decode(heard.tokens, EMPTY)


def _marked(nbest: list[Hypothesis], entities: EntityList, sought: EntityList) -> list[Hypothesis]:
    """Return the n-best with entities that the search was not given marked too, where they are written all the same."""
    if len(sought) == len(entities):
        return nbest
    return [dataclasses.replace(one, entities=_all_spans(one, entities)) for one in nbest]


def _all_spans(hypothesis: Hypothesis, entities: EntityList) -> tuple[EntitySpan, ...]:
    marked = {at for span in hypothesis.entities for at in range(span.start_word, span.end_word)}
    more = (
        span
        for span in entity_spans(hypothesis.words, entities)
        if marked.isdisjoint(range(span.start_word, span.end_word))
    )
    return tuple(sorted([*hypothesis.entities, *more], key=lambda span: span.start_word))


def _with_adapter(nbest: list[Hypothesis], heard: Emissions) -> list[Hypothesis]:
    """Say of the best hypothesis' entities which ones stand where the adapter moved the log-probs."""
    if heard.adapted is None or not nbest or not nbest[0].entities:
        return nbest
    words, first, adapted = nbest[0].words, heard.tokens, heard.adapted
    moved = (first.ids != adapted.ids).any(1) | (first.values != adapted.values).any(1)  # [T]
    spans = tuple(
        dataclasses.replace(span, techniques=("adapter", *span.techniques))
        if moved[words[span.start_word].start_frame : words[span.end_word - 1].end_frame].any()
        else span
        for span in nbest[0].entities
    )
    return [dataclasses.replace(nbest[0], entities=spans), *nbest[1:]]


def transcript_fields(nbest: list[Hypothesis], shortlist: Shortlist, frame_seconds: float) -> dict[str, Any]:
    """Return the fields of a TRANSCRIPTS row that come from an n-best list, best first."""
    best = nbest[0]
    return {
        "text": best.text,
        "words": [_word(word, frame_seconds) for word in best.words],
        "nbest": [_hypothesis(hypothesis) for hypothesis in nbest],
        "entities": [_entity(span, best.words, shortlist, frame_seconds) for span in best.entities],
    }


def _word(word: Word, frame_seconds: float) -> dict[str, Any]:
    return {
        "word": word.text,
        "start_seconds": word.start_frame * frame_seconds,
        "end_seconds": word.end_frame * frame_seconds,
        "confidence": word.confidence,
    }


def _hypothesis(hypothesis: Hypothesis) -> dict[str, Any]:
    fields = {name: getattr(hypothesis, name) for name in ("text", "acoustic", "lm", "boost", "phone_cost", "total")}
    return {name: _plain(value) for name, value in fields.items()}


def _entity(span: EntitySpan, words: tuple[Word, ...], shortlist: Shortlist, frame_seconds: float) -> dict[str, Any]:
    fields = {name: _plain(value) for name, value in dataclasses.asdict(span).items()}
    return fields | {
        "strategies": shortlist.strategies_of(span.entity),
        "display_as": shortlist.entities.by_text[span.entity].display_as,
        "start_seconds": words[span.start_word].start_frame * frame_seconds,
        "end_seconds": words[span.end_word - 1].end_frame * frame_seconds,
    }


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value
