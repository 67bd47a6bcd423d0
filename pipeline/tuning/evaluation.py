"""Decode labelled emissions and score them: what tuning and the benchmarks share."""

import dataclasses
import time
from collections.abc import Callable, Iterator, Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.errors import InputError
from pipeline.recognition.adapt import AdapterPass
from pipeline.recognition.emission_rows import read_emissions
from pipeline.recognition.transcribe import Transcriber
from pipeline.schemas import EMISSIONS_REQUIRED
from pipeline.scoring.bootstrap import Bootstrap
from pipeline.scoring.inputs import read_lists, read_references
from pipeline.scoring.score import Lists, Reference, ScoreResult, Written, score
from pipeline.text import ENGLISH, Alphabet
from pipeline.types.emissions import Emissions
from pipeline.types.entity import EntityList
from pipeline.types.shortlist import Shortlist

_QUICK = Bootstrap(replicates=1)  # intervals are not looked at while searching


@dataclasses.dataclass(frozen=True)
class Labelled:
    """Emissions of one utterance with what was said in it; its shortlist, once an adapter has run."""

    reference: Reference
    heard: Emissions
    shortlist: Shortlist | None = None


@dataclasses.dataclass(frozen=True)
class LabelledSet:
    """Labelled utterances and the list that applies to each."""

    utterances: tuple[Labelled, ...]
    lists: Lists

    @property
    def seconds(self) -> float:
        return sum(one.reference.duration_seconds or 0.0 for one in self.utterances)

    def halves(self) -> tuple["LabelledSet", "LabelledSet"]:
        """Split by speaker, alternately in the order of their names, so that no speaker is in both halves."""
        speakers = sorted({one.reference.speaker or one.reference.utterance_id for one in self.utterances})
        first = set(speakers[::2])
        inside = [(one.reference.speaker or one.reference.utterance_id) in first for one in self.utterances]
        pairs = list(zip(self.utterances, inside, strict=True))
        return (
            dataclasses.replace(self, utterances=tuple(one for one, is_first in pairs if is_first)),
            dataclasses.replace(self, utterances=tuple(one for one, is_first in pairs if not is_first)),
        )


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """Scores of one configuration on one corpus, and the processor time of decoding (neighbours do not count)."""

    result: ScoreResult
    seconds: float
    audio_seconds: float

    @property
    def x_real_time(self) -> float:
        return self.audio_seconds / self.seconds if self.seconds else float("nan")

    def rate(self, name: str) -> float:
        """One of metrics.RATE_NAMES as a fraction; NaN over nothing."""
        value = self.result.rates[name].value
        return float("nan") if value is None else float(value)


def load_labelled_set(
    emissions: str, references: str | None = None, lists: str | None = None, alphabet: Alphabet = ENGLISH
) -> LabelledSet:
    """Join EMISSIONS parquet with references (by default the same file's ``text``) and lists.

    Raises InputError if a file lacks columns or if no utterance has both emissions and a text.
    """
    said, _ = read_references(references or emissions, alphabet)
    by_id = {reference.utterance_id: reference for reference in said}
    utterances = [
        Labelled(_with_length(by_id[name], seconds), heard)
        for name, seconds, heard in heard_in(emissions)
        if name in by_id
    ]
    if not utterances:
        raise InputError(f"{emissions}: none of its utterances has a text in {references or emissions}.")
    return LabelledSet(
        tuple(sorted(utterances, key=lambda one: one.reference.utterance_id)),
        read_lists(lists, references or emissions, alphabet=alphabet),
    )


def _with_length(reference: Reference, seconds: float | None) -> Reference:
    known = reference.duration_seconds is not None
    return reference if known else dataclasses.replace(reference, duration_seconds=seconds)


def heard_in(path: str) -> Iterator[tuple[str, float | None, Emissions]]:
    """Yield the utterances of an EMISSIONS file that were heard, with their lengths in seconds; raises InputError."""
    try:
        names = pq.read_schema(path).names
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(f"{path} cannot be read as parquet: {error}. Needed is an EMISSIONS file.") from error
    if missing := [name for name in EMISSIONS_REQUIRED if name not in names]:
        raise InputError(f"{path}: columns {missing} are missing; it has {names}. Needed is an EMISSIONS file.")
    for batch in pq.ParquetFile(path).iter_batches(256):
        for scalars, heard in read_emissions(pa.Table.from_batches([batch])):
            if heard is not None:
                yield scalars["utterance_id"], scalars["duration_seconds"], heard


def adapted(corpus: LabelledSet, adapter: AdapterPass) -> LabelledSet:
    """Return the corpus with the contextual adapter run over every utterance and its list.

    Raises InputError where the first pass was not made for the adapter.
    """
    done = []
    for one in corpus.utterances:
        name = one.reference.utterance_id
        if one.heard.last is None:
            raise InputError(
                f"{name}: its first pass carries no states for the adapter; encode the audio again with it, "
                "or leave it out (adapter: null in --config)."
            )
        heard, shortlist = adapter.row(one.heard, corpus.lists.of(name))
        done.append(dataclasses.replace(one, heard=heard, shortlist=shortlist))
    return dataclasses.replace(corpus, utterances=tuple(done))


def evaluate(transcriber: Transcriber, corpus: LabelledSet, progress: Callable[[], object] | None = None) -> Evaluation:
    """Decode every utterance with its list, as transcribing does, and score the best hypotheses."""
    written, seconds = {}, 0.0
    for one in corpus.utterances:
        name = one.reference.utterance_id
        entities = corpus.lists.of(name)
        start = time.process_time()
        nbest, _ = transcriber.hypotheses(one.heard, entities, one.shortlist)
        seconds += time.process_time() - start
        written[name] = Written(nbest[0].text, one.reference.duration_seconds)
        if progress is not None:
            progress()
    references = [one.reference for one in corpus.utterances]
    return Evaluation(score(references, written, corpus.lists, _QUICK), seconds, corpus.seconds)


def with_lists(corpus: LabelledSet, of: Callable[[str], EntityList]) -> LabelledSet:
    """The same utterances with other lists."""
    return dataclasses.replace(corpus, lists=dataclasses.replace(corpus.lists, of=of))


def sample(corpus: LabelledSet, count: int) -> LabelledSet:
    """Every n-th utterance, so that about ``count`` remain."""
    step = max(1, len(corpus.utterances) // count)
    chosen: Sequence[Labelled] = corpus.utterances[::step]
    return dataclasses.replace(corpus, utterances=tuple(chosen))
