"""Names of the list that the search writes without it, each held against the best words that have no such name.

A poor recogniser writes words that were not said, and one of them may be on the list: ``apostles`` for ``apostle is``.
Nothing was biased there, so the guard has nothing to judge. So each such name is looked at as if it were a proposal:
of all that could stand in its place, of the n-best and of the words that sound like the name or like what is heard,
the best by the search's own score is put there,

    score' - score = acoustic' - acoustic + alpha * (lm' - lm) + beta * (words' - words) + weight * gain

as in pipeline.rescoring.vocabulary, and the guard weighs the name as a proposal in the place of that. Below a bound of
its own, lower than that for what only the list would write, the name is taken out.
"""

import dataclasses
import functools
import itertools
import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from pipeline.decoding.spans import entity_spans
from pipeline.entities.matching import find_entities
from pipeline.lexicon.alignment import IMPOSSIBLE
from pipeline.lexicon.pronunciation import Pronouncer
from pipeline.rescoring.aligned import Aligned, align_hypothesis, floored
from pipeline.rescoring.edit import Edit, apply_edits
from pipeline.rescoring.phone_rescoring import counterpart
from pipeline.rescoring.proposals import Place, Proposal
from pipeline.rescoring.vocabulary import Vocabulary
from pipeline.types.emissions import Emissions, on_clock
from pipeline.types.entity import EntityList
from pipeline.types.hypothesis import EntitySpan, Hypothesis, distinct

_READINGS = 3  # pronunciations of the written words that others may sound like
_MOST_WORDS = 5  # of a region in which two hypotheses differ; in longer ones more than the name is in question


@dataclasses.dataclass(frozen=True)
class Doubt(Place):
    """Words [first, last) of the unbiased hypothesis, with a name in them, and the best words without it.

    instead: those words, over half-open ``frames`` of the hypothesis
    without: the hypothesis with them
    name: what would write the name there again
    """

    instead: tuple[str, ...]
    frames: tuple[int, int]
    without: Hypothesis
    name: Proposal


