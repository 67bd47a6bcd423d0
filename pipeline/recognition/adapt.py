"""The contextual adapter over tables of EMISSIONS rows: shortlist, attend, bias. Table in, table out, a row per row.

It runs in the encoder's actor right after the encoder, and in the decoder's where the first pass comes from a cache:
the same rows in, so the same rows out.
"""

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

import pyarrow as pa

from pipeline.census import step
from pipeline.entities.lists import EntitySource
from pipeline.recognition.emission_rows import read_emissions, with_adapter_output
from pipeline.recognition.failures import FAILURES
from pipeline.retrieval.shortlist import Shortlister
from pipeline.types.emissions import Emissions
from pipeline.types.entity import EntityList
from pipeline.types.shortlist import Shortlist

if TYPE_CHECKING:  # torch is for workers that run it
    from pipeline.acoustic.adapter_runner import AdapterRunner


@dataclasses.dataclass(frozen=True)
class AdapterPass:
    """The adapter with the run's lists."""

    runner: "AdapterRunner"
    lists: EntitySource
    shortlister: Shortlister

    def adapt(self, emissions: pa.Table) -> pa.Table:
        """Return EMISSIONS rows with ADAPTER_OUTPUT in place of ADAPTER_INPUT; a row that fails has ``error`` set."""
        heard, shortlists, failed = list[Emissions | None](), list[Shortlist | None](), list[str | None]()
        for scalars, one in read_emissions(emissions):
            name = scalars["utterance_id"]
            adapted, shortlist, error = one, None, None
            try:
                if one is not None:
                    adapted, shortlist = self.row(one, self.lists.of(name, scalars["entities"]))
            except FAILURES as failure:
                error = f"{name}: the adapter failed ({type(failure).__name__}: {failure})."
            heard.append(adapted)
            shortlists.append(shortlist)
            failed.append(error)
        return with_adapter_output(_with_errors(emissions, failed), heard, shortlists)

    def row(self, heard: Emissions, entities: EntityList) -> tuple[Emissions, Shortlist]:
        """Return one utterance as the adapter hears it, and the shortlist of ``entities`` that it was given."""
        if heard.last is None or heard.query is None:
            raise ValueError("the first pass carries no states for it; cache it anew with this configuration")
        shortlist = self.shortlister.shortlist(heard, entities)
        if not shortlist.entities.entities:
            return heard, shortlist
        with step("adapter"):
            said = self.runner.adapt(heard.tokens, heard.last, heard.query, heard.phone_log_probs, shortlist.entities)
        return dataclasses.replace(heard, adapted=said.tokens, attended=said.attended), shortlist


def _with_errors(emissions: pa.Table, failed: Sequence[str | None]) -> pa.Table:
    if not any(failed):
        return emissions
    place = emissions.schema.get_field_index("error")
    errors = [new or old for new, old in zip(failed, emissions["error"].to_pylist(), strict=True)]
    return emissions.set_column(place, emissions.schema.field(place), pa.array(errors, pa.string()))
