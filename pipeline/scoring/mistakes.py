"""Every entity mistake of a result, with what stands in its place: the raw material of reports and comparisons."""

import dataclasses
from collections import Counter
from collections.abc import Sequence

from pipeline.scoring.alignment import align
from pipeline.scoring.entities import Difference, inserted, missed
from pipeline.scoring.score import ScoreResult, UtteranceScore

MISSED, INSERTED = "missed", "inserted"


@dataclasses.dataclass(frozen=True)
class Mistake:
    """One entity that was said and not written (missed), or written and not said (inserted).

    instead: for a missed entity what was written, for an inserted one what was said there; "" if nothing.
    start, end: words of the entity, in the reference if missed, in the hypothesis if inserted; half-open.
    """

    kind: str
    entity: str
    instead: str
    start: int
    end: int
    utterance: UtteranceScore


def mistakes_of(result: ScoreResult) -> list[Mistake]:
    """Return the entity mistakes of all utterances, in their order."""
    return [mistake for utterance in result.utterances for mistake in _of_utterance(utterance)]


def _of_utterance(utterance: UtteranceScore) -> list[Mistake]:
    match = utterance.entities
    if not match.false_negatives and not match.false_positives:
        return []
    reference, hypothesis = utterance.reference.split(), utterance.hypothesis.split()
    steps = align(reference, hypothesis)
    lost = missed(utterance.said, utterance.written, steps, hypothesis)
    added = inserted(utterance.said, utterance.written, steps, reference)
    return [*_mistakes(MISSED, lost, utterance), *_mistakes(INSERTED, added, utterance)]


def _mistakes(kind: str, found: Sequence[Difference], utterance: UtteranceScore) -> list[Mistake]:
    return [
        Mistake(kind, one.found.entity.text, one.instead, one.found.start, one.found.end, utterance) for one in found
    ]


@dataclasses.dataclass(frozen=True)
class Confusion:
    """How often ``said`` was written as ``written``; ``kind`` says which of the two is the list entity."""

    kind: str
    said: str
    written: str
    count: int


def confusions(mistakes: Sequence[Mistake]) -> list[Confusion]:
    """Return the confusions of all mistakes, most frequent first, then by text."""
    counted = Counter(
        (one.kind, one.entity, one.instead) if one.kind == MISSED else (one.kind, one.instead, one.entity)
        for one in mistakes
    )
    ordered = sorted(counted.items(), key=lambda item: (-item[1], item[0]))
    return [Confusion(*key, count) for key, count in ordered]
