"""Which pronunciations sound like a phone sequence: weighted edit distance to many at once."""

import dataclasses
from collections.abc import Iterable, Sequence

import numba
import numpy as np
import numpy.typing as npt

from pipeline.lexicon.phones import ARPABET, Pronunciation, Units


@numba.njit(cache=True)
def _distances(heard, flat, starts, substitution, gap, limit):  # type: ignore[no-untyped-def]
    """Weighted Levenshtein distance of ``heard`` to every pronunciation; infinite where it must exceed ``limit``."""
    result = np.full(len(starts) - 1, np.inf)
    row = np.empty(len(heard) + 1)
    for k in range(len(starts) - 1):
        said = flat[starts[k] : starts[k + 1]]
        longer = max(len(said), len(heard))
        if abs(len(said) - len(heard)) * 0.4 > limit * longer:
            continue
        row[0] = 0.0
        for j in range(len(heard)):
            row[j + 1] = row[j] + gap[heard[j]]
        for i in range(len(said)):
            diagonal = row[0]
            row[0] += gap[said[i]]
            lowest = row[0]
            for j in range(len(heard)):
                best = min(row[j + 1] + gap[said[i]], row[j] + gap[heard[j]])
                best = min(best, diagonal + substitution[said[i], heard[j]])
                diagonal, row[j + 1] = row[j + 1], best
                lowest = min(lowest, best)
            if lowest > limit * longer:
                break
        else:
            if row[len(heard)] <= limit * longer:
                result[k] = row[len(heard)] / longer
    return result


@dataclasses.dataclass(frozen=True)
class Match:
    """A key whose pronunciation is near; ``distance`` per phone of the longer side, 0 equal to 1 unrelated."""

    key: str
    pronunciation: Pronunciation
    distance: float


class PhoneIndex:
    """Pronunciations of many keys, searched together."""

    def __init__(self, pronunciations: Iterable[tuple[str, Pronunciation]], units: Units = ARPABET) -> None:
        self._entries = [(key, phones) for key, phones in pronunciations if phones]
        self._units, ids = units, [units.ids_of(phones) for _, phones in self._entries]
        self._flat = np.concatenate(ids) if ids else np.zeros(0, np.int64)
        self._starts = np.cumsum([0, *map(len, ids)])
        self._costs = units.substitutions, units.gaps

    def nearest(self, heard: Pronunciation, limit: float, count: int) -> list[Match]:
        """Return the ``count`` nearest keys within ``limit``, nearest first, each key once, ties by key."""
        if not heard or not self._entries:
            return []
        found = _distances(self._units.ids_of(heard), self._flat, self._starts, *self._costs, limit)
        near = [self._match(int(k), float(found[k])) for k in np.nonzero(np.isfinite(found))[0]]
        near.sort(key=lambda match: (match.distance, match.key))
        once = {match.key: match for match in reversed(near)}
        return sorted(once.values(), key=lambda match: (match.distance, match.key))[:count]

    def _match(self, k: int, distance: float) -> Match:
        key, pronunciation = self._entries[k]
        return Match(key, pronunciation, distance)


def distances_between(
    one: npt.NDArray[np.int64], others: Sequence[npt.NDArray[np.int64]], limit: float
) -> npt.NDArray[np.float64]:
    """Return [N] weighted edits of phone ids to each of N others, per phone of the longer; inf above ``limit``."""
    starts = np.cumsum([0, *map(len, others)])
    flat = np.concatenate(others) if len(others) else np.zeros(0, np.int64)
    found: npt.NDArray[np.float64] = _distances(one, flat, starts, ARPABET.substitutions, ARPABET.gaps, limit)
    return found


def nearest_distance(some: Sequence[Pronunciation], others: Sequence[Pronunciation], units: Units = ARPABET) -> float:
    """Smallest weighted edit distance between two sets of pronunciations, in substitutions of unrelated phones."""
    flat = [units.ids_of(one) for one in others]
    starts = np.cumsum([0, *map(len, flat)])
    both = units.substitutions, units.gaps
    found = [np.inf]
    for one in some:
        if not one and () in others:
            return 0.0
        relative = _distances(
            units.ids_of(one), np.concatenate(flat) if flat else np.zeros(0, np.int64), starts, *both, 9.0
        )
        found += [float(d) * max(len(one), len(other)) for d, other in zip(relative, others, strict=True)]
    return min(found)
