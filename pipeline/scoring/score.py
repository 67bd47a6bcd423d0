"""Score hypotheses against references: one call, one result object.

``score(references, hypotheses, lists).metrics()["entity"]["f1"]``
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline import schemas
from pipeline.entities.matching import Found, find_entities
from pipeline.errors import InputError
from pipeline.scoring.alignment import align
from pipeline.scoring.bootstrap import DEFAULT, Bootstrap, Floats
from pipeline.scoring.entities import EntityMatch, match_entities
from pipeline.scoring.groups import GroupScore, score_groups
from pipeline.scoring.metrics import COLUMNS, GROUPS, Rate, beside, entity_metrics, rates_with_intervals, word_metrics
from pipeline.scoring.words import Biased, WordCounts, all_errors, minimal_errors, split_errors
from pipeline.types.entity import EMPTY, Entity, EntityList, Rejected


@dataclasses.dataclass(frozen=True)
class Reference:
    """What was said; ``text`` is normalised."""

    utterance_id: str
    text: str
    duration_seconds: float | None = None
    speaker: str | None = None


@dataclasses.dataclass(frozen=True)
class Written:
    """What a system wrote; ``text`` is normalised. A row with ``error`` scores as an empty hypothesis."""

    text: str
    duration_seconds: float | None = None
    error: str | None = None


@dataclasses.dataclass(frozen=True)
class Lists:
    """The list that applied to each utterance.

    of:     utterance id -> its list
    spoken: the is21_deep_bias benchmark's own answer to which list words an utterance contains, where there is one; it
            then decides what is U and what is B. Otherwise the entities found in the reference do.
    rejected: entries that could not be used, for the record
    """

    of: Callable[[str], EntityList] = lambda _: EMPTY
    spoken: Mapping[str, frozenset[str]] | None = None
    rejected: tuple[Rejected, ...] = ()


NO_LISTS = Lists()


@dataclasses.dataclass(frozen=True)
class UtteranceScore:
    """Everything counted in one utterance."""

    utterance_id: str
    reference: str
    hypothesis: str
    words: tuple[WordCounts, WordCounts, WordCounts]  # all, U, B
    biased: Biased
    entities: EntityMatch
    said: tuple[Found, ...]
    written: tuple[Found, ...]
    duration_seconds: float | None
    speaker: str | None
    error: str | None

    def counts(self) -> tuple[float, ...]:
        """This utterance's row of the counts table (metrics.COLUMNS)."""
        match = self.entities
        false = len(match.false_positives)
        timed = (0.0, 0.0) if self.duration_seconds is None else (false, self.duration_seconds / 3600)
        words = [count for group in self.words for count in dataclasses.astuple(group)]
        return (*words, len(match.true_positives), false, len(match.false_negatives), *timed)


@dataclasses.dataclass(frozen=True)
class ScoreResult:
    """Scores of one system on one set of references, sorted by id.

    missing: ids without a hypothesis (scored as deleted); catalog: the entities that were said or written, by name.
    """

    utterances: tuple[UtteranceScore, ...]
    missing: tuple[str, ...]
    catalog: Mapping[str, Entity]
    bootstrap: Bootstrap = DEFAULT

    @cached_property
    def counts(self) -> Floats:
        """The counts table [utterances, K], columns metrics.COLUMNS."""
        rows = [utterance.counts() for utterance in self.utterances]
        return np.array(rows, dtype=np.float64).reshape(len(rows), len(COLUMNS))

    @cached_property
    def totals(self) -> dict[str, float]:
        """Column sums by name."""
        return dict(zip(COLUMNS, self.counts.sum(axis=0).tolist(), strict=True))

    @cached_property
    def rated(self) -> tuple[dict[str, Rate], dict[str, Floats]]:
        """Headline rates with intervals, and the bootstrap replicates behind them."""
        return rates_with_intervals(self.counts, self.bootstrap)

    @property
    def rates(self) -> dict[str, Rate]:
        return self.rated[0]

    @property
    def errors(self) -> int:
        """Rows without a transcript: failed ones and missing ones."""
        return sum(utterance.error is not None for utterance in self.utterances)

    @property
    def audio_hours(self) -> float | None:
        """Hours of the utterances whose duration is known; None if none is."""
        known = any(utterance.duration_seconds is not None for utterance in self.utterances)
        return self.totals["audio_hours"] if known else None

    def word_counts(self, group: str) -> WordCounts:
        """Corpus counts of ``wer``, ``u_wer`` or ``b_wer``."""
        names = ("words", "substitutions", "insertions", "deletions")
        return WordCounts(*(round(self.totals[f"{group}_{name}"]) for name in names))

    def entity_counts(self) -> dict[str, int]:
        names = ("true_positives", "false_positives", "false_negatives")
        return {name: round(self.totals[name]) for name in names}

    @cached_property
    def by_entity(self) -> tuple[GroupScore, ...]:
        """One row per entity that was said or written, worst first."""
        return score_groups([utterance.entities for utterance in self.utterances], lambda name: [name], self.bootstrap)

    @cached_property
    def by_tag(self) -> tuple[GroupScore, ...]:
        """One row per tag; an entity with two tags counts in both."""
        matches = [utterance.entities for utterance in self.utterances]
        return score_groups(matches, lambda name: self.catalog[name].tags, self.bootstrap)

    def metrics(self) -> dict[str, Any]:
        """The content of metrics.json. Rates are fractions; a rate over nothing is None."""
        words = {group: word_metrics(self.rates[group], self.word_counts(group)) for group in GROUPS}
        return {
            **words,
            "entity": entity_metrics(self.rates, self.entity_counts()),
            **beside("false_accepts_per_hour", self.rates["false_accepts_per_hour"]),
            "audio_hours": self.audio_hours,
            "utterances": len(self.utterances),
            "errors": self.errors,
            "missing": len(self.missing),
            "by_tag": {group.name: group.metrics() for group in self.by_tag},
            "by_entity": {group.name: group.metrics() for group in self.by_entity},
            "bootstrap": dataclasses.asdict(self.bootstrap),
        }

    def table(self) -> pa.Table:
        """Per-utterance SCORES."""
        rows = [_row(utterance) for utterance in self.utterances]
        return pa.Table.from_pylist(rows, schema=schemas.SCORES)