class Doubts:
    """Finds what may be doubted; the guard weighs it. Deterministic."""

    def __init__(
        self, vocabulary: Callable[[], Vocabulary], pronouncer: Pronouncer, weight: float, floor: float
    ) -> None:
        """``vocabulary`` is asked for once a name is met; ``weight`` and ``floor``: of the fusion with phones."""
        self._load, self._pronouncer, self._weight, self._floor = vocabulary, pronouncer, weight, floor

    @functools.cached_property
    def _vocabulary(self) -> Vocabulary:
        return self._load()

    def of(self, nbest: Sequence[Hypothesis], emissions: Emissions, entities: EntityList) -> list[Doubt]:
        """Return, for each name in the best hypothesis of the unbiased n-best, what could stand there without it.

        Nothing without phones, and no doubt of a name that nothing could stand in the place of.
        """
        said = dataclasses.replace(nbest[0], entities=())
        spans = entity_spans(said.words, entities)
        if not spans or emissions.phone_log_probs is None or not emissions.tokens.frames:
            return []
        log_probs = floored(emissions.phone_log_probs, self._floor)
        aligned = align_hypothesis(said, log_probs, self._pronouncer, {}, emissions.phone_rate)
        if aligned.alignment.cost >= IMPOSSIBLE:
            return []
        spelled = self._vocabulary.spelled(emissions)
        found = (self._best(span, spans, nbest, aligned, spelled, entities) for span in spans)
        return [one for one in found if one is not None]

    def _best(
        self, span: EntitySpan, spans: Sequence[EntitySpan], nbest: Sequence[Hypothesis], aligned: Aligned,
        spelled: npt.NDArray[np.float32], entities: EntityList,
    ) -> Doubt | None:  # fmt: skip
        """Return the doubt whose words score highest, the first of equals; None where there are none."""
        said = aligned.hypothesis
        texts = [word.text for word in said.words]
        written = _names(texts, entities)
        best: tuple[float, int, int, tuple[str, ...], tuple[int, int]] | None = None
        candidates = (_trimmed(texts, span, *one) for one in self._candidates(span, nbest, aligned))
        for first, last, new in dict.fromkeys(one for one in candidates if one[2]):
            names = _names([*texts[:first], *new, *texts[last:]], entities)
            if names[span.entity] >= written[span.entity] or names - written:
                continue  # the name is there still, or another one is
            score, frames = self._score(aligned, spelled, first, last, new)
            key = (-score, first, last, new, frames)
            if math.isfinite(score) and (best is None or key < best):
                best = key
        if best is None:
            return None
        _, first, last, new, frames = best
        without = apply_edits(said, [Edit(first, last, frames, new)])
        inside = tuple(_moved(one, first) for one in spans if first <= one.start_word and one.end_word <= last)
        name = Proposal(first, first + len(new), said.words[first:last], inside)
        return Doubt(first, last, new, frames, without, name)

    def _candidates(
        self, span: EntitySpan, nbest: Sequence[Hypothesis], aligned: Aligned
    ) -> Iterator[tuple[int, int, tuple[str, ...]]]:
        """Yield words [first, last) around a name with what the n-best has there, and what sounds like them."""
        texts = [word.text for word in aligned.hypothesis.words]
        start, end = span.start_word, span.end_word
        for other in nbest[1:]:
            there = [word.text for word in other.words]
            first, last, a, b = counterpart(texts, there, start, end)
            new = tuple(there[a:b])
            if max(last - first, b - a) <= _MOST_WORDS:
                yield first, last, new
        for first, last in ((start, end), (start - 1, end), (start, end + 1)):
            if first < 0 or last > len(texts):
                continue
            sounds = [aligned.heard(first, last)]
            readings = itertools.product(*(self._pronouncer.pronounce(text) for text in texts[first:last]))
            sounds += [tuple(itertools.chain(*one)) for one in itertools.islice(readings, _READINGS)]
            for heard in dict.fromkeys(sounds):
                yield from ((first, last, new) for new in self._vocabulary.sounding(heard))

    def _score(
        self, aligned: Aligned, spelled: npt.NDArray[np.float32], first: int, last: int, new: tuple[str, ...]
    ) -> tuple[float, tuple[int, int]]:
        """Return by how many nats the search's score rises with ``new``, and the frames of it."""
        texts = [word.text for word in aligned.hypothesis.words]
        fit = aligned.fit(first, last, [self._pronouncer.pronounce(word) for word in new])
        rise = self._vocabulary.likelier(texts, first, last, new) + self._weight * fit.gain
        rise += self._vocabulary.spelling(aligned.hypothesis.words, spelled, first, last, new)
        return rise, on_clock(fit.frames, 1.0 / aligned.rate)


def undone(nbest: Sequence[Hypothesis], chosen: Sequence[Doubt]) -> list[Hypothesis]:
    """Return the n-best with ``chosen``, none of which touches another, in place of what is doubted in the best.

    The new best has the total of the old one, which follows it.
    """
    if not chosen:
        return list(nbest)
    edits = [Edit(one.first, one.last, one.frames, one.instead) for one in sorted(chosen, key=lambda one: one.first)]
    best = apply_edits(dataclasses.replace(nbest[0], entities=()), edits)
    return distinct([best, *nbest])


def _trimmed(
    texts: Sequence[str], span: EntitySpan, first: int, last: int, new: tuple[str, ...]
) -> tuple[int, int, tuple[str, ...]]:
    """Return a change without the words beside the name that it leaves as they are."""
    while new and first < span.start_word and new[0] == texts[first]:
        first, new = first + 1, new[1:]
    while new and last > span.end_word and new[-1] == texts[last - 1]:
        last, new = last - 1, new[:-1]
    return first, last, new


def _names(texts: Sequence[str], entities: EntityList) -> Counter[str]:
    """Return how often each name of the list stands in ``texts``."""
    return Counter(found.entity.text for found in find_entities(texts, entities))


def _moved(span: EntitySpan, start: int) -> EntitySpan:
    return dataclasses.replace(span, start_word=span.start_word - start, end_word=span.end_word - start)
