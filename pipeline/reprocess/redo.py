"""A part of a run under a new list: the rows that the change touches are transcribed again, the others copied."""

import dataclasses
from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.entities.lists import EntitySource
from pipeline.errors import InputError
from pipeline.recognition.emission_rows import read_emissions
from pipeline.recognition.failures import FAILURES
from pipeline.recognition.recordings import Recordings
from pipeline.reprocess.changes import Change, change_of
from pipeline.reprocess.touched import Touching
from pipeline.schemas import ORIGIN, TRANSCRIPTS, with_origin
from pipeline.types.entity import EMPTY, EntityList


@dataclasses.dataclass(frozen=True)
class Redone:
    """TRANSCRIPTS rows of the new version in the order of the old ones, what changed, and how many were transcribed."""

    rows: pa.Table
    changes: list[Change]
    recomputed: int


class Transcribes(Protocol):
    """The recogniser as of a full run with the new lists."""

    def transcribe(self, emissions: pa.Table) -> pa.Table:
        """Return TRANSCRIPTS rows of EMISSIONS rows, in their order."""
        ...

    def decided(self, emissions: pa.Table, transcripts: pa.Table) -> pa.Table:
        """Return TRANSCRIPTS rows of EMISSIONS rows with what a policy, if there is one, decided."""
        ...


@dataclasses.dataclass(frozen=True)
class Redo:
    """Loaded once per worker.

    recogniser: as of a full run with the new lists
    old, new:   the lists of the run as it is, and those to come
    own_lists:  whether the utterances' own lists apply too
    config_fingerprint: of the rows to come
    recordings: with a session, what was clear under the old lists and under the new ones
    """

    recogniser: Transcribes
    old: EntitySource
    new: EntitySource
    own_lists: bool
    touching: Touching
    config_fingerprint: str
    recordings: tuple[Recordings, Recordings] | None = None

    def redo(self, written: pa.Table, emissions: pa.Table) -> Redone:
        """Return the new version of ``written`` (TRANSCRIPTS); ``emissions`` holds their first pass, in any order.

        Raises InputError if the first pass of a row is not there, or is of other audio or another model.
        """
        emissions = _in_order(written, emissions)
        written, emissions = _as_of_now(written, emissions, self.config_fingerprint)
        if not self.own_lists:
            place = emissions.schema.get_field_index("entities")
            field = emissions.schema.field(place)
            emissions = emissions.set_column(place, field, pa.nulls(len(emissions), field.type))
        told = self._told(emissions)
        emissions = emissions if self.recordings is None else self.recordings[1].told(emissions)
        touched, versions = self._look(emissions, told)
        again = np.flatnonzero([entities is not None for entities in touched])
        anew = self.recogniser.transcribe(emissions.take(again)) if len(again) else TRANSCRIPTS.empty_table()
        anew = anew.select(TRANSCRIPTS.names)  # decisions are of all rows, below
        rows = _merged(_with_versions(written, versions), anew, again)
        changes = [
            change
            for index, before, after in zip(again.tolist(), _rows(written, again), anew.to_pylist(), strict=True)
            if (change := change_of(before, after, touched[index] or EMPTY)) is not None
        ]
        return Redone(self.recogniser.decided(emissions, rows), changes, len(again))

    def _told(self, emissions: pa.Table) -> list[tuple[str, ...]]:
        """Return what each row was told of its recording under the old lists."""
        if self.recordings is None:
            return [()] * len(emissions)
        rows = self.recordings[0].told(emissions)["earlier"].to_pylist()
        return [tuple(names) for names in rows]

    def _look(self, emissions: pa.Table, told: Sequence[tuple[str, ...]]) -> tuple[list[EntityList | None], list[str]]:
        """Return for each row the entities by which the change touches it, None for a row that it does not touch, and
        the version of its new list. A row that is told something else is touched whatever its own list."""
        touched: list[EntityList | None] = []
        versions = []
        for (scalars, heard), before in zip(read_emissions(emissions), told, strict=True):
            old = self.old.of(scalars["utterance_id"], scalars["entities"])
            new = self.new.of(scalars["utterance_id"], scalars["entities"])
            versions.append(new.version)
            try:
                found = self.touching.touches(heard, old, new)
                other = self.touching.told_otherwise(heard, before, old, new)
                touched.append(found if len(found) or other else None)
            except FAILURES:  # what the full run would make of this row, the recogniser says
                touched.append(new if len(new) else old if len(old) else None)
        return touched, versions


def _in_order(written: pa.Table, emissions: pa.Table) -> pa.Table:
    """Return the rows of ``emissions`` in the order of ``written``."""
    place = {name: index for index, name in enumerate(emissions["utterance_id"].to_pylist())}
    names = written["utterance_id"].to_pylist()
    missing = [name for name in names if name not in place]
    if missing:
        raise InputError(f"{len(missing)} utterances, such as '{missing[0]}', are not in the cached first pass.")
    ordered = emissions.take([place[name] for name in names])
    for column in ("audio_sha256", "model_id"):
        if not written[column].combine_chunks().equals(ordered[column].combine_chunks()):
            raise InputError(f"the cached first pass has another {column} than the run; it is of something else.")
    return ordered


def _as_of_now(written: pa.Table, emissions: pa.Table, fingerprint: str) -> tuple[pa.Table, pa.Table]:
    """Return rows and first pass as this version writes them, where either is of an earlier one.

    Both say of the origin what either knows, so that rows that are copied equal those that a full run would write.
    """
    written, emissions = with_origin(written).select(TRANSCRIPTS.names).cast(TRANSCRIPTS), with_origin(emissions)
    for name in ORIGIN:
        field = TRANSCRIPTS.field(name)
        known = pc.coalesce(emissions[name].cast(field.type), written[name])
        written = written.set_column(TRANSCRIPTS.get_field_index(name), field, known)
        emissions = emissions.set_column(emissions.schema.get_field_index(name), field, known)
    place = TRANSCRIPTS.get_field_index("config_fingerprint")
    settled = pa.array([fingerprint] * len(written), pa.string())
    return written.set_column(place, TRANSCRIPTS.field(place), settled), emissions


def _with_versions(written: pa.Table, versions: Sequence[str]) -> pa.Table:
    place = TRANSCRIPTS.get_field_index("list_version")
    return written.set_column(place, TRANSCRIPTS.field(place), pa.array(versions, pa.string()))


def _merged(written: pa.Table, anew: pa.Table, again: npt.NDArray[np.int64]) -> pa.Table:
    """Return ``written`` with the rows ``again`` replaced by those of ``anew``, one after the other."""
    if not len(again):
        return written
    order = np.arange(len(written))
    order[again] = len(written) + np.arange(len(again))
    return pa.concat_tables([written, anew]).take(order).combine_chunks()


def _rows(table: pa.Table, indices: npt.NDArray[np.int64]) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = table.take(indices).to_pylist()
    return rows
