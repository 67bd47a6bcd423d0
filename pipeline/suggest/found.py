"""From doubtful spans to suggestions: clustered by sound, ranked by how much more often they come than language has it.

Of n utterances with a sound that language would put into E of them, n ln(n / E) nats speak for a word of this corpus.
E is the number of words of the run times the probability of what is written there, the mean of the logarithms over the
occurrences, so that one stray common word does not decide. Occurrences that are only rare, and neither unknown nor
unsure nor misfits, count for half.
"""

import dataclasses
import heapq
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from pipeline.lexicon.phones import Pronunciation
from pipeline.suggest.clusters import cluster
from pipeline.suggest.doubtful import RARE, REASONS, Span

_DOUBTED = 0.5  # of the evidence is for occurrences that the run doubts, not for those that are only rare
LEAST_UTTERANCES = 2
"""In which a sound must come: once is no pattern."""


@dataclasses.dataclass(frozen=True)
class Heard:
    """A sound that recurs.

    phones:  of the occurrence that the others are nearest to
    spans:   its occurrences, none sharing words with those of a sound that is ranked above it
    score:   nats that speak for it
    """

    phones: Pronunciation
    spans: tuple[Span, ...]
    score: float

    @property
    def utterances(self) -> int:
        return len({span.utterance_id for span in self.spans})

    @property
    def reasons(self) -> dict[str, int]:
        """How many occurrences are doubtful for which reason."""
        counts = Counter(reason for span in self.spans for reason in span.reasons)
        return {reason: counts[reason] for reason in REASONS if counts[reason]}


def recurring(spans: Iterable[Span], words: int, least: int, count: int) -> list[Heard]:
    """Return up to ``count`` sounds that come in at least ``least`` utterances, the best first.

    words: of the whole run
    """
    by_phones: dict[Pronunciation, list[Span]] = defaultdict(list)
    for span in spans:
        by_phones[span.phones].append(span)
    clusters = cluster({phones: len(found) for phones, found in by_phones.items()})
    groups = [(one.middle, [span for member in one.members for span in by_phones[member]]) for one in clusters]
    return _apart(groups, words, least, count)


def _apart(groups: Sequence[tuple[Pronunciation, list[Span]]], words: int, least: int, count: int) -> list[Heard]:
    """Take the best first; an occurrence counts for one of those that want its words."""
    taken: dict[str, set[int]] = defaultdict(set)
    waiting = [(-_score(spans, words), at, len(spans)) for at, (_, spans) in enumerate(groups)]
    heapq.heapify(waiting)
    found: list[Heard] = []
    while waiting and len(found) < count:
        _, at, size = heapq.heappop(waiting)
        phones, spans = groups[at]
        free = [one for one in spans if taken[one.utterance_id].isdisjoint(range(one.first, one.last))]
        score = _score(free, words)
        if len({one.utterance_id for one in free}) < least or score <= 0:
            continue
        if len(free) < size:  # it waits again, with what is left of it
            heapq.heappush(waiting, (-score, at, len(free)))
            continue
        found.append(Heard(phones, tuple(free), score))
        for one in free:
            taken[one.utterance_id].update(range(one.first, one.last))
    return found


def _score(spans: Sequence[Span], words: int) -> float:
    utterances = len({one.utterance_id for one in spans})
    if not utterances:
        return 0.0
    expected = words * 10 ** (sum(one.log10 for one in spans) / len(spans))
    doubted = sum(one.reasons != (RARE,) for one in spans) / len(spans)
    return utterances * math.log(utterances / expected) * (1 - _DOUBTED + _DOUBTED * doubted)
