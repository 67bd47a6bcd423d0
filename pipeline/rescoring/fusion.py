"""Fusion of the model's two heads: what the phone head heard, added to the score of every n-best hypothesis.

    total'(h) = total(h) - weight * (cost(h) - min over the n-best of cost)

cost(h) is the forced-alignment cost of the hypothesis' pronunciations against the phone head's CTC output, in nats
(pipeline.lexicon.alignment). The phone head is more often right in what it hears than the subword head in what it
spells, and the search knows only the latter. This is part of reading the audio and the same with and without a list;
what lists do with phones is rescoring, lexicon and guard.

Every word is aligned within a window around the frames that the search gave it, so the cost of a hypothesis grows with
its length and not with its square.
"""

import dataclasses
from collections.abc import Mapping, Sequence

import numba
import numpy as np
import numpy.typing as npt

from pipeline.config import PhoneFusionConfig, RunConfig
from pipeline.lexicon.phones import PHONE_IDS
from pipeline.rescoring.aligned import Variants, floored, units_of
from pipeline.rescoring.technique import Sounds, Technique
from pipeline.types.emissions import Emissions, on_clock
from pipeline.types.entity import EntityList
from pipeline.types.hypothesis import Hypothesis

_MAX_VARIANTS = 4
"""Pronunciations of a word that are aligned; further ones of CMUdict are rare and each costs a chain."""


