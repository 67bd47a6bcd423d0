"""D3: re-score the n-best by how well its pronunciations fit the phone head.

    total'(h) = total(h) - weight * (cost(h) - min over the contest of cost)

cost(h) is the forced-alignment cost of the hypothesis' pronunciations, in nats. The contest is between the hypotheses
that hold an entity of the list and the best one that holds none: hypotheses without entities keep their order among
themselves, so that rescoring chooses names and does not rewrite the rest. Without a phone head, without a list, or
with no entity in the n-best, the list comes back as it is.
"""

import dataclasses
import difflib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from pipeline.acoustic.emissions import Emissions
from pipeline.config import RescoringConfig
from pipeline.decoding.interface import EntitySpan, Hypothesis
from pipeline.entities.catalog import EntityList
from pipeline.phonetics.alignment import Alignment, align_words
from pipeline.phonetics.phones import Pronunciation
from pipeline.phonetics.pronunciation import ListPronouncer, Pronouncer

TECHNIQUE = "rescoring"


@dataclasses.dataclass(frozen=True)
class Unit:
    """Words [start, end) that are pronounced as one: an entity, or a single word."""

    start: int
    end: int
    pronunciations: tuple[Pronunciation, ...]


def units_of(
    hypothesis: Hypothesis, pronouncer: Pronouncer, listed: dict[str, tuple[Pronunciation, ...]]
) -> list[Unit]:
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


@dataclasses.dataclass(frozen=True)
class Aligned:
    """A hypothesis with the alignment of its units."""

    hypothesis: Hypothesis
    units: list[Unit]
    alignment: Alignment

    def cost_of(self, start: int, end: int) -> float:
        """Cost in nats of the units that touch words [start, end)."""
        pairs = zip(self.units, self.alignment.words, strict=True)
        return sum(word.cost for unit, word in pairs if unit.start < end and unit.end > start)


def counterpart(words: Sequence[str], other: Sequence[str], start: int, end: int) -> tuple[int, int, int, int]:
    """Return the region of ``words`` around [start, end) that differs from ``other``, and what stands there in it.

    >>> counterpart("we met zelensky today".split(), "we met the lens key today".split(), 2, 3)
    (2, 3, 2, 5)
    """
    first, last, there, until = start, end, len(other), 0
    for _, i, j, a, b in difflib.SequenceMatcher(None, words, other, autojunk=False).get_opcodes():
        if (i < end and j > start) or (i == j and start <= i <= end):
            same = words[i:j] == other[a:b]
            lead, trail = (max(0, start - i), max(0, j - end)) if same else (0, 0)
            first, last = min(first, i + lead), max(last, j - trail)
            there, until = min(there, a + lead), max(until, b - trail)
    return first, last, min(there, until), until


class Rescorer:
    """Holds the pronouncer; ``rescore`` is a pure function of its arguments."""

    def __init__(self, config: RescoringConfig, pronouncer: Pronouncer, lists: ListPronouncer) -> None:
        self._config, self._pronouncer, self._lists = config, pronouncer, lists

    def rescore(self, hypotheses: Sequence[Hypothesis], emissions: Emissions, entities: EntityList) -> list[Hypothesis]:
        """Return the n-best in its new order with ``total`` and ``phone_cost`` set for those in the contest."""
        named = [hypothesis for hypothesis in hypotheses if hypothesis.entities]
        if emissions.phone_log_probs is None or not entities.entities or not named:
            return list(hypotheses)
        log_probs = floored(emissions.phone_log_probs, self._config.floor)
        listed = self._lists.pronounce(entities)
        plain = [hypothesis for hypothesis in hypotheses if not hypothesis.entities]
        contest = [self._align(hypothesis, log_probs, listed) for hypothesis in [*named, *plain[:1]]]
        least = min(aligned.alignment.cost for aligned in contest)
        rival = contest[-1] if plain else None
        scored = [self._scored(aligned, rival, least) for aligned in contest]
        if rival is not None:
            shift = scored[-1].total - rival.hypothesis.total
            scored += [dataclasses.replace(other, total=other.total + shift) for other in plain[1:]]
        return sorted(scored, key=lambda hypothesis: -hypothesis.total)

    def _align(
        self, hypothesis: Hypothesis, log_probs: npt.NDArray[np.float32], listed: dict[str, tuple[Pronunciation, ...]]
    ) -> Aligned:
        units = units_of(hypothesis, self._pronouncer, listed)
        return Aligned(hypothesis, units, align_words(log_probs, [unit.pronunciations for unit in units]))

    def _scored(self, aligned: Aligned, rival: Aligned | None, least: float) -> Hypothesis:
        hypothesis, cost = aligned.hypothesis, aligned.alignment.cost
        spans = tuple(self._explained(span, aligned, rival) for span in hypothesis.entities)
        total = hypothesis.total - self._config.weight * (cost - least)
        total -= sum(self._penalty(span) for span in spans)
        return dataclasses.replace(hypothesis, entities=spans, phone_cost=cost, total=total)

    def _explained(self, span: EntitySpan, aligned: Aligned, rival: Aligned | None) -> EntitySpan:
        if rival is None:
            return dataclasses.replace(span, phone_cost=aligned.cost_of(span.start_word, span.end_word))
        words, others = ([word.text for word in one.hypothesis.words] for one in (aligned, rival))
        first, last, there, until = counterpart(words, others, span.start_word, span.end_word)
        cost, alternative_cost = aligned.cost_of(first, last), rival.cost_of(there, until)
        techniques = (*span.techniques, TECHNIQUE) if cost < alternative_cost else span.techniques
        return dataclasses.replace(
            span,
            techniques=techniques,
            phone_cost=cost,
            alternative=" ".join(others[there:until]),
            alternative_phone_cost=alternative_cost,
        )

    def _penalty(self, span: EntitySpan) -> float:
        """The guard: an entity that sounds far worse than what stands there otherwise is not believed."""
        bound = self._config.max_excess
        if bound is None or span.phone_cost is None or span.alternative_phone_cost is None:
            return 0.0
        return self._config.excess_penalty if span.phone_cost - span.alternative_phone_cost > bound else 0.0


def floored(log_probs: npt.NDArray[np.float16], floor: float) -> npt.NDArray[np.float32]:
    """[T, 40] float32, no frame below ``floor`` nats, so that one misheard phone cannot decide alone."""
    return np.maximum(log_probs.astype(np.float32), np.float32(floor))
