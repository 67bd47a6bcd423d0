"""The recogniser: everything that a configuration names, assembled in one place and each part loaded once.

    AUDIO -> encode -> EMISSIONS -> adapt -> EMISSIONS with a shortlist -> transcribe -> TRANSCRIPTS

A part is loaded when it is first used, so a worker that only transcribes holds no acoustic network; ``load`` is told
which steps a worker is for, and loads their parts at once, so that what is missing is said before any work.
"""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from pipeline.acoustic.adapter_files import resolved
from pipeline.acoustic.adapter_spelling import Speller
from pipeline.acoustic.interface import CtcModel
from pipeline.acoustic.letter_units import letter_pronouncer
from pipeline.acoustic.loading import load_model, load_tokens
from pipeline.config import LETTERS, RunConfig
from pipeline.decoding.build import build_decoder
from pipeline.decoding.interface import Decoder
from pipeline.decoding.language_model import read_words
from pipeline.entities.lists import EntitySource
from pipeline.lexicon.pronunciation import ListPronouncer, Pronouncer
from pipeline.recognition.adapt import AdapterPass
from pipeline.recognition.emission_rows import read_emissions
from pipeline.recognition.encode import Encoder
from pipeline.recognition.failures import FAILURES
from pipeline.recognition.recordings import Recordings, clear_row
from pipeline.recognition.transcribe import Transcriber
from pipeline.rescoring.stage import NO_TECHNIQUES, RescoringStage, build_stage, is_used
from pipeline.rescoring.technique import Sounds
from pipeline.retrieval.shortlist import WHOLE_LISTS, Shortlister, build_shortlister
from pipeline.schemas import ADAPTER_INPUT, CLEAR, EARLIER
from pipeline.types.emissions import Emissions
from pipeline.types.entity import EntityList
from pipeline.types.shortlist import Shortlist
from pipeline.types.tokens import Tokens

if TYPE_CHECKING:  # torch is for workers that encode or run the adapter
    from pipeline.acoustic.adapter_runner import AdapterRunner


class Parts:
    """What a configuration names, each part loaded once, when it is first asked for."""

    def __init__(self, config: RunConfig, adapter_device: str = "cpu") -> None:
        self.config, self._adapter_device = config, adapter_device

    @functools.cached_property
    def model(self) -> CtcModel:
        """The acoustic network."""
        return load_model(self.config.acoustic)

    @functools.cached_property
    def tokens(self) -> Tokens:
        """The network's inventory; without the network where that is not loaded."""
        return self.model.tokens if "model" in self.__dict__ else load_tokens(self.config.acoustic)

    @functools.cached_property
    def pronouncer(self) -> Pronouncer:
        """What says how words are pronounced, in phones or in the model's letters."""
        return letter_pronouncer(self.tokens) if self.config.acoustic.phones == LETTERS else Pronouncer()

    @functools.cached_property
    def sounds(self) -> Sounds:
        return Sounds(self.pronouncer, ListPronouncer(self.pronouncer), self._knows(), self.tokens)

    def _knows(self) -> Callable[[str], bool]:
        model = self.config.language_model
        if model is None or model.unigrams is None:
            return self.pronouncer.knows
        return frozenset(read_words(Path(model.unigrams))).__contains__

    @functools.cached_property
    def shortlister(self) -> Shortlister:
        if self.config.shortlist is None:
            return WHOLE_LISTS
        return build_shortlister(self.config, self.pronouncer, self.tokens)

    @functools.cached_property
    def adapter(self) -> "AdapterRunner | None":
        """The contextual adapter, if there is one."""
        adapter = self.config.adapter
        if adapter is None or adapter.model is None:
            return None
        from pipeline.acoustic import adapter_checkpoint
        from pipeline.acoustic.adapter_runner import AdapterRunner
        from pipeline.acoustic.precision import choose_device

        network = adapter_checkpoint.load(Path(adapter.model)).adapter
        speller = Speller(self.tokens, self.pronouncer if network.shape.phones else None)
        return AdapterRunner(network, speller, adapter.no_bias, str(choose_device(self._adapter_device)))

    @functools.cached_property
    def decoder(self) -> Decoder:
        return build_decoder(self.config, self.tokens)

    @functools.cached_property
    def stage(self) -> RescoringStage:
        return build_stage(self.config, self.tokens, self.sounds) if is_used(self.config) else NO_TECHNIQUES