@numba.njit(cache=True)
def chain_cost(costs, words, windows, first, starts, phones):  # type: ignore[no-untyped-def]
    """Return the cost of a word sequence on ``costs`` [T, P]; infinite where the windows leave no path.

    words [N], windows [N, 2] half-open frames; word w has the pronunciations first[w] to first[w + 1], pronunciation
    v the columns phones[starts[v]:starts[v + 1]]. Viterbi over CTC states, word after word: ``rest[t]`` is the best
    cost of frames 0 to t with the last of them a blank after the words so far, ``said[v, t]`` the same with the last
    of them in the last phone of their pronunciation v.
    """
    frames, infinite = costs.shape[0], np.float32(np.inf)
    rest, said = np.full(frames, infinite, np.float32), np.full((4, frames), infinite, np.float32)
    total = np.float32(0.0)
    for t in range(frames):  # silence in front of the first word
        total += costs[t, 0]
        rest[t] = total
    lasts, count, opened = np.zeros(4, np.int64), 0, True
    for number in range(len(words)):
        low, high = windows[number, 0], windows[number, 1]
        new_said = np.full((4, frames), infinite, np.float32)
        new_lasts, new_count = np.zeros(4, np.int64), 0
        for variant in range(first[words[number]], first[words[number] + 1]):
            begin, length = starts[variant], starts[variant + 1] - starts[variant]
            states = 2 * length - 1  # phones with a blank between each two
            score = np.full(states, infinite, np.float32)
            for t in range(low, high):
                for state in range(states - 1, 0, -1):
                    best = min(score[state], score[state - 1])
                    if state % 2 == 0 and state > 1 and phones[begin + state // 2] != phones[begin + state // 2 - 1]:
                        best = min(best, score[state - 2])
                    column = phones[begin + state // 2] if state % 2 == 0 else 0
                    score[state] = best + costs[t, column]
                enter = score[0]
                if t == 0:
                    enter = min(enter, np.float32(0.0) if opened else infinite)
                else:
                    enter = min(enter, rest[t - 1])
                    for other in range(count):
                        if lasts[other] != phones[begin]:
                            enter = min(enter, said[other, t - 1])
                score[0] = enter + costs[t, phones[begin]]
                new_said[new_count, t] = score[states - 1]
            new_lasts[new_count] = phones[begin + length - 1]
            new_count += 1
        if new_count == 0:
            continue  # nothing is said for this word
        rest = np.full(frames, infinite, np.float32)
        until = frames if number + 1 == len(words) else max(high, windows[number + 1, 1])
        for t in range(low + 1, until):
            best = rest[t - 1]
            for other in range(new_count):
                best = min(best, new_said[other, t - 1])
            rest[t] = best + costs[t, 0]
        said, lasts, count, opened = new_said, new_lasts, new_count, False
    if frames == 0:
        return total if opened else infinite
    best = rest[frames - 1]
    for other in range(count):
        best = min(best, said[other, frames - 1])
    return best


class _Growing:
    """An array of integers with room to grow, so that a new word does not copy those of a million others."""

    def __init__(self) -> None:
        self._room, self.size = np.zeros(1024, np.int64), 0

    def extend(self, values: Sequence[int]) -> None:
        if self.size + len(values) > len(self._room):
            self._room = np.concatenate([self._room, np.zeros(len(self._room) + len(values), np.int64)])
        self._room[self.size : self.size + len(values)] = values
        self.size += len(values)

    @property
    def values(self) -> npt.NDArray[np.int64]:
        return self._room[: self.size]


class FlatSounds:
    """Pronunciations of words and entities as flat arrays that the kernel reads; grows with what it meets."""

    def __init__(self) -> None:
        self._numbers: dict[Variants, int] = {}
        self._first, self._starts, self._phones = _Growing(), _Growing(), _Growing()
        self._first.extend([0])
        self._starts.extend([0])

    def number(self, pronunciations: Variants) -> int:
        """Return the number under which ``arrays`` hold these alternatives."""
        known = self._numbers.get(pronunciations)
        if known is not None:
            return known
        for pronunciation in [said for said in pronunciations if said][:_MAX_VARIANTS]:
            self._phones.extend([PHONE_IDS[phone] + 1 for phone in pronunciation])
            self._starts.extend([self._phones.size])
        self._first.extend([self._starts.size - 1])
        return self._numbers.setdefault(pronunciations, len(self._numbers))

    @property
    def arrays(self) -> tuple[npt.NDArray[np.int64], ...]:
        """(first [W + 1], starts [V + 1], phones): see ``chain_cost``."""
        return self._first.values, self._starts.values, self._phones.values


class PhoneFusion(Technique):
    """Holds the pronunciations met so far."""

    part = "phone_fusion"

    def __init__(self, config: PhoneFusionConfig, sounds: Sounds, n_best: int | None = None) -> None:
        """``n_best``: hypotheses that are kept of those that were compared; None: all."""
        self._config, self._pronouncer, self._lists, self._kept = config, sounds.pronouncer, sounds.lists, n_best
        self._sounds = FlatSounds()
        self._words: dict[str, int] = {}  # numbers of single words: most of what there is to look up

    @classmethod
    def build(cls, config: RunConfig, sounds: Sounds) -> "PhoneFusion":
        """Keep as many hypotheses as are written."""
        return cls(config.phone_fusion or PhoneFusionConfig(), sounds, config.beam.n_best)

    def order(self, nbest: Sequence[Hypothesis], emissions: Emissions, entities: EntityList) -> list[Hypothesis]:
        """Return the best of the n-best in their new order."""
        return self.fuse(nbest, emissions, entities)[: self._kept]

    def fuse(self, hypotheses: Sequence[Hypothesis], emissions: Emissions, entities: EntityList) -> list[Hypothesis]:
        """Return the n-best in its new order with ``total`` and ``phone_cost`` set.

        It comes back as it is without a phone head, or where a hypothesis has more phones than there are frames.
        """
        if emissions.phone_log_probs is None or len(hypotheses) < 2:
            return list(hypotheses)
        costs = -floored(emissions.phone_log_probs, self._config.floor)
        listed = self._lists.pronounce(entities) if any(one.entities for one in hypotheses) else {}
        rate = emissions.phone_rate
        found = [self.cost(hypothesis, costs, listed, rate) for hypothesis in hypotheses]
        if not np.isfinite(found).all():
            return list(hypotheses)
        least, weight = min(found), self._config.weight
        fused = [
            dataclasses.replace(hypothesis, phone_cost=cost, total=hypothesis.total - weight * (cost - least))
            for hypothesis, cost in zip(hypotheses, found, strict=True)
        ]
        return sorted(fused, key=lambda hypothesis: -hypothesis.total)

    def cost(
        self,
        hypothesis: Hypothesis,
        costs: npt.NDArray[np.float32],
        listed: Mapping[str, Variants],
        rate: float = 1.0,
    ) -> float:
        """Return the alignment cost of a hypothesis on [T, 40] phone costs, infinite if it does not fit.

        listed: the pronunciations of the entities in it
        rate:   frames of the phone costs per frame of the hypothesis
        """
        numbers, spans = self._said(hypothesis, listed, rate)
        margin, frames = self._config.margin, len(costs)
        windows = np.clip(spans + np.array([-margin, margin]), 0, frames)
        if len(windows):
            windows[0, 0], windows[-1, 1] = 0, frames
        cost = float(chain_cost(costs, numbers, windows, *self._sounds.arrays))
        if np.isfinite(cost):
            return cost
        windows[:] = 0, frames  # words that the search found in a heap need more room than a window
        return float(chain_cost(costs, numbers, windows, *self._sounds.arrays))

    def _said(
        self, hypothesis: Hypothesis, listed: Mapping[str, Variants], rate: float
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Return the numbers [N] of what is said one after the other, words and entities, and their frames [N, 2]."""
        words = hypothesis.words
        if not hypothesis.entities:
            numbers = [self._word(word.text) for word in words]
            spans = [(word.start_frame, word.end_frame) for word in words]
        else:
            units = units_of(hypothesis, self._pronouncer, listed)
            numbers = [self._sounds.number(unit.pronunciations) for unit in units]
            spans = [(words[unit.start].start_frame, words[unit.end - 1].end_frame) for unit in units]
        spans = spans if rate == 1.0 else [on_clock(span, rate) for span in spans]
        return np.array(numbers, np.int64), np.array(spans, np.int64).reshape(-1, 2)

    def _word(self, text: str) -> int:
        known = self._words.get(text)
        if known is None:
            known = self._words.setdefault(text, self._sounds.number(self._pronouncer.pronounce(text)))
        return known
