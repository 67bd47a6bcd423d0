"""What was heard where reviewers said which name was said: the phones of every span that was judged.

The words of the run are laid over its cached first pass (pipeline.rescoring.aligned), and the phone head is read where
the words of a review's span lie, as it is read again where the memory is looked up. Reviews hold for the audio,
whatever run they are of: they are found by its hash and their span.
"""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.lexicon.alignment import IMPOSSIBLE
from pipeline.lexicon.phones import PHONES, Pronunciation
from pipeline.lexicon.pronunciation import Pronouncer
from pipeline.recognition.emission_rows import read_emissions
from pipeline.rescoring.aligned import Aligned, align_hypothesis, floored
from pipeline.rescoring.remembered import spans_of
from pipeline.review.check import Review
from pipeline.review.folder import Files, counting, denies, says
from pipeline.runs.columns import batches_of
from pipeline.runs.reader import Run
from pipeline.schemas import EMISSIONS, PHONE_CLOCK
from pipeline.storage import Location
from pipeline.text import Alphabet
from pipeline.types.emissions import Emissions
from pipeline.types.hypothesis import Hypothesis, Word

_COLUMNS = ("utterance_id", "audio_sha256", "tenant", "words", "error")
_COLUMNS_OF_PHONES = len(PHONES) + 1  # and the blank; others are letters of a model without phones
_ROWS = 64  # of the first pass held at once
_FLOOR = -8.0  # nats, as the guard's: one misheard phone must not decide alone where the words lie
_INSIDE = 0.5  # of a word that must lie in a span, if it is one of several
_FEWEST = 2  # phones of a form: of one alone nothing can be told


@dataclasses.dataclass(frozen=True, slots=True)
class Observation:
    """``entity`` (normalised) was said, or was not, where ``phones`` were heard; told once for each place."""

    tenant: str
    entity: str
    phones: Pronunciation
    said: bool


@dataclasses.dataclass(frozen=True, slots=True)
class Whole:
    """An utterance that was heard whole: every name in it is known.

    spans: units, first and after the last, with the phones that were heard there
    said:  names with the units in which they were said
    """

    tenant: str
    spans: tuple[tuple[int, int, Pronunciation], ...]
    said: frozenset[tuple[str, int, int]]


@dataclasses.dataclass
class Observed:
    """What reviews came to, and how many could not be used.

    judged:  reviews with a verdict that count
    other:   of these, of audio that the run has not
    unheard: whose first pass is not in the cache, or has no phones
    unfit:   in whose span no word of the run lies, or hardly any sound
    """

    observations: list[Observation] = dataclasses.field(default_factory=list)
    wholes: list[Whole] = dataclasses.field(default_factory=list)
    judged: int = 0
    other: int = 0
    unheard: int = 0
    unfit: int = 0


def observe(run: Run, cached: Sequence[Location], files: Files, alphabet: Alphabet, pronouncer: Pronouncer) -> Observed:
    """Return what was heard at every review that counts. Memory: the reviews, and 64 rows of the first pass.

    cached: EMISSIONS files of the run. Raises InputError or StorageError for files that cannot be read.
    """
    found, reviews = Observed(), dict[str, list[Review]]()
    for one in counting(files):
        if one["audio_sha256"]:
            reviews.setdefault(one["audio_sha256"], []).append(one)
            found.judged += one["verdict"] is not None
    there = set[str]()
    for batch in run.batches():
        table = batch.select(_COLUMNS).filter(pc.is_in(batch["audio_sha256"], pa.array(sorted(reviews), pa.string())))
        rows = {row["utterance_id"]: row for row in table.to_pylist() if row["error"] is None and row["words"]}
        there.update(row["audio_sha256"] for row in rows.values())
        for name, heard in _first_pass(cached, rows):
            row = rows.pop(name)
            _add(found, row, reviews[row["audio_sha256"]], heard, alphabet, pronouncer)
        found.unheard += sum(_judged(reviews[row["audio_sha256"]]) for row in rows.values())
    found.other = sum(_judged(of_audio) for audio, of_audio in reviews.items() if audio not in there)
    found.observations = sorted(
        found.observations, key=lambda one: (one.tenant, one.entity, one.phones, one.said)
    )  # the order of files must not matter
    return found


