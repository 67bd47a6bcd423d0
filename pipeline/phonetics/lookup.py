"""D4: words that the recogniser doubts are looked up among the entities by how they sound.

A span of one to ``max_words`` words with a doubtful word in it (the recogniser often breaks one name into two common
words) gives a phone string, read off the phone head between the span's aligned boundaries. Entities near to it are
aligned in the span's place, between its neighbours; the cheapest replaces the span if it beats what stands there by
``min_gain`` nats.
"""

import dataclasses
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from pipeline.acoustic.emissions import Emissions
from pipeline.config import LexiconConfig
from pipeline.decoding.interface import EntitySpan, Hypothesis
from pipeline.entities.catalog import EntityList
from pipeline.phonetics.alignment import IMPOSSIBLE, align_words
from pipeline.phonetics.edit import Edit, apply_edits
from pipeline.phonetics.matching import PhoneIndex
from pipeline.phonetics.phones import PHONES, Pronunciation
from pipeline.phonetics.pronunciation import ListPronouncer, Pronouncer
from pipeline.phonetics.rescoring import Aligned, floored, units_of

TECHNIQUE = "lexicon"


@dataclasses.dataclass(frozen=True)
class Replacement:
    """An entity in the place of units [first, last) of the hypothesis.

    cost: of the entity's phones, nats; gain: by how much the alignment with it is cheaper than that with the units,
    over the same frames and with the same neighbours.
    """

    first: int
    last: int
    entity: str
    frames: tuple[int, int]
    cost: float
    gain: float


def heard_phones(log_probs: npt.NDArray[np.float32], start: int, end: int) -> Pronunciation:
    """Greedy CTC reading of [T, 40] log-probs over frames [start, end)."""
    columns = log_probs[start:end].argmax(axis=1)
    changed = np.concatenate([[True], columns[1:] != columns[:-1]]) if len(columns) else np.zeros(0, bool)
    return tuple(PHONES[column - 1] for column in columns[changed] if column)


class LexiconLookup:
    """Holds the pronouncer and remembers the index of each list; ``apply`` is a pure function of its arguments."""

    def __init__(
        self, config: LexiconConfig, pronouncer: Pronouncer, lists: ListPronouncer, known: Callable[[str], bool]
    ) -> None:
        """``known``: whether the language model's vocabulary has a word."""
        self._config, self._pronouncer, self._lists, self._known = config, pronouncer, lists, known
        self._index: tuple[str, PhoneIndex] | None = None

    def apply(self, hypotheses: Sequence[Hypothesis], emissions: Emissions, entities: EntityList) -> list[Hypothesis]:
        """Return the n-best, with the best hypothesis corrected and put first where an entity fits better.

        Its gain in phone cost is added to ``boost`` and ``total``; the uncorrected one stays as the second.
        """
        if emissions.phone_log_probs is None or not entities.entities or not hypotheses or not hypotheses[0].words:
            return list(hypotheses)
        log_probs = floored(emissions.phone_log_probs, self._config.floor)
        listed = self._lists.pronounce(entities)
        units = units_of(hypotheses[0], self._pronouncer, listed)
        alignment = align_words(log_probs, [unit.pronunciations for unit in units])
        if alignment.cost >= IMPOSSIBLE:
            return list(hypotheses)
        aligned = Aligned(hypotheses[0], units, alignment)
        found = self._replacements(aligned, log_probs, self._searched(entities.version, listed), listed)
        chosen = _without_overlap(found)
        return [_replaced(aligned, chosen), *hypotheses] if chosen else list(hypotheses)

    def _searched(self, version: str, listed: dict[str, tuple[Pronunciation, ...]]) -> PhoneIndex:
        if self._index is None or self._index[0] != version:
            pairs = ((text, phones) for text, variants in listed.items() for phones in variants)
            self._index = (version, PhoneIndex(pairs))
        return self._index[1]

    def _replacements(
        self,
        aligned: Aligned,
        log_probs: npt.NDArray[np.float32],
        index: PhoneIndex,
        listed: dict[str, tuple[Pronunciation, ...]],
    ) -> Iterator[Replacement]:
        for first, last in self._doubtful_spans(aligned, log_probs):
            start, end = _frames(aligned, first, last, len(log_probs))
            heard = heard_phones(log_probs, start, end)
            for match in index.nearest(heard, self._config.max_distance, self._config.candidates):
                found = _try(aligned, log_probs, (first, last), match.key, listed[match.key])
                if found.gain >= self._config.min_gain:
                    yield found

    def _doubtful_spans(self, aligned: Aligned, log_probs: npt.NDArray[np.float32]) -> Iterator[tuple[int, int]]:
        doubtful = [self._is_doubtful(aligned, k, log_probs) for k in range(len(aligned.units))]
        taken = {span.start_word for span in aligned.hypothesis.entities}
        for first, unit in enumerate(aligned.units):
            for last in range(first + 1, min(first + self._config.max_words, len(aligned.units)) + 1):
                if aligned.units[last - 1].start in taken or unit.start in taken:
                    break
                if any(doubtful[first:last]):
                    yield first, last

    def _is_doubtful(self, aligned: Aligned, k: int, log_probs: npt.NDArray[np.float32]) -> bool:
        word = aligned.hypothesis.words[aligned.units[k].start]
        if word.confidence < self._config.confidence or not self._known(word.text):
            return True
        said = aligned.alignment.words[k]
        start, end = _frames(aligned, k, k + 1, len(log_probs))
        least = -float(log_probs[start:end].max(axis=1).sum()) if end > start else 0.0
        return said.cost - least > self._config.excess * max(1, len(said.phones))


