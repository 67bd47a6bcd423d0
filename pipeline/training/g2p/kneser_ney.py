"""Interpolated modified Kneser-Ney n-grams over integer sequences, as a trie (Chen and Goodman 1998)."""

import dataclasses
import itertools

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclasses.dataclass
class Level:
    """All n-grams of one length, sorted by (parent, token); ``parent`` is the prefix one level up."""

    parent: Ints
    token: Ints
    suffix: Ints  # index one level up of the n-gram without its first token
    count: Floats
    first_is_start: npt.NDArray[np.bool_]
    prob: Floats = dataclasses.field(default_factory=lambda: np.zeros(0))
    backoff: Floats = dataclasses.field(default_factory=lambda: np.ones(0))  # of this n-gram as a context


def count_levels(sequences: list[Ints], order: int, vocabulary: int, start: int) -> list[Level]:
    """Count n-grams up to ``order``; every sequence begins with ``start``, which is never predicted."""
    tokens = np.concatenate(sequences)
    begins = np.concatenate([np.arange(len(sequence)) for sequence in sequences])  # position in its own sequence
    levels: list[Level] = []
    node = tokens.copy()  # id of the n-gram that ends here, in its level
    levels.append(_unigrams(tokens, vocabulary, start))
    valid = np.ones(len(tokens), bool)
    for length in range(2, order + 1):
        valid = begins >= length - 1
        previous = np.roll(node, 1)
        key = np.where(valid, previous * vocabulary + tokens, -1)
        unique, inverse, count = np.unique(key, return_inverse=True, return_counts=True)
        skip = int(unique[0] == -1)
        where = np.full(len(unique), 0)
        where[inverse[valid]] = np.nonzero(valid)[0]
        at = where[skip:]
        parent = unique[skip:] // vocabulary
        first = levels[-1].first_is_start[parent]
        levels.append(Level(parent, unique[skip:] % vocabulary, node[at], count[skip:].astype(float), first))
        node = np.where(valid, inverse - skip, 0)
    return levels


def _unigrams(tokens: Ints, vocabulary: int, start: int) -> Level:
    ids = np.arange(vocabulary)
    count = np.bincount(tokens, minlength=vocabulary).astype(float)
    return Level(np.zeros(vocabulary, np.int64), ids, np.zeros(vocabulary, np.int64), count, ids == start)


def estimate(levels: list[Level], start: int) -> None:
    """Fill ``prob`` and ``backoff`` of every level."""
    for level, above in itertools.pairwise(levels):
        continuation = np.bincount(above.suffix, minlength=len(level.token)).astype(float)
        level.count = np.where(level.first_is_start, level.count, continuation)
    vocabulary = len(levels[0].token)
    levels[0].count[start] = 0.0
    lower = np.full(vocabulary, 1.0 / (vocabulary - 1))
    _interpolate(levels[0], np.zeros(vocabulary, np.int64), np.array([0.0]), lower)
    levels[0].prob[start] = 0.0
    for below, level in itertools.pairwise(levels):
        below.backoff = np.ones(len(below.token))
        _interpolate(level, level.parent, below.backoff, below.prob[level.suffix])
    levels[-1].backoff = np.ones(len(levels[-1].token))


def _interpolate(level: Level, parent: Ints, backoff: Floats, lower: Floats) -> None:
    discount = _discounts(level.count)[np.minimum(level.count, 3).astype(int)]
    discount = np.minimum(discount, level.count)
    total = np.bincount(parent, level.count, minlength=len(backoff))
    freed = np.bincount(parent, discount, minlength=len(backoff))
    seen = total > 0
    backoff[seen] = freed[seen] / total[seen]
    level.prob = (level.count - discount) / np.maximum(total[parent], 1e-12) + backoff[parent] * lower


def _discounts(count: Floats) -> Floats:
    """D(0), D(1), D(2), D(3+) from the counts of counts."""
    n = [float((count == c).sum()) or 1.0 for c in (1, 2, 3, 4)]
    y = n[0] / (n[0] + 2 * n[1])
    found = [c + 1 - (c + 2) * y * n[c + 1] / n[c] for c in range(3)]
    return np.array([0.0, *(min(max(d, 0.1), c + 0.9) for c, d in enumerate(found))])


def prune(levels: list[Level], threshold: float) -> None:
    """Drop n-grams whose loss of relative entropy is below ``threshold`` nats (Stolcke 1998), longest first.

    What is the prefix or the suffix of a kept n-gram is kept. Back-off weights are then set so that they normalise.
    """
    reach = _context_probs(levels)
    for number in range(len(levels) - 1, 0, -1):
        level, below = levels[number], levels[number - 1]
        backed = below.backoff[level.parent] * below.prob[level.suffix]
        loss = reach[number - 1][level.parent] * level.prob * np.abs(np.log(level.prob / backed))
        keep = loss >= threshold
        if number + 1 < len(levels):
            keep[levels[number + 1].parent] = True
            keep[levels[number + 1].suffix] = True
        _select(levels, number, keep)
    for number in range(1, len(levels)):
        level, below = levels[number], levels[number - 1]
        kept = np.bincount(level.parent, level.prob, minlength=len(below.token))
        lower = np.bincount(level.parent, below.prob[level.suffix], minlength=len(below.token))
        below.backoff = np.maximum(1 - kept, 1e-6) / np.maximum(1 - lower, 1e-6)


def _context_probs(levels: list[Level]) -> list[Floats]:
    """Probability of every n-gram, by the chain rule."""
    reach = [np.where(levels[0].first_is_start, 0.1, levels[0].prob)]  # one start in about ten tokens
    for level in levels[1:]:
        reach.append(reach[-1][level.parent] * level.prob)
    return reach


def _select(levels: list[Level], number: int, keep: npt.NDArray[np.bool_]) -> None:
    level = levels[number]
    for name in ("parent", "token", "suffix", "count", "first_is_start", "prob", "backoff"):
        setattr(level, name, getattr(level, name)[keep])
    if number + 1 < len(levels):
        new = np.cumsum(keep) - 1
        levels[number + 1].parent = new[levels[number + 1].parent]
        levels[number + 1].suffix = new[levels[number + 1].suffix]
