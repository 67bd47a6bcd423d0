"""The false-accept guard: an entity stays in the transcript only if the sounds speak for it.

    evidence = alternative_weight * a + b + per_phone * min(phones, max_phones)

a: how much cheaper, in nats of phone cost, the entity is than what the unbiased search writes there; b: than the best
of the common words that sound like what was heard there. Both are clipped to [clip_low, clip_high]. Short entities
need better sounds, and entities that sound like common words need a difference. The weights are a logistic
regression's over correct and false accepts of the development sets, divided by that of b.
"""

import dataclasses
from collections.abc import Iterable, Sequence

import numpy as np

from pipeline.acoustic.emissions import Emissions
from pipeline.config import GuardConfig
from pipeline.decoding.interface import EntitySpan, Hypothesis
from pipeline.entities.catalog import EntityList
from pipeline.phonetics.aligned import Aligned, Variants, align_hypothesis, floored
from pipeline.phonetics.alignment import IMPOSSIBLE
from pipeline.phonetics.edit import Edit, apply_edits
from pipeline.phonetics.matching import PhoneIndex
from pipeline.phonetics.pronunciation import ListPronouncer, Pronouncer


class Guard:
    """Holds the pronouncer and the index of common words."""

    def __init__(
        self, config: GuardConfig, pronouncer: Pronouncer, lists: ListPronouncer, common: Iterable[str]
    ) -> None:
        """``common``: words that are more likely said than a listed one that sounds the same."""
        self._config, self._pronouncer, self._lists = config, pronouncer, lists
        self._common = PhoneIndex((word, phones) for word in common for phones in pronouncer.pronounce(word))

    def check(self, hypotheses: Sequence[Hypothesis], emissions: Emissions, entities: EntityList) -> list[Hypothesis]:
        """Return the n-best with the entities of the best hypothesis that fail put back to their alternatives.

        Only entities that differ from their alternative are judged, so that nothing is lost that the unbiased search
        writes. Those that stay get their alternative's phone cost.
        """
        if emissions.phone_log_probs is None or not any(
            _is_open(span, hypotheses[0]) for span in hypotheses[0].entities
        ):
            return list(hypotheses)
        log_probs = floored(emissions.phone_log_probs, self._config.floor)
        aligned = align_hypothesis(hypotheses[0], log_probs, self._pronouncer, self._lists.pronounce(entities))
        if aligned.alignment.cost >= IMPOSSIBLE:
            return list(hypotheses)
        judged = [self._judged(aligned, span) for span in hypotheses[0].entities]
        kept = dataclasses.replace(hypotheses[0], entities=tuple(span for span, _ in judged))
        reverts = [_revert(kept, span) for span, believed in judged if not believed]
        return [apply_edits(kept, reverts) if reverts else kept, *hypotheses[1:]]

    def believes(self, aligned: Aligned, place: tuple[int, int], entity: str, gain: float, advantage: float) -> bool:
        """Whether an entity may stand in units [first, last) of an aligned hypothesis.

        gain: nats by which it is cheaper than these units; advantage: than its alternative.
        """
        config = self._config
        phones = min(config.max_phones, max(map(len, self._pronouncer.pronounce(entity)), default=0))
        over_common = gain - self._best_common(aligned, place, entity)
        clipped = np.clip([advantage, over_common], config.clip_low, config.clip_high)
        evidence = config.alternative_weight * clipped[0] + clipped[1] + config.per_phone * phones
        return bool(evidence >= config.least_evidence)

    def _best_common(self, aligned: Aligned, place: tuple[int, int], entity: str) -> float:
        """Gain in nats of the best common word in the place of these units; -infinity if none sounds like it."""
        heard = aligned.heard(*place)
        found = self._common.nearest(heard, self._config.distance, self._config.candidates)
        own = entity.split()
        gains = [aligned.fit(*place, [(match.pronunciation,)]).gain for match in found if match.key not in own]
        return max(gains, default=-np.inf)

    def _judged(self, aligned: Aligned, span: EntitySpan) -> tuple[EntitySpan, bool]:
        if not _is_open(span, aligned.hypothesis) or span.alternative is None:
            return span, True
        unit = next(k for k, unit in enumerate(aligned.units) if unit.start == span.start_word)
        others: list[Variants] = [self._pronouncer.pronounce(word) for word in span.alternative.split()]
        worse = aligned.fit(unit, unit + 1, others).gain
        cost = aligned.alignment.words[unit].cost
        judged = dataclasses.replace(span, phone_cost=cost, alternative_phone_cost=cost - worse)
        return judged, self.believes(aligned, (unit, unit + 1), span.entity, 0.0, -worse)


def _is_open(span: EntitySpan, hypothesis: Hypothesis) -> bool:
    """Whether the span is something that the unbiased search does not write."""
    written = " ".join(word.text for word in hypothesis.words[span.start_word : span.end_word])
    return span.alternative is not None and span.alternative != written


def _revert(hypothesis: Hypothesis, span: EntitySpan) -> Edit:
    words = hypothesis.words[span.start_word : span.end_word]
    texts = tuple((span.alternative or "").split())
    return Edit(span.start_word, span.end_word, (words[0].start_frame, words[-1].end_frame), texts)
