"""Phone strings that sound alike, put together: leaders first, then around what lies in the middle of each cluster.

Only strings that share three neighbouring sounds, told apart roughly, are compared, so that many can be.
"""

import dataclasses
from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from pipeline.lexicon.phone_index import distances_between
from pipeline.lexicon.phones import Pronunciation, phone_ids

ALIKE = 0.15
"""Weighted edits per phone (pipeline.lexicon.phone_index) up to which two strings are the same."""
_TRIED = 40  # strings of a cluster that may be its middle, the most frequent ones
_ROUGHLY = {
    phone: at
    for at, phones in enumerate(
        ("P B", "T D TH DH", "K G", "F V", "S Z SH ZH CH JH", "M N NG", "L", "R ER", "W UW UH", "Y IY IH", "HH",
         "AA AE AH AO AW AY EH EY OW OY")
    )
    for phone in phones.split()
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Cluster:
    """``middle`` has the least summed distance to ``members``, which it is one of."""

    middle: Pronunciation
    members: tuple[Pronunciation, ...]


def cluster(counts: Mapping[Pronunciation, int], alike: float = ALIKE) -> list[Cluster]:
    """Return the strings in clusters, each in one; ``counts``: how often each was heard. The same for any order."""
    return _Clustering(counts, alike).clusters()


class _Clustering:
    def __init__(self, counts: Mapping[Pronunciation, int], alike: float) -> None:
        self._counts, self._alike = counts, alike
        self._ids = {one: phone_ids(one) for one in counts}

    def clusters(self) -> list[Cluster]:
        first = self._around(self._ordered(self._counts))
        members = {self._middle(found): found for found in first.values()}
        weights = {middle: sum(self._counts[one] for one in found) for middle, found in members.items()}
        again = self._around(self._ordered(weights))
        joined = [[one for middle in found for one in members[middle]] for found in again.values()]
        return [Cluster(self._middle(found), tuple(found)) for found in joined]

    @staticmethod
    def _ordered(weights: Mapping[Pronunciation, int]) -> list[Pronunciation]:
        return sorted(weights, key=lambda one: (-weights[one], -len(one), one))

    def _around(self, strings: Sequence[Pronunciation]) -> dict[Pronunciation, list[Pronunciation]]:
        """Return leader -> strings that are nearest to it: a string that no leader before it is like becomes one."""
        found: dict[Pronunciation, list[Pronunciation]] = {}
        leaders: list[Pronunciation] = []
        by_sounds: dict[tuple[int, ...], list[int]] = defaultdict(list)
        for one in strings:
            sounds = _sounds(one)
            near = sorted({at for sound in sounds for at in by_sounds[sound]})
            nearest = self._nearest(one, [leaders[at] for at in near])
            if nearest is None:
                for sound in sounds:
                    by_sounds[sound].append(len(leaders))
                leaders.append(one)
                found[one] = [one]
            else:
                found[nearest].append(one)
        return found

    def _nearest(self, one: Pronunciation, others: Sequence[Pronunciation]) -> Pronunciation | None:
        if not others:
            return None
        apart = self._apart(one, others, self._alike)
        at = int(apart.argmin())
        return others[at] if np.isfinite(apart[at]) else None

    def _apart(self, one: Pronunciation, others: Sequence[Pronunciation], limit: float) -> npt.NDArray[np.float64]:
        return distances_between(self._ids[one], [self._ids[other] for other in others], limit)

    def _middle(self, members: Sequence[Pronunciation]) -> Pronunciation:
        tried = self._ordered({one: self._counts[one] for one in members})[:_TRIED]
        if len(tried) == 1:
            return tried[0]
        weights = np.array([self._counts[one] for one in tried])
        sizes = np.array([len(one) for one in tried])

        def summed(one: Pronunciation) -> float:
            apart = np.minimum(self._apart(one, tried, 1.0), 1.0) * np.maximum(sizes, len(one))
            return float((apart * weights).sum())

        return min(tried, key=summed)  # of equal ones the most frequent


def _sounds(phones: Pronunciation) -> set[tuple[int, ...]]:
    rough = [-1, *(_ROUGHLY[phone] for phone in phones), -1]
    return {tuple(rough[at : at + 3]) for at in range(len(rough) - 2)}
