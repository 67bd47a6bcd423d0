"""Words that the recogniser doubts are looked up among the entities by how they sound.

A span of one to ``max_words`` words with a doubtful word in it (the recogniser often breaks one name into two common
words) gives a phone string, read off the phone head between the span's aligned boundaries. Entities near to it are
aligned in the span's place, between its neighbours; the cheapest replaces the span if it beats what stands there by
``min_gain`` nats.
"""

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from pipeline.config import LexiconConfig
from pipeline.lexicon.alignment import IMPOSSIBLE
from pipeline.lexicon.phone_index import PhoneIndex
from pipeline.rescoring.aligned import Aligned, Fit, Variants, align_hypothesis, floored
from pipeline.rescoring.edit import Edit, apply_edits, edited_words
from pipeline.rescoring.proposals import Proposal
from pipeline.rescoring.scene import Scene
from pipeline.rescoring.technique import Sounds, Technique
from pipeline.types.emissions import Emissions, on_clock
from pipeline.types.entity import EntityList
from pipeline.types.hypothesis import EntitySpan, Hypothesis, distinct

TECHNIQUE = "lexicon"
_PLACES = 2  # in which an entity that is attended to is proposed


@dataclasses.dataclass(frozen=True)
class Replacement:
    """An entity in the place of units [first, last) of the hypothesis."""

    first: int
    last: int
    entity: str
    fit: Fit


class LexiconLookup(Technique):
    """Holds the pronouncer and remembers the index of the last list."""

    part = "lexicon"

    def __init__(self, config: LexiconConfig, sounds: Sounds) -> None:
        self._config, self._pronouncer, self._lists = config, sounds.pronouncer, sounds.lists
        self._known = sounds.knows
        self._index: tuple[str, PhoneIndex] | None = None

    def correct(self, nbest: Sequence[Hypothesis], emissions: Emissions, entities: EntityList) -> list[Hypothesis]:
        """Return the n-best, with the best hypothesis corrected and put first where an entity fits better.

        Its gain in phone cost is added to ``boost`` and ``total``; the uncorrected one stays as the second.
        """
        if emissions.phone_log_probs is None or not entities.entities or not nbest or not nbest[0].words:
            return list(nbest)
        listed = self._lists.pronounce(entities)
        log_probs = floored(emissions.phone_log_probs, self._config.floor)
        aligned = align_hypothesis(nbest[0], log_probs, self._pronouncer, listed, emissions.phone_rate)
        if aligned.alignment.cost >= IMPOSSIBLE:
            return list(nbest)
        found = self._replacements(aligned, self._index_of(entities, listed), listed, self._config.min_gain)
        chosen = _without_overlap(found)
        return distinct([_replaced(aligned, chosen), *nbest]) if chosen else list(nbest)

    def propose(self, scene: Scene, entities: EntityList, emissions: Emissions) -> list[Proposal]:
        """Return what sounds like words of the unbiased hypothesis; the guard decides by more than the sound."""
        return self.sounding(scene.aligned, entities, emissions.attended)

    def sounding(
        self, aligned: Aligned, entities: EntityList, attended: npt.NDArray[np.float16] | None = None
    ) -> list[Proposal]:
        """Return every entity that sounds at least ``least_gain`` nats better than words of ``aligned``.

        ``attended`` [E, 3], what the contextual adapter says of ``entities`` (pipeline.types.emissions), adds those
        that it hears, in the places where it does.
        """
        if not entities.entities:
            return []
        listed = self._lists.pronounce(entities)
        found = list(self._replacements(aligned, self._index_of(entities, listed), listed, self._config.least_gain))
        if attended is not None:
            there = {(one.first, one.last, one.entity) for one in found}
            heard = self._attended(aligned, entities, listed, attended)
            found += [one for one in heard if (one.first, one.last, one.entity) not in there]
        return [proposal_of(aligned, one) for one in found]

    def _attended(
        self, aligned: Aligned, entities: EntityList, listed: dict[str, Variants], attended: npt.NDArray[np.float16]
    ) -> Iterator[Replacement]:
        """The best places for each entity that is attended to, among those with the word of its highest attention."""
        for entity, (peak, _, frame) in zip(entities.entities, attended.tolist(), strict=True):
            if not peak >= self._config.attention or entity.weight <= 0 or not listed[entity.text]:
                continue
            k, most = aligned.unit_at(int(frame)), self._config.max_words
            places = [
                (first, last)
                for first in range(max(0, k - most + 1), k + 1)
                for last in range(k + 1, min(first + most, len(aligned.units)) + 1)
                if aligned.text(first, last) != entity.text
            ]
            tried = [Replacement(*place, entity.text, aligned.fit(*place, [listed[entity.text]])) for place in places]
            good = [one for one in tried if one.fit.gain >= self._config.attended_gain]
            yield from sorted(good, key=lambda one: (-one.fit.gain, one.first, one.last))[:_PLACES]

    def _index_of(self, entities: EntityList, listed: dict[str, Variants]) -> PhoneIndex:
        if self._index is None or self._index[0] != entities.version:
            wanted = (entity.text for entity in entities.entities if entity.weight > 0)
            said = ((text, one) for text in wanted for one in listed[text])
            self._index = (entities.version, PhoneIndex(said, self._pronouncer.units))
        return self._index[1]

    def _replacements(
        self, aligned: Aligned, index: PhoneIndex, listed: dict[str, Variants], least: float
    ) -> Iterator[Replacement]:
        for first, last in self._doubtful_spans(aligned):
            heard = aligned.heard(first, last)
            for match in index.nearest(heard, self._config.max_distance, self._config.candidates):
                fit = aligned.fit(first, last, [listed[match.key]])
                if fit.gain >= least and match.key != aligned.text(first, last):
                    yield Replacement(first, last, match.key, fit)

    def _doubtful_spans(self, aligned: Aligned) -> Iterator[tuple[int, int]]:
        doubtful = [self._is_doubtful(aligned, k) for k in range(len(aligned.units))]
        taken = {span.start_word for span in aligned.hypothesis.entities}
        for first, unit in enumerate(aligned.units):
            for last in range(first + 1, min(first + self._config.max_words, len(aligned.units)) + 1):
                if aligned.units[last - 1].start in taken or unit.start in taken:
                    break
                if any(doubtful[first:last]):
                    yield first, last

    def _is_doubtful(self, aligned: Aligned, k: int) -> bool:
        word = aligned.hypothesis.words[aligned.units[k].start]
        if word.confidence < self._config.confidence or not self._known(word.text):
            return True
        said = aligned.alignment.words[k]
        return said.cost - aligned.least(k, k + 1) > self._config.excess * max(1, len(said.phones))