class Recogniser:
    """A configuration at work on tables of rows: table in, table out, a row per row, errors kept in the row."""

    def __init__(
        self,
        parts: Parts,
        lists: EntitySource,
        config_fingerprint: str = "",
        list_column: str | None = None,
        recordings: Recordings | None = None,
    ) -> None:
        self.parts, self._lists, self._recordings = parts, lists, recordings
        self._fingerprint, self._list_column = config_fingerprint, list_column

    @classmethod
    def load(
        cls,
        config: RunConfig,
        lists: EntitySource | None = None,
        *,
        config_fingerprint: str = "",
        list_column: str | None = None,
        encodes: bool = True,
        adapts: bool = True,
        transcribes: bool = True,
    ) -> "Recogniser":
        """Load what the named steps need of ``config``; what else is asked of the recogniser is loaded then.

        lists:       the run's entity lists
        list_column: audio column with each utterance's own list, or None
        adapts:      whether rows may come that the adapter has not heard; without it a worker needs no torch

        Raises ConfigError or ModelError for anything that is missing or does not fit.
        """
        config = resolved(config)
        parts = Parts(config, config.acoustic.device if encodes else "cpu")
        loaded = cls(parts, lists or EntitySource(), config_fingerprint, list_column)
        if encodes:
            _ = loaded.encoder
        if adapts and transcribes:
            _ = loaded.adapter
        if transcribes:
            _ = loaded.transcriber
        return loaded

    def with_lists(self, lists: EntitySource) -> "Recogniser":
        """Return the same recogniser with other lists; nothing is loaded again."""
        return Recogniser(self.parts, lists, self._fingerprint, self._list_column, self._recordings)

    def with_recordings(self, recordings: Recordings | None) -> "Recogniser":
        """Return the same recogniser for rows that are told what was clear earlier in theirs."""
        return Recogniser(self.parts, self._lists, self._fingerprint, self._list_column, recordings)

    @functools.cached_property
    def encoder(self) -> Encoder:
        parts = self.parts
        return Encoder(parts.model, parts.config.acoustic.batch_seconds, self._list_column, parts.adapter)

    @functools.cached_property
    def adapter(self) -> AdapterPass | None:
        runner = self.parts.adapter
        return None if runner is None else AdapterPass(runner, self._lists, self.parts.shortlister)

    def attended(self, heard: Emissions, entities: EntityList) -> tuple[Emissions, Shortlist | None]:
        """Return one utterance as the adapter hears it, with the shortlist made for that; as it was without one."""
        return (heard, None) if self.adapter is None else self.adapter.row(heard, entities)

    @functools.cached_property
    def transcriber(self) -> Transcriber:
        parts, adapter = self.parts, self.parts.config.adapter
        least = None if adapter is None else adapter.least_attention
        return Transcriber(parts.decoder, self._lists, self._fingerprint, parts.stage, parts.shortlister, least)

    def encode(self, audio: pa.Table) -> pa.Table:
        """Return the EMISSIONS rows of AUDIO rows; with an adapter, what it needs later (ADAPTER_INPUT) in them."""
        return self.encoder.encode(audio)

    def hear(self, audio: pa.Table) -> pa.Table:
        """Return the EMISSIONS rows of AUDIO rows as the adapter hears them, as ``adapt(encode(audio))`` would."""
        adapter = self.adapter
        if adapter is None or not adapter.runner.together:
            return self.adapt(self.encode(audio))
        with adapter.ahead() as ahead:
            return adapter.adapt(self.encoder.encode(audio, ahead.take), ahead)

    def clear(self, emissions: pa.Table) -> pa.Table:
        """Return the CLEAR rows of EMISSIONS rows; of a row with an error, no names."""
        rows = []
        for scalars, heard in read_emissions(emissions):
            names: frozenset[str] = frozenset()
            try:
                if heard is not None:
                    entities = self._lists.of(scalars["utterance_id"], scalars["entities"])
                    names = self.transcriber.clear(heard, entities)
            except FAILURES:  # the row says so itself when it is transcribed
                pass
            rows.append(clear_row(scalars, names))
        return pa.Table.from_pylist(rows, CLEAR)

    def adapt(self, emissions: pa.Table) -> pa.Table:
        """Return EMISSIONS rows as the adapter hears them; as they are where there is none, or it has run."""
        if self.adapter is None or ADAPTER_INPUT.names[0] not in emissions.column_names:
            return emissions
        return self.adapter.adapt(emissions)

    def transcribe(self, emissions: pa.Table) -> pa.Table:
        """Return the TRANSCRIPTS rows of EMISSIONS rows; the adapter runs first where it has not."""
        if self._recordings is not None and EARLIER.names[0] not in emissions.column_names:
            emissions = self._recordings.told(emissions)
        return self.transcriber.transcribe(self.adapt(emissions))

    def decided(self, emissions: pa.Table, transcripts: pa.Table) -> pa.Table:
        """Return TRANSCRIPTS rows, as this run would write them, with what its policy, if there is one, decided."""
        return self.transcriber.decided(emissions, transcripts)
