"""The n-best re-scored by how well its pronunciations fit the phone head.

    total'(h) = total(h) - weight * (cost(h) - min over the contest of cost)

cost(h) is the forced-alignment cost of the hypothesis' pronunciations, in nats. The contest is between the hypotheses
that hold an entity of the list and the best one that holds none: hypotheses without entities keep their order among
themselves, so that rescoring chooses names and does not rewrite the rest. Without a phone head, without a list, or
with no entity in the n-best, the list comes back as it is.
"""

import dataclasses
import difflib
from collections.abc import Sequence

from pipeline.config import RescoringConfig
from pipeline.lexicon.alignment import IMPOSSIBLE
from pipeline.rescoring.aligned import Aligned, align_hypothesis, floored
from pipeline.rescoring.technique import Sounds, Technique
from pipeline.types.emissions import Emissions
from pipeline.types.entity import EntityList
from pipeline.types.hypothesis import EntitySpan, Hypothesis

TECHNIQUE = "rescoring"


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


class PhoneRescoring(Technique):
    """Holds the pronouncer."""

    part = "rescoring"

    def __init__(self, config: RescoringConfig, sounds: Sounds) -> None:
        self._config, self._pronouncer, self._lists = config, sounds.pronouncer, sounds.lists

    def order(self, nbest: Sequence[Hypothesis], emissions: Emissions, entities: EntityList) -> list[Hypothesis]:
        """Return the n-best in its new order with ``total`` and ``phone_cost`` set for those in the contest."""
        named = [hypothesis for hypothesis in nbest if hypothesis.entities]
        if emissions.phone_log_probs is None or not entities.entities or not named:
            return list(nbest)
        log_probs = floored(emissions.phone_log_probs, self._config.floor)
        listed = self._lists.pronounce(entities)
        plain = [hypothesis for hypothesis in nbest if not hypothesis.entities]
        rate = emissions.phone_rate
        contest = [align_hypothesis(one, log_probs, self._pronouncer, listed, rate) for one in [*named, *plain[:1]]]
        if any(aligned.alignment.cost >= IMPOSSIBLE for aligned in contest):
            return list(nbest)  # more phones than frames: the costs cannot be compared
        least = min(aligned.alignment.cost for aligned in contest)
        rival = contest[-1] if plain else None
        scored = [self._scored(aligned, rival, least) for aligned in contest]
        if rival is not None:
            shift = scored[-1].total - rival.hypothesis.total
            scored += [dataclasses.replace(other, total=other.total + shift) for other in plain[1:]]
        return sorted(scored, key=lambda hypothesis: -hypothesis.total)

    def _scored(self, aligned: Aligned, rival: Aligned | None, least: float) -> Hypothesis:
        hypothesis, cost = aligned.hypothesis, aligned.alignment.cost
        spans = tuple(self._explained(span, aligned, rival) for span in hypothesis.entities)
        total = hypothesis.total - self._config.weight * (cost - least)
        return dataclasses.replace(hypothesis, entities=spans, phone_cost=cost, total=total)

    def _explained(self, span: EntitySpan, aligned: Aligned, rival: Aligned | None) -> EntitySpan:
        if rival is None:
            return dataclasses.replace(span, phone_cost=aligned.cost_of(span.start_word, span.end_word))
        words, others = ([word.text for word in one.hypothesis.words] for one in (aligned, rival))
        first, last, there, until = counterpart(words, others, span.start_word, span.end_word)
        better = aligned.cost_of(first, last) < rival.cost_of(there, until)
        alternative = span.alternative
        if alternative is None and (first, last) == (span.start_word, span.end_word):
            alternative = " ".join(others[there:until])
        return dataclasses.replace(
            span,
            techniques=(*span.techniques, TECHNIQUE) if better else span.techniques,
            phone_cost=aligned.cost_of(span.start_word, span.end_word),
            alternative=alternative,
        )