def _without_overlap(found: Iterator[Replacement]) -> list[Replacement]:
    """The best first, each unit replaced once; ties by place and name, so that the result is one."""
    chosen: list[Replacement] = []
    for one in sorted(found, key=lambda one: (-one.fit.gain, one.first, one.last, one.entity)):
        # A neighbour is shared by the two alignments, so replacements next to each other are not both sure.
        if all(one.last < other.first or one.first > other.last for other in chosen):
            chosen.append(one)
    return sorted(chosen, key=lambda one: one.first)


def _replaced(aligned: Aligned, chosen: list[Replacement]) -> Hypothesis:
    gain = sum(one.fit.gain for one in chosen)
    edited = apply_edits(aligned.hypothesis, [_edit(aligned, one) for one in chosen])
    return dataclasses.replace(
        edited,
        boost=edited.boost + gain,
        total=edited.total + gain,
        phone_cost=aligned.alignment.cost - gain,
    )


def proposal_of(aligned: Aligned, one: Replacement, technique: str = TECHNIQUE) -> Proposal:
    """Return the replacement as a proposal of ``technique``, for the guard to judge."""
    edit = _edit(aligned, one)
    span = dataclasses.replace(_span(aligned, one, 0, len(edit.texts)), techniques=(technique,))
    return Proposal(edit.start, edit.end, tuple(edited_words(aligned.hypothesis, edit)), (span,), from_search=False)


def _edit(aligned: Aligned, one: Replacement) -> Edit:
    start, end = aligned.units[one.first].start, aligned.units[one.last - 1].end
    frames = on_clock(one.fit.frames, 1.0 / aligned.rate)
    return Edit(start, end, frames, tuple(one.entity.split()), _span(aligned, one, start, end))


def _span(aligned: Aligned, one: Replacement, start: int, end: int) -> EntitySpan:
    return EntitySpan(
        one.entity,
        start,
        end,
        techniques=(TECHNIQUE,),
        boost=one.fit.gain,
        phone_cost=one.fit.cost,
        alternative=aligned.text(one.first, one.last),
        alternative_phone_cost=one.fit.cost + one.fit.gain,
    )
