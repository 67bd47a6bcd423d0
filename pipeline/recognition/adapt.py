"""The contextual adapter over tables of EMISSIONS rows: shortlist, attend, bias. Table in, table out, a row per row.

It runs in the encoder's actor right after the encoder, and in the decoder's where the first pass comes from a cache:
the same rows in, so the same rows out.
"""

import dataclasses
from pathlib import Path

import pyarrow as pa

from pipeline.acoustic import adapter_checkpoint
from pipeline.acoustic.adapter_files import settle
from pipeline.acoustic.adapter_runner import Adapted, AdapterRunner
from pipeline.acoustic.adapter_spelling import Speller
from pipeline.acoustic.loading import load_tokens
from pipeline.acoustic.precision import choose_device
from pipeline.config import RunConfig
from pipeline.entities.lists import EntitySource
from pipeline.lexicon.pronunciation import Pronouncer
from pipeline.recognition.encode import flat_lists
from pipeline.recognition.transcribe import FAILURES, read_emissions
from pipeline.retrieval.phonetic import Shortlister, build_shortlister
from pipeline.schemas import ADAPTER_INPUT, ADAPTER_OUTPUT
from pipeline.types.emissions import Emissions


def load_runner(config: RunConfig, pronouncer: Pronouncer, device: str = "cpu") -> AdapterRunner | None:
    """Load the adapter of ``config``, None if there is none. Raises ModelError or ConfigError."""
    adapter = settle(config).adapter
    if adapter is None or adapter.model is None:
        return None
    network = adapter_checkpoint.load(Path(adapter.model)).adapter
    speller = Speller(load_tokens(config.acoustic), pronouncer if network.shape.phones else None)
    return AdapterRunner(network, speller, adapter.no_bias, str(choose_device(device)))


@dataclasses.dataclass(frozen=True)
class AdapterPass:
    """The adapter with the run's lists."""

    runner: AdapterRunner
    entities: EntitySource
    shortlister: Shortlister | None = None

    def adapt(self, emissions: pa.Table) -> pa.Table:
        """Return EMISSIONS rows with ADAPTER_OUTPUT in place of ADAPTER_INPUT; a row that fails has ``error`` set."""
        results: list[Adapted | str | None] = []
        for scalars, heard in read_emissions(emissions):
            name = scalars["utterance_id"]
            try:
                results.append(None if heard is None else self.row(name, scalars["entities"], heard))
            except FAILURES as error:
                results.append(f"{name}: the adapter failed ({type(error).__name__}: {error}).")
        return _with_results(emissions, results)

    def row(self, name: str, own: list[str] | None, heard: Emissions) -> Adapted | None:
        """Return what the adapter says of one utterance, None where nothing of its list is plausible."""
        if heard.last is None or heard.query is None:
            raise ValueError("the first pass carries no states for it; cache it anew with this configuration")
        entities = self.entities.of(name, own)
        if self.shortlister is not None:
            entities = self.shortlister.shortlist(heard.phone_log_probs, entities)
        if not entities.entities:
            return None
        return self.runner.adapt(heard.tokens, heard.last, heard.query, heard.phone_log_probs, entities)


def build_adapter_pass(config: RunConfig, entities: EntitySource, device: str = "cpu") -> AdapterPass | None:
    """Return the pass, None if there is no adapter. Raises ModelError or ConfigError."""
    if config.adapter is None:
        return None
    pronouncer = Pronouncer()
    runner = load_runner(config, pronouncer, device)
    return None if runner is None else AdapterPass(runner, entities, build_shortlister(config, pronouncer))


def _with_results(emissions: pa.Table, results: list[Adapted | str | None]) -> pa.Table:
    table = emissions.drop_columns([name for name in ADAPTER_INPUT.names if name in emissions.column_names])
    said = [result if isinstance(result, Adapted) else None for result in results]
    adapted = [None if one is None else one.tokens for one in said]
    failed = [result if isinstance(result, str) else None for result in results]
    if any(failed):
        place = table.schema.get_field_index("error")
        errors = [new or old for new, old in zip(failed, table["error"].to_pylist(), strict=True)]
        table = table.set_column(place, table.schema.field(place), pa.array(errors, pa.string()))
    columns = (
        flat_lists([None if one is None else one.ids for one in adapted], pa.int16()),
        flat_lists([None if one is None else one.values for one in adapted], pa.float16()),
        flat_lists([None if one is None else one.attended for one in said], pa.float16()),
    )
    for field, column in zip(ADAPTER_OUTPUT, columns, strict=True):
        table = table.append_column(field, column)
    return table
