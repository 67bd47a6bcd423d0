"""EMISSIONS rows to TRANSCRIPTS rows: decode with the utterance's entity list. Table in, table out, a row per row."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.config import RunConfig
from pipeline.decoding.build import build_decoder
from pipeline.decoding.interface import Decoder
from pipeline.decoding.spans import entity_spans
from pipeline.entities.lists import EntitySource
from pipeline.errors import ConfigError, RowError
from pipeline.rescoring.evidence import Vector
from pipeline.rescoring.proposals import Proposal
from pipeline.rescoring.stage import PhoneticPass, build_phonetics
from pipeline.retrieval.phonetic import Shortlister, build_shortlister
from pipeline.schemas import ADAPTER_INPUT, ADAPTER_OUTPUT, EMISSIONS, ORIGIN, TRANSCRIPTS, with_origin
from pipeline.types.emissions import Emissions, SparseLogProbs
from pipeline.types.entity import EMPTY, EntityList
from pipeline.types.hypothesis import EntitySpan, Hypothesis, Word
from pipeline.types.tokens import Tokens

_SCALARS = (
    "utterance_id",
    "duration_seconds",
    "audio_sha256",
    "model_id",
    "frame_seconds",
    "frames",
    "k",
    "phones",
    "entities",
    *ORIGIN,
    "error",
)
_CARRIED = ("utterance_id", "duration_seconds", "audio_sha256", "model_id", *ORIGIN, "error")
FAILURES = (RowError, ValueError, RuntimeError, ArithmeticError, LookupError)
"""What a row that cannot be decoded raises; it becomes the row's ``error``."""


@dataclasses.dataclass(frozen=True)
class Transcriber:
    """The second pass over tables of EMISSIONS rows: shortlist, beam search, what the phones say of its n-best.

    least_attention: config.AdapterConfig's; None for a run without an adapter, which reads nothing of what one wrote

    Everything after the shortlist sees only the entities on it, so a row depends on the rest of its list in nothing
    but ``list_version``.
    """

    decoder: Decoder
    entities: EntitySource
    config_fingerprint: str
    phonetics: PhoneticPass | None = None
    shortlister: Shortlister | None = None
    least_attention: float | None = None

    def transcribe(self, emissions: pa.Table) -> pa.Table:
        """Return the TRANSCRIPTS rows of EMISSIONS rows, in their order; errors are carried along."""
        rows = [self._row(scalars, heard) for scalars, heard in read_emissions(emissions)]
        return pa.Table.from_pylist(rows, schema=TRANSCRIPTS)

    def _row(self, scalars: dict[str, Any], heard: Emissions | None) -> dict[str, Any]:
        entities = self.entities.of(scalars["utterance_id"], scalars["entities"])
        row = {name: scalars[name] for name in _CARRIED}
        row |= {"list_version": entities.version, "config_fingerprint": self.config_fingerprint}
        if heard is None:
            return row
        try:
            nbest, plausible = self.hypotheses(heard, entities)
        except FAILURES as error:
            # One row that a decoder cannot take must not end a run of millions; run.json counts errors by kind.
            return row | {"error": f"{scalars['utterance_id']}: the decoder failed ({type(error).__name__}: {error})."}
        return row | transcript_fields(nbest, plausible, scalars["frame_seconds"])

    def hypotheses(self, heard: Emissions, entities: EntityList) -> tuple[list[Hypothesis], EntityList]:
        """Return the final n-best of one utterance, best first, and the shortlist that it was found with."""
        heard, entities, searched = self._narrowed(heard, entities)
        nbest = _marked(self._decode(heard, entities, searched), entities, searched)
        return _with_adapter(nbest, heard), entities

    def proposals(self, heard: Emissions, entities: EntityList) -> tuple[Hypothesis, list[tuple[Proposal, Vector]]]:
        """Return one utterance's unbiased hypothesis and what the guard is asked about it, with the evidence.

        Raises ConfigError for a run without a guard.
        """
        if self.phonetics is None or not self.phonetics.compares:
            raise ConfigError("there is no guard in this configuration; set guard, e.g. take the joint preset.")
        heard, entities, searched = self._narrowed(heard, entities)
        nbest = self.decoder.decode(heard.searched, self.phonetics.searched(searched), judged=True)
        return self.phonetics.measured(nbest, heard, entities, self.decoder.decode(heard.tokens, EMPTY))

    def _narrowed(self, heard: Emissions, entities: EntityList) -> tuple[Emissions, EntityList, EntityList]:
        """Return what this run reads of the emissions, the plausible entities and those of them to search for."""
        if self.least_attention is None:
            heard = dataclasses.replace(heard, adapted=None, attended=None)
        if self.shortlister is not None:
            entities = self.shortlister.shortlist(heard.phone_log_probs, entities)
        return heard, entities, self._attended(heard, entities)

    def _attended(self, heard: Emissions, entities: EntityList) -> EntityList:
        """Return the entities that the adapter hears; without what it says, all of them."""
        if heard.attended is None or self.least_attention is None:
            return entities
        if len(heard.attended) != len(entities):
            raise ValueError(f"the adapter saw {len(heard.attended)} plausible entities, here are {len(entities)}")
        pairs = zip(entities.entities, heard.attended[:, 0], strict=True)
        kept = tuple(one for one, share in pairs if not share < self.least_attention)  # NaN: it cannot say
        return entities if len(kept) == len(entities) else EntityList(kept)

    def _decode(self, heard: Emissions, entities: EntityList, searched: EntityList) -> list[Hypothesis]:
        """Return the n-best; without phones, or with every phonetic technique off, it is the beam search's own."""
        if self.phonetics is None:
            return self.decoder.decode(heard.searched, searched)
        if heard.phone_log_probs is None:
            return self.decoder.decode(heard.searched, searched)[: self.phonetics.n_best]
        compares = self.phonetics.compares and bool(entities.entities)
        nbest = self.decoder.decode(heard.searched, self.phonetics.searched(searched), judged=compares)
        unbiased = self.decoder.decode(heard.tokens, EMPTY) if compares else None
        return self.phonetics.finish(nbest, heard, entities, unbiased)


