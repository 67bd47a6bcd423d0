"""The contextual adapter over tables of EMISSIONS rows: shortlist, attend, bias. Table in, table out, a row per row.

It runs in the encoder's actor right after the encoder, and in the decoder's where the first pass comes from a cache:
the same rows in, so the same rows out. Beside a GPU, threads make the shortlists, ahead of it where it encodes too.
"""

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

import pyarrow as pa

from pipeline.census import step
from pipeline.entities.lists import EntitySource
from pipeline.recognition.ahead import Ahead, Made, usable_threads
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
    threads: int = dataclasses.field(default_factory=usable_threads)

    def ahead(self) -> Ahead:
        """Return what makes shortlists in threads; see pipeline.recognition.ahead."""
        return Ahead(self._listed, self.threads)

    def adapt(self, emissions: pa.Table, ahead: Ahead | None = None) -> pa.Table:
        """Return EMISSIONS rows with ADAPTER_OUTPUT in place of ADAPTER_INPUT; a row that fails has ``error`` set.

        ahead: has taken the shortlists of all rows; None makes them here, beside a GPU in threads
        """
        if ahead is None and self.runner.together and self.threads > 1:
            with self.ahead() as ahead:
                ahead.take(range(len(emissions)), emissions)
                return self.adapt(emissions, ahead)
        if ahead is None:
            made = self._listed(emissions)
        else:
            found = ahead.made()
            made = [found[row] for row in range(len(emissions))]
        heard = [one for _, one in read_emissions(emissions)]
        shortlists: list[Shortlist | None] = [shortlist for shortlist, _ in made]
        failed: list[str | None] = [error for _, error in made]
        names = emissions["utterance_id"].to_pylist()
        for at, result in self._attended(heard, shortlists).items():
            if isinstance(result, Emissions):
                heard[at] = result
            else:
                shortlists[at], failed[at] = None, _said(names[at], result)
        return with_adapter_output(_with_errors(emissions, failed), heard, shortlists)

    def row(self, heard: Emissions, entities: EntityList) -> tuple[Emissions, Shortlist]:
        """Return one utterance as the adapter hears it, and the shortlist of ``entities`` that it was given."""
        shortlist = self._shortlist(heard, entities)
        if not shortlist.entities.entities:
            return heard, shortlist
        return self._adapted([heard], [shortlist])[0], shortlist

    def _listed(self, emissions: pa.Table) -> list[Made]:
        """Return the shortlists of EMISSIONS rows."""
        made: list[Made] = []
        for scalars, one in read_emissions(emissions):
            name = scalars["utterance_id"]
            shortlist, error = None, None
            try:
                if one is not None:
                    shortlist = self._shortlist(one, self.lists.of(name, scalars["entities"]))
            except FAILURES as failure:
                error = _said(name, failure)
            made.append((shortlist, error))
        return made

    def _shortlist(self, heard: Emissions, entities: EntityList) -> Shortlist:
        if heard.last is None or heard.query is None:
            raise ValueError("the first pass carries no states for it; cache it anew with this configuration")
        return self.shortlister.shortlist(heard, entities)

    def _attended(
        self, heard: Sequence[Emissions | None], shortlists: Sequence[Shortlist | None]
    ) -> dict[int, Emissions | Exception]:
        """Return what the adapter makes of each utterance that has a shortlist, or why it cannot; all at once first."""
        there = {
            at: (one, shortlist)
            for at, (one, shortlist) in enumerate(zip(heard, shortlists, strict=True))
            if one is not None and shortlist is not None and shortlist.entities.entities
        }
        if self.runner.together:
            try:
                pairs = list(there.values())
                adapted = self._adapted([one for one, _ in pairs], [shortlist for _, shortlist in pairs])
                return dict(zip(there, adapted, strict=True))
            except FAILURES:
                pass  # one after the other, to find out whose it is
        results: dict[int, Emissions | Exception] = {}
        for at, (one, shortlist) in there.items():
            try:
                results[at] = self._adapted([one], [shortlist])[0]
            except FAILURES as failure:
                results[at] = failure
        return results

    def _adapted(self, heard: Sequence[Emissions], shortlists: Sequence[Shortlist]) -> list[Emissions]:
        from pipeline.acoustic.adapter_batch import Listened  # with torch, as the runner is

        listened = [
            Listened(one.tokens, one.last, one.query, one.phone_log_probs, shortlist.entities)
            for one, shortlist in zip(heard, shortlists, strict=True)
            if one.last is not None and one.query is not None  # which _shortlist has seen to
        ]
        with step("adapter"):
            said = self.runner.adapt_all(listened)
        return [
            dataclasses.replace(one, adapted=adapted.tokens, attended=adapted.attended)
            for one, adapted in zip(heard, said, strict=True)
        ]


def _said(name: str, failure: Exception) -> str:
    return f"{name}: the adapter failed ({type(failure).__name__}: {failure})."


def _with_errors(emissions: pa.Table, failed: Sequence[str | None]) -> pa.Table:
    if not any(failed):
        return emissions
    place = emissions.schema.get_field_index("error")
    errors = [new or old for new, old in zip(failed, emissions["error"].to_pylist(), strict=True)]
    return emissions.set_column(place, emissions.schema.field(place), pa.array(errors, pa.string()))