def _judged(reviews: Iterable[Review]) -> int:
    return sum(one["verdict"] is not None for one in reviews)


def _first_pass(files: Sequence[Location], ids: Iterable[str]) -> Iterator[tuple[str, Emissions]]:
    """Yield id and first pass of the utterances ``ids`` that have phones, each once."""
    seen = set[str]()
    for batch in batches_of(files, list(ids), heard_columns(files), _ROWS):
        for scalars, heard in read_emissions(pa.Table.from_batches([batch])):
            name = scalars["utterance_id"]
            phones = None if heard is None else heard.phone_log_probs
            if heard is not None and phones is not None and phones.shape[1] == _COLUMNS_OF_PHONES and name not in seen:
                seen.add(name)
                yield name, heard


def heard_columns(files: Sequence[Location]) -> list[str]:
    """Return what is read of the first pass: not what the adapter needs, which is most of it."""
    for file in files[:1]:
        with file.filesystem.open(file.path, "rb") as stream:
            names = pq.read_schema(stream).names
        return [name for name in (*EMISSIONS.names, *PHONE_CLOCK.names) if name in names]
    return []


def _add(
    found: Observed,
    row: Mapping[str, Any],
    reviews: Sequence[Review],
    heard: Emissions,
    alphabet: Alphabet,
    pronouncer: Pronouncer,
) -> None:
    """Add what the reviews of one utterance say; several reviewers who agree about a place count once."""
    aligned = _aligned(row, heard, pronouncer)
    told, tenant = set[tuple[str, int, int, bool]](), row["tenant"] or ""
    for one in (one for one in reviews if one["verdict"] is not None):
        place = None if aligned is None else _place(row["words"], one["start_seconds"], one["end_seconds"])
        phones = () if aligned is None or place is None else aligned.heard(*place)
        if aligned is None or place is None or len(phones) < _FEWEST:
            found.unfit += 1
            continue
        for name, said in ((says(one, alphabet), True), (denies(one, alphabet), False)):
            if name is not None and (name, *place, said) not in told:
                told.add((name, *place, said))
                found.observations.append(Observation(tenant, name, phones, said))
    if aligned is not None and any(one["whole"] for one in reviews):
        names = frozenset((name, first, last) for name, first, last, said in told if said)
        found.wholes.append(Whole(tenant, tuple(spans_of(aligned)), names))


def _aligned(row: Mapping[str, Any], heard: Emissions, pronouncer: Pronouncer) -> Aligned | None:
    """Return the run's words laid over its phones; None where they do not fit."""
    assert heard.phone_log_probs is not None
    words = tuple(Word(word["word"], 0, 1, 1.0) for word in row["words"])
    log_probs = floored(heard.phone_log_probs, _FLOOR)
    aligned = align_hypothesis(Hypothesis(words, 0.0, 0.0, 0.0, 0.0), log_probs, pronouncer, {}, heard.phone_rate)
    return None if aligned.alignment.cost >= IMPOSSIBLE else aligned


def _place(words: Sequence[Mapping[str, Any]], start: float, end: float) -> tuple[int, int] | None:
    """Return the words, first and after the last, that lie in a span; the one that shares most with it at least."""
    shared = [min(word["end_seconds"], end) - max(word["start_seconds"], start) for word in words]
    longest = [word["end_seconds"] - word["start_seconds"] for word in words]
    inside = [at for at, (one, most) in enumerate(zip(shared, longest, strict=True)) if one > _INSIDE * most]
    if not inside:
        best = max(range(len(words)), key=lambda at: shared[at])
        return (best, best + 1) if shared[best] > 0.0 else None
    return inside[0], inside[-1] + 1
