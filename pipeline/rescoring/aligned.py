"""Hypotheses on the phone head's output: aligned as a whole, and refitted in one place."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from pipeline.lexicon.alignment import AlignedWord, Alignment, align_words
from pipeline.lexicon.phones import ARPABET, Pronunciation, Units
from pipeline.lexicon.pronunciation import Pronouncer
from pipeline.types.emissions import on_clock
from pipeline.types.hypothesis import Hypothesis

Variants = tuple[Pronunciation, ...]


@dataclasses.dataclass(frozen=True)
class Unit:
    """Words [start, end) that are pronounced as one: an entity, or a single word."""

    start: int
    end: int
    pronunciations: Variants


def units_of(hypothesis: Hypothesis, pronouncer: Pronouncer, listed: Mapping[str, Variants]) -> list[Unit]:
    """Cut a hypothesis into entities, with the list's pronunciations, and single words."""
    units, at = [], 0
    for span in (*sorted(hypothesis.entities, key=lambda span: span.start_word), None):
        stop = span.start_word if span else len(hypothesis.words)
        for index in range(at, stop):
            units.append(Unit(index, index + 1, pronouncer.pronounce(hypothesis.words[index].text)))
        if span:
            words = " ".join(word.text for word in hypothesis.words[span.start_word : span.end_word])
            said = listed.get(span.entity) or pronouncer.pronounce(words)
            units.append(Unit(span.start_word, span.end_word, said))
            at = span.end_word
    return units


def floored(log_probs: npt.NDArray[np.float16], floor: float) -> npt.NDArray[np.float32]:
    """[T, 40] float32, no frame below ``floor`` nats, so that one misheard phone cannot decide alone."""
    return np.maximum(log_probs.astype(np.float32), np.float32(floor))


def heard_phones(log_probs: npt.NDArray[np.float32], start: int, end: int, units: Units = ARPABET) -> Pronunciation:
    """Greedy CTC reading of [T, 40] log-probs over frames [start, end)."""
    columns = log_probs[start:end].argmax(axis=1)
    changed = np.concatenate([[True], columns[1:] != columns[:-1]]) if len(columns) else np.zeros(0, bool)
    return tuple(units.names[column - 1] for column in columns[changed] if column)


@dataclasses.dataclass(frozen=True)
class Fit:
    """Other units in the place of some: ``gain`` nats cheaper than what stands there, over the same frames.

    words: how the new units lie, in frames of the utterance's log-probs counted from ``start``
    """

    gain: float
    words: tuple[AlignedWord, ...]
    start: int

    @property
    def frames(self) -> tuple[int, int]:
        """Half-open, of the new units together."""
        said = [word for word in self.words if word.phones]
        if not said:
            return self.start, self.start
        return self.start + said[0].start_frame, self.start + said[-1].end_frame

    @property
    def cost(self) -> float:
        """Nats, of the new units' phones."""
        return sum(word.cost for word in self.words)


@dataclasses.dataclass(frozen=True)
class Aligned:
    """A hypothesis with the alignment of its units to ``log_probs`` [T, 40]. Remembers its fits.

    rate: frames of ``log_probs`` per frame of the hypothesis' words
    made_of: the columns of ``log_probs``
    """

    hypothesis: Hypothesis
    units: list[Unit]
    alignment: Alignment
    log_probs: npt.NDArray[np.float32]
    rate: float = 1.0
    made_of: Units = ARPABET
    _fits: dict[tuple[int, int, tuple[Variants, ...]], Fit] = dataclasses.field(default_factory=dict, compare=False)

    def cost_of(self, start: int, end: int) -> float:
        """Cost in nats of the units that touch words [start, end)."""
        pairs = zip(self.units, self.alignment.word_costs.tolist(), strict=True)
        return float(sum(cost for unit, cost in pairs if unit.start < end and unit.end > start))

    def text(self, first: int, last: int) -> str:
        """The words of units [first, last)."""
        words = self.hypothesis.words[self.units[first].start : self.units[last - 1].end] if last > first else ()
        return " ".join(word.text for word in words)

    def frames(self, first: int, last: int) -> tuple[int, int]:
        """Frames of units [first, last): from their first phone to the first phone of what follows."""
        words = self.alignment.words
        following = next((word.start_frame for word in words[last:] if word.phones), len(self.log_probs))
        leading = not any(word.phones for word in words[:first])
        return 0 if leading else words[first].start_frame, following

    def unit_at(self, frame: int) -> int:
        """Return the unit that is being said at a frame of the words' clock; the first before any, the last after."""
        frame = on_clock((frame, frame), self.rate)[0]
        said = [k for k, word in enumerate(self.alignment.words) if word.phones and word.start_frame <= frame]
        return said[-1] if said else 0

    def heard(self, first: int, last: int) -> Pronunciation:
        """What the phone head reads in the frames of units [first, last)."""
        return heard_phones(self.log_probs, *self.frames(first, last), self.made_of)

    def least(self, first: int, last: int) -> float:
        """Cost in nats of the best path through the frames of units [first, last), whatever it says."""
        start, end = self.frames(first, last)
        return -float(self.log_probs[start:end].max(axis=1).sum()) if end > start else 0.0

    def fit(self, first: int, last: int, others: Sequence[Variants]) -> Fit:
        """Align ``others`` in the place of units [first, last), with a neighbour on each side so that borders move.

        The neighbours keep the pronunciations that they have in the hypothesis' alignment.
        """
        key = (first, last, tuple(others))
        if key not in self._fits:
            self._fits[key] = self._fit(first, last, key[2])
        return self._fits[key]

    def _fit(self, first: int, last: int, others: Sequence[Variants]) -> Fit:
        before, after = max(0, first - 1), min(len(self.units), last + 1)
        start, end = self.frames(before, after)
        left, right = self._said(before, first), self._said(last, after)
        local = align_words(self.log_probs[start:end], [*left, *others, *right], self.made_of)
        there = float(self.alignment.word_costs[before:after].sum())
        return Fit(there - local.cost, local.words[len(left) : len(left) + len(others)], start)

    def _said(self, first: int, last: int) -> list[Variants]:
        return [(tuple(phone.phone for phone in word.phones),) for word in self.alignment.words[first:last]]


def align_hypothesis(
    hypothesis: Hypothesis,
    log_probs: npt.NDArray[np.float32],
    pronouncer: Pronouncer,
    listed: Mapping[str, Variants],
    rate: float = 1.0,
) -> Aligned:
    """Align a hypothesis; the cost is IMPOSSIBLE where its words do not fit into the frames. ``rate``: see Aligned."""
    units = units_of(hypothesis, pronouncer, listed)
    alignment = align_words(log_probs, [unit.pronunciations for unit in units], pronouncer.units)
    return Aligned(hypothesis, units, alignment, log_probs, rate, pronouncer.units)