def score(
    references: Sequence[Reference],
    hypotheses: Mapping[str, Written],
    lists: Lists = NO_LISTS,
    bootstrap: Bootstrap = DEFAULT,
) -> ScoreResult:
    """Score every reference; a reference without a hypothesis counts as deleted and as an error.

    Utterances are sorted by id, so that results do not depend on the order of files. Raises InputError for duplicate
    reference ids and for hypotheses whose id no reference has.
    """
    _check_ids(references, hypotheses)
    references = sorted(references, key=lambda reference: reference.utterance_id)
    catalog: dict[str, Entity] = {}
    minimal = minimal_errors(
        [reference.text for reference in references],
        [_text(hypotheses.get(reference.utterance_id)) for reference in references],
    )
    utterances = []
    for reference, least in zip(references, minimal, strict=True):
        scored = _score_one(reference, hypotheses.get(reference.utterance_id), lists, least)
        catalog |= {found.entity.text: found.entity for found in (*scored.said, *scored.written)}
        utterances.append(scored)
    missing = tuple(item.utterance_id for item in references if item.utterance_id not in hypotheses)
    return ScoreResult(tuple(utterances), missing, catalog, bootstrap)


def _check_ids(references: Sequence[Reference], hypotheses: Mapping[str, Written]) -> None:
    known: set[str] = set()
    for reference in references:
        if reference.utterance_id in known:
            raise InputError(f"references: id '{reference.utterance_id}' comes twice; every id must be there once.")
        known.add(reference.utterance_id)
    unknown = [name for name in hypotheses if name not in known]
    if unknown:
        raise InputError(
            f"{len(unknown)} hypothesis ids have no reference, the first is '{unknown[0]}'. "
            "Score with the references of the same corpus."
        )


def _text(hypothesis: Written | None) -> str:
    return hypothesis.text if hypothesis is not None and hypothesis.error is None else ""


def _score_one(reference: Reference, hypothesis: Written | None, lists: Lists, least: WordCounts) -> UtteranceScore:
    text, entities = _text(hypothesis), lists.of(reference.utterance_id)
    reference_words, hypothesis_words = reference.text.split(), text.split()
    said = tuple(find_entities(reference_words, entities))
    written = tuple(find_entities(hypothesis_words, entities))
    spoken = None if lists.spoken is None else lists.spoken.get(reference.utterance_id, frozenset())
    biased = _biased(reference_words, said, spoken)
    unbiased_counts, biased_counts = split_errors(hypothesis_words, align(reference_words, hypothesis_words), biased)
    duration = reference.duration_seconds
    if duration is None and hypothesis is not None:
        duration = hypothesis.duration_seconds
    return UtteranceScore(
        utterance_id=reference.utterance_id,
        reference=reference.text,
        hypothesis=text,
        words=(all_errors(unbiased_counts, biased_counts, least), unbiased_counts, biased_counts),
        biased=biased,
        entities=match_entities(said, written),
        said=said,
        written=written,
        duration_seconds=duration,
        speaker=reference.speaker,
        error="no hypothesis for this id" if hypothesis is None else hypothesis.error,
    )


def _biased(words: Sequence[str], said: Sequence[Found], spoken: frozenset[str] | None) -> Biased:
    if spoken is not None:
        return Biased(frozenset(at for at, word in enumerate(words) if word in spoken), spoken)
    positions = frozenset(at for found in said for at in range(found.start, found.end))
    return Biased(positions, frozenset(words[at] for at in positions))


def _row(utterance: UtteranceScore) -> dict[str, Any]:
    words = {
        f"{group}_{name}": count
        for group, counts in zip(GROUPS, utterance.words, strict=True)
        for name, count in dataclasses.asdict(counts).items()
    }
    return {
        "utterance_id": utterance.utterance_id,
        "reference": utterance.reference,
        "hypothesis": utterance.hypothesis,
        **words,
        **{name: list(items) for name, items in dataclasses.asdict(utterance.entities).items()},
        "duration_seconds": utterance.duration_seconds,
        "error": utterance.error,
    }
