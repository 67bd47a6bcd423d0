"""Utterances of one recording as context for each other: CLEAR rows, and what each utterance reads of them.

A first stage writes for every utterance which names of its list are clear in it without biasing. With all of them
there, an utterance is told the names of those that come before it, by time and then by id, in the same recording, or
where it says none, in the same session; of one tenant in either case. So what it is told does not depend on the order
in which anything is done.
"""

import functools
import itertools
from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.schemas import CLEAR, EARLIER
from pipeline.storage import Location, read_table, walk_files


def recording_of(row: Mapping[str, Any]) -> str | None:
    """Return what a row's recording or session is known by; None where it says neither."""
    for name in ("recording_id", "session"):
        if row.get(name) is not None:
            return "\t".join((name, row.get("tenant") or "", row[name]))
    return None


def clear_row(row: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Return the CLEAR row of an EMISSIONS row."""
    found = {name: row.get(name) for name in ("utterance_id", "start_seconds")}
    return found | {"recording": recording_of(row), "names": sorted(names)}


class Recordings:
    """What was clear in each utterance of each recording; kept as Arrow until a recording is asked for."""

    def __init__(self, clear: pa.Table) -> None:
        """``clear``: CLEAR rows in any order; rows that are there twice count once."""
        table = clear.filter(pc.greater(pc.list_value_length(clear["names"]), 0))
        self._table = table.filter(pc.is_valid(table["recording"])).sort_by("recording").combine_chunks()
        recordings = self._table["recording"].combine_chunks()
        runs = pc.run_end_encode(recordings) if len(recordings) else None
        ends = [] if runs is None else runs.run_ends.to_pylist()
        values = [] if runs is None else runs.values.to_pylist()
        self._places = dict(zip(values, itertools.pairwise([0, *ends]), strict=True))
        self._rows = functools.lru_cache(maxsize=64)(self._read)

    def earlier(self, row: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the names, sorted, that were clear in utterances before that of an EMISSIONS row."""
        recording = recording_of(row)
        if recording not in self._places:
            return ()
        own = _place(row)
        return tuple(sorted({name for place, names in self._rows(recording) if place < own for name in names}))

    def told(self, emissions: pa.Table) -> pa.Table:
        """Return EMISSIONS rows with EARLIER."""
        wanted = ("utterance_id", "recording_id", "session", "tenant", "start_seconds")
        rows = emissions.select([name for name in wanted if name in emissions.column_names]).to_pylist()
        field = EARLIER.field(0)
        return emissions.append_column(field, pa.array([self.earlier(row) for row in rows], field.type))

    def _read(self, recording: str) -> list[tuple[tuple[float, str], list[str]]]:
        begin, end = self._places[recording]
        return [(_place(row), row["names"]) for row in self._table.slice(begin, end - begin).to_pylist()]


def read_recordings(folder: Location) -> Recordings:
    """Return what the first stage has written below ``folder``; raises StorageError."""
    paths = [path for _, files in walk_files(folder) for path, _ in files if path.endswith(".parquet")]
    tables = [read_table(Location(folder.filesystem, path)).cast(CLEAR) for path in sorted(paths)]
    return Recordings(pa.concat_tables([CLEAR.empty_table(), *tables]))


def _place(row: Mapping[str, Any]) -> tuple[float, str]:
    """Return what utterances of a recording are ordered by; one that does not say when it starts comes first."""
    start = row.get("start_seconds")
    return (-1.0 if start is None else float(start), str(row["utterance_id"]))
