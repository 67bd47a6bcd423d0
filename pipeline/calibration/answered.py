"""What reviews say of the guard's proposals, which are made again from the cached first pass.

    heard whole         every name that was said is known, so every proposal is right or wrong, those that the guard
                        turned down too
    proposals judged    a proposal is right if it writes what a reviewer accepted or corrected to in its place, wrong if
                        it writes what was rejected, or another name than was corrected to; of others nobody knows

What was shown to a reviewer depends on the guard's log odds and on chance. Given the log odds, whether a proposal is
right does not depend on whether it was shown, so both kinds tell how often proposals of such log odds are right.
"""

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.recognition.recogniser import Recogniser
from pipeline.rescoring.evidence import Vector
from pipeline.rescoring.proposals import Proposal
from pipeline.review.check import Review
from pipeline.review.folder import Files, counting, denies, overlap, says
from pipeline.text import Alphabet
from pipeline.training.guard_fit import Judged, judged
from pipeline.types.emissions import Emissions
from pipeline.types.entity import EntityList
from pipeline.types.hypothesis import Hypothesis


@dataclasses.dataclass(frozen=True)
class Verdict:
    """``entity`` (canonical) was said, or was not, between two times in seconds."""

    entity: str
    start_seconds: float
    end_seconds: float
    said: bool


@dataclasses.dataclass(frozen=True)
class Told:
    """What reviewers said of one utterance; ``weight``: inverse of the probability with which it was chosen."""

    verdicts: tuple[Verdict, ...]
    whole: bool
    weight: float

    @property
    def said(self) -> Counter[str]:
        """How often each entity was said, as far as it is known."""
        return Counter(one.entity for one in self.verdicts if one.said)


@dataclasses.dataclass(frozen=True)
class Answered:
    """The proposals of one utterance; ``known``: of which reviews say whether they are right."""

    utterance_id: str
    speaker: str
    seconds: float
    weight: float
    whole: bool
    proposals: tuple[Judged, ...]
    known: tuple[bool, ...]


def by_audio(files: Files) -> dict[str, list[Review]]:
    """Return the reviews that count by the hash of their audio, all of each."""
    found: dict[str, list[Review]] = {}
    for one in counting(files):
        if one["audio_sha256"]:
            found.setdefault(one["audio_sha256"], []).append(one)
    return found


def told_of(reviews: Sequence[Review], entities: EntityList, alphabet: Alphabet) -> Told:
    """Return what the reviews of one audio say of the names of a list; of several who agree one counts.

    In an utterance that was not heard whole, what a reviewer adds of himself does not count: nobody knows how much he
    would have added where.
    """
    whole = any(one["whole"] for one in reviews)
    verdicts = list[Verdict]()
    for one in reviews:
        if one["verdict"] is None or (one["verdict"] == "missed" and not whole):
            continue
        for name, said in ((says(one, alphabet), True), (denies(one, alphabet), False)):
            if name is None or name not in entities.by_text:
                continue
            new = Verdict(entities.by_text[name].text, one["start_seconds"], one["end_seconds"], said)
            if not any(_same(new, other) for other in verdicts):
                verdicts.append(new)
    probability = max((one["probability"] for one in reviews if one["probability"]), default=1.0)
    return Told(tuple(verdicts), whole, 1.0 / probability)


def _same(one: Verdict, other: Verdict) -> bool:
    return (one.entity, one.said) == (other.entity, other.said) and _meet(one, other.start_seconds, other.end_seconds)


def _meet(verdict: Verdict, start: float, end: float) -> bool:
    return overlap((verdict.start_seconds, verdict.end_seconds), (start, end))


def answered(
    number: int, scalars: Mapping[str, Any], heard: Emissions, entities: EntityList, told: Told, recogniser: Recogniser
) -> Answered:
    """Return the proposals of one utterance, as a recogniser with an unweighted guard makes them, with what is known.

    scalars: plain fields of its EMISSIONS row; number: of the utterance among others
    """
    heard, shortlist = recogniser.attended(heard, entities)
    unbiased, measured = recogniser.transcriber.proposals(heard, entities, shortlist)
    seconds = scalars["duration_seconds"] or 0.0
    found, known = labelled(number, unbiased, measured, entities, told, scalars["frame_seconds"])
    whose = scalars["speaker"] or scalars["utterance_id"]
    return Answered(scalars["utterance_id"], whose, seconds, told.weight, told.whole, tuple(found), tuple(known))


def labelled(
    number: int, unbiased: Hypothesis, measured: Sequence[tuple[Proposal, Vector]], entities: EntityList, told: Told,
    frame_seconds: float,
) -> tuple[list[Judged], list[bool]]:  # fmt: skip
    """Return proposals with what reviews say of each, and whether they say anything."""
    if told.whole:
        found = judged(number, unbiased, measured, told.said, entities)
        return found, [True] * len(found)
    found, known = [], []
    for proposal, features in measured:
        right = _right(proposal, told.verdicts, frame_seconds)
        gained, wrong = int(right is True), int(right is False)
        found.append(Judged(proposal.first, proposal.last, number, features, gained, wrong))
        known.append(right is not None)
    return found, known


def _right(proposal: Proposal, verdicts: Sequence[Verdict], frame_seconds: float) -> bool | None:
    """Whether all entities of a proposal were said where it writes them; None where nobody said so."""
    right: bool | None = True
    for span in proposal.spans:
        words = proposal.words[span.start_word : span.end_word]
        start, end = words[0].start_frame * frame_seconds, words[-1].end_frame * frame_seconds
        there = [one for one in verdicts if _meet(one, start, end)]
        if any(one.said and one.entity == span.entity for one in there):
            continue
        if any(one.said or one.entity == span.entity for one in there):
            return False
        right = None
    return right