def _frames(aligned: Aligned, first: int, last: int, frames: int) -> tuple[int, int]:
    """From the first unit's first phone to the first phone of what follows."""
    words = aligned.alignment.words
    following = next((word.start_frame for word in words[last:] if word.phones), frames)
    leading = not any(word.phones for word in words[:first])
    return 0 if leading else words[first].start_frame, following


def _try(
    aligned: Aligned,
    log_probs: npt.NDArray[np.float32],
    span: tuple[int, int],
    entity: str,
    pronunciations: tuple[Pronunciation, ...],
) -> Replacement:
    """Align the entity in the span's place, with the neighbouring units beside it so that the borders may move."""
    first, last = span
    before, after = max(0, first - 1), min(len(aligned.units), last + 1)
    start, end = _frames(aligned, before, after, len(log_probs))
    beside = [aligned.units[before:first], aligned.units[last:after]]
    left, right = ([unit.pronunciations for unit in units] for units in beside)
    local = align_words(log_probs[start:end], [*left, pronunciations, *right])
    said = local.words[len(left)]
    there = sum(word.cost for word in aligned.alignment.words[before:after])
    frames = (start + said.start_frame, start + said.end_frame)
    return Replacement(first, last, entity, frames, said.cost, there - local.cost)


def _without_overlap(found: Iterator[Replacement]) -> list[Replacement]:
    """The best first, each unit replaced once; ties by place and name, so that the result is one."""
    chosen: list[Replacement] = []
    for one in sorted(found, key=lambda one: (-one.gain, one.first, one.last, one.entity)):
        # A neighbour is shared by the two alignments, so replacements next to each other are not both sure.
        if all(one.last < other.first or one.first > other.last for other in chosen):
            chosen.append(one)
    return sorted(chosen, key=lambda one: one.first)


def _replaced(aligned: Aligned, chosen: list[Replacement]) -> Hypothesis:
    gain = sum(one.gain for one in chosen)
    edited = apply_edits(aligned.hypothesis, [_edit(aligned, one) for one in chosen])
    return dataclasses.replace(
        edited,
        boost=edited.boost + gain,
        total=edited.total + gain,
        phone_cost=aligned.alignment.cost - gain,
    )


def _edit(aligned: Aligned, one: Replacement) -> Edit:
    start, end = aligned.units[one.first].start, aligned.units[one.last - 1].end
    span = EntitySpan(
        one.entity,
        start,
        end,
        techniques=(TECHNIQUE,),
        boost=one.gain,
        phone_cost=one.cost,
        alternative=" ".join(word.text for word in aligned.hypothesis.words[start:end]),
        alternative_phone_cost=one.cost + one.gain,
    )
    return Edit(start, end, one.frames, span)