def build_transcriber(
    config: RunConfig, tokens: Tokens, entities: EntitySource | None = None, config_fingerprint: str = ""
) -> Transcriber:
    """Load all that ``config`` names. Raises ConfigError or ModelError."""
    decoder, phonetics = build_decoder(config, tokens), build_phonetics(config, tokens=tokens)
    shortlister = build_shortlister(config, None if phonetics is None else phonetics.pronouncer)
    least = config.adapter.least_attention if config.adapter else None
    return Transcriber(decoder, entities or EntitySource(), config_fingerprint, phonetics, shortlister, least)


def _marked(nbest: list[Hypothesis], entities: EntityList, searched: EntityList) -> list[Hypothesis]:
    """Return the n-best with entities that the search was not given marked too, where they are written all the same."""
    if len(searched) == len(entities):
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


def read_emissions(table: pa.Table) -> Iterator[tuple[dict[str, Any], Emissions | None]]:
    """Yield the scalar fields of each EMISSIONS row and its emissions, None where the row has an error."""
    extra = [name for name in (*ADAPTER_INPUT.names, *ADAPTER_OUTPUT.names) if name in table.column_names]
    table = with_origin(table).select([*EMISSIONS.names, *extra]).combine_chunks()
    ids, values, phones = (_lists(table[name]) for name in ("token_ids", "token_log_probs", "phone_log_probs"))
    adapter = {name: _lists(table[name]) for name in extra}
    for index, scalars in enumerate(table.select(list(_SCALARS)).to_pylist()):
        if scalars["error"] is not None or scalars["frames"] is None:
            yield scalars, None
            continue
        shape = (scalars["frames"], scalars["k"])
        tokens = SparseLogProbs(ids(index).reshape(shape), values(index).reshape(shape))
        columns = scalars["phones"]
        heard = Emissions(tokens, phones(index).reshape(-1, columns) if columns else None)
        yield scalars, _of_adapter(heard, {name: values_of(index) for name, values_of in adapter.items()})


def _of_adapter(heard: Emissions, columns: dict[str, Any]) -> Emissions:
    """Return the emissions with what adapter columns the row has; an empty list is none."""
    frames = heard.tokens.frames
    last, query, ids, values, attended = (
        None if name not in columns or not len(columns[name]) else columns[name]
        for name in (*ADAPTER_INPUT.names, *ADAPTER_OUTPUT.names)
    )
    last, query, ids, values = (None if one is None else one.reshape(frames, -1) for one in (last, query, ids, values))
    adapted = None if ids is None or values is None else SparseLogProbs(ids, values)
    attended = None if attended is None else attended.reshape(-1, 3)
    return dataclasses.replace(heard, last=last, query=query, adapted=adapted, attended=attended)


def _lists(column: pa.ChunkedArray) -> Any:
    """Return index -> the flat numpy array of that row, without copying."""
    lists = column.combine_chunks()
    lists = lists.chunk(0) if isinstance(lists, pa.ChunkedArray) else lists
    offsets, values = lists.offsets.to_numpy(), lists.values.to_numpy(zero_copy_only=True)
    return lambda index: values[offsets[index] : offsets[index + 1]]


def transcript_fields(nbest: list[Hypothesis], entities: EntityList, frame_seconds: float) -> dict[str, Any]:
    """Return the fields of a TRANSCRIPTS row that come from an n-best list, best first."""
    best = nbest[0]
    return {
        "text": best.text,
        "words": [_word(word, frame_seconds) for word in best.words],
        "nbest": [_hypothesis(hypothesis) for hypothesis in nbest],
        "entities": [_entity(span, best.words, entities, frame_seconds) for span in best.entities],
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


def _entity(span: EntitySpan, words: tuple[Word, ...], entities: EntityList, frame_seconds: float) -> dict[str, Any]:
    fields = {name: _plain(value) for name, value in dataclasses.asdict(span).items()}
    return fields | {
        "display_as": entities.by_text[span.entity].display_as,
        "start_seconds": words[span.start_word].start_frame * frame_seconds,
        "end_seconds": words[span.end_word - 1].end_frame * frame_seconds,
    }


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value
