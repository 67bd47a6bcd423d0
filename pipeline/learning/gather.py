"""From reviews and a run to units: what was heard, what the run's list holds, and what the reviewed runs had drawn."""

import dataclasses
import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.learning.units import Drawn, Replay, Reviewed, Unit, tells, unheard_of
from pipeline.recognition.emission_rows import read_emissions
from pipeline.runs.columns import batches_of, read_columns
from pipeline.runs.folder import RunFolder
from pipeline.runs.reader import Run
from pipeline.storage import Location
from pipeline.types.emissions import Emissions

_ROWS = 64  # of the first pass held at once
_DRAWN = ("audio_sha256", "strategy", "level", "at_least")
_READ_ROWS = 65_536
_UNHEARD = 2000  # utterances whose candidates are counted: their mean is right to 2%, and they take a minute or two


@dataclasses.dataclass
class Gathered:
    """Units that say something, and what could not be used, in utterances.

    everything: units of a sample of the run, reviewed or not, as they are before any review
    said:      of utterances that were heard whole, the names of the list that were said, by id
    other:     of audio that the run has not
    unknown:   only judged in part, and the run that was reviewed is gone, so nobody knows what it drew
    unexplored: only judged in part, of a run that did not explore
    """

    units: list[Unit] = dataclasses.field(default_factory=list)
    everything: list[Unit] = dataclasses.field(default_factory=list)
    said: dict[str, frozenset[str]] = dataclasses.field(default_factory=dict)
    other: int = 0
    unknown: int = 0
    unexplored: int = 0


def gather(
    known: Mapping[str, Reviewed], run: Run, runs: Location, cached: Sequence[Location], columns: Sequence[str],
    replay: Replay, own_lists: bool,
) -> Gathered:  # fmt: skip
    """Return the units of every reviewed utterance of the run's audio, and of a sample of all.

    Memory: they, and 64 rows of the first pass.

    known:     what reviews say, by the hash of the audio
    runs:      folder of the runs that were reviewed, each called by its fingerprint
    columns:   of the cached first pass that are read
    own_lists: whether the utterances' own lists apply
    """
    found, drawn = Gathered(), _draws(known, runs)
    there = {row["utterance_id"]: row["audio_sha256"] for row in rows_of_audio(run, known)}
    found.other = len(known) - len(set(there.values()))
    sampled = _sample(run)
    for scalars, heard in first_pass(cached, {**sampled, **there}, columns):
        if not own_lists:
            scalars = scalars | {"entities": None}
        name = scalars["utterance_id"]
        if name in sampled:
            nothing = Reviewed("", name, frozenset(), False, 1.0)
            found.everything += map(unheard_of, replay.units(scalars, heard, nothing, {}))
        if name not in there:
            continue
        one = known[there[name]]
        if one.run not in drawn and not one.whole:
            found.unknown += 1
            continue
        did = drawn.get(one.run, {})
        units = list(replay.units(scalars, heard, one, did.get(scalars["audio_sha256"], {})))
        telling = [unit for unit in units if tells(unit)]
        found.unexplored += bool(units) and not telling
        found.units += telling
        if one.whole:
            entities = replay.lists.of(scalars["utterance_id"], scalars["entities"])
            names = (entities.by_text[name].text for name in one.said if name in entities.by_text)
            found.said[scalars["utterance_id"]] = frozenset(names)
    return found


def rows_of_audio(run: Run, known: Iterable[str]) -> Iterator[dict[str, Any]]:
    """Yield id and audio of the run's rows without an error whose audio's hash is ``known``."""
    wanted = pa.array(sorted(known), pa.string())
    for batch in run.batches():
        rows = batch.filter(pc.is_in(batch["audio_sha256"], wanted)).select(["utterance_id", "audio_sha256", "error"])
        yield from (row for row in rows.to_pylist() if row["error"] is None)


def _sample(run: Run) -> dict[str, str]:
    """Return id and audio of _UNHEARD utterances, those with the least hashes: the same for the same run."""
    columns = ["audio_sha256", "utterance_id", "error"]
    rows = (row for batch in run.batches() for row in batch.select(columns).to_pylist())
    pairs = ((row["audio_sha256"], row["utterance_id"]) for row in rows if row["error"] is None)
    return {name: audio for audio, name in heapq.nsmallest(_UNHEARD, pairs)}


def first_pass(
    files: Sequence[Location], there: Mapping[str, str], columns: Sequence[str]
) -> Iterator[tuple[dict[str, Any], Emissions]]:
    """Yield plain fields and first pass of the utterances ``there``, each audio once."""
    seen = set[str]()
    for batch in batches_of(files, list(there), list(columns), _ROWS):
        for scalars, heard in read_emissions(pa.Table.from_batches([batch])):
            audio = scalars["audio_sha256"]
            if heard is not None and audio not in seen:
                seen.add(audio)  # the same audio twice in a corpus was reviewed once
                yield scalars, heard


def _draws(known: Mapping[str, Reviewed], runs: Location) -> dict[str, dict[str, dict[str, Drawn]]]:
    """Return by run, audio and strategy what the reviewed runs have drawn; nothing of a run that is gone."""
    found: dict[str, dict[str, dict[str, Drawn]]] = {}
    for name in sorted({one.run for one in known.values() if one.run}):
        folder = RunFolder(runs.join(name))
        if folder.read_record() is None:
            continue
        of_run = found.setdefault(name, {})
        for batch in read_columns(folder.decision_files(), _DRAWN, _READ_ROWS):
            for row in batch.to_pylist():
                if row["audio_sha256"] in known:
                    drawn = Drawn(row["level"], tuple(row["at_least"]))
                    of_run.setdefault(row["audio_sha256"], {})[row["strategy"]] = drawn
    return found
