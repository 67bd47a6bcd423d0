"""Which entities of a large list can reach a bound of log odds, found without laying what cannot.

``ranked`` wants the entities whose log odds, a linear model of measurements, are at least a bound, and of a million
hardly any are. Here everything that can reach it is found, and as little else as is cheap; who asks measures it.

What an entity costs at least is known early:

- Its phones cost at least what the blocks of the pronunciation (pipeline.retrieval.sound_index) cost, each where it is
  cheapest. Here they are laid with any number of slots left out between two phones: so their sum is at most the cost of
  pipeline.retrieval.phonetic, and at most ``through`` of pipeline.retrieval.placed, where any number may be left out.
- Each subword takes a frame, so a spelling costs at least the sum of what its subwords cost in their best frames.

With costs that are at least these, and wherever its words lie, an entity's log odds are at most the greatest that the
model has for such costs. First every pronunciation is looked at by its phones alone, with the best subwords that its
entities have, then what is left by both. Each is a property of the entity and the audio.
"""

import dataclasses
from collections.abc import Mapping

import numba
import numpy as np
import numpy.typing as npt

from pipeline.retrieval.kept import Kept
from pipeline.retrieval.placed import MOST_PER_PHONE, MOST_THROUGH
from pipeline.retrieval.sound_index import WIDTH, SoundIndex
from pipeline.retrieval.spelling_index import CLIP, SpellingIndex
from pipeline.types.emissions import SparseLogProbs

MOST_SPELLING, MOST_COST = 20.0, 10.0
"""Nats up to which the log odds count ``spelling_capped`` and ``cost_capped``."""
_PER_NAT = 10  # steps in which the costs of blocks are counted, rounded down
_FINE = 16  # parts of a step in which phones are laid, also rounded down; MOST_COST is whole steps
_FAR = 60.0  # nats; more than three phones cost, as each may be dropped
_LANES = 64  # phones that are laid together, MOST_UNITS of them at most: a vector of the processor's or two
_CHUNK = 64  # slots that are looked at together
_MOST = 127  # steps that are counted for half a block, so that a byte holds those of a whole one
_SLACK = 1e-3  # of log odds, so that rounding leaves nothing out
_NO_PATH = 1e4  # nats that a spelling costs which has more subwords than there are frames
_BOUNDS = 4  # that are remembered of a list: a run asks for one, with a session for three


@dataclasses.dataclass(frozen=True)
class Limits:
    """What follows from a bound.

    odds: [longest + 1, steps] the most log odds of a pronunciation of so many phones that costs so many steps or more,
            without what its subwords add
    most: [K] the most steps that each pronunciation may cost, if its entities are spelled as heard; -1 if none is low
            enough
    """

    odds: npt.NDArray[np.float64]
    most: npt.NDArray[np.int16]


class Reach:
    """Of one list; for all threads. ``entities`` is a pure function of its arguments."""

    def __init__(self, index: SoundIndex, spellings: SpellingIndex, weights: Mapping[str, float], drop: float) -> None:
        """``weights``: of the log odds, by name; ``drop``: nats that a phone costs which takes no slot."""
        self._index, self._spellings, self._weights, self._drop = index, spellings, weights, drop
        self._spelling = np.array(
            [weights[name] for name in ("letters", "subwords", "spelling", "spelling_per_letter", "spelling_capped")]
        )
        self._said, self._said_starts = _by_entity(index.owners, index.owner_starts, index.entities)
        self._limits = Kept[Limits](_BOUNDS)

    def pronunciations(self, entities: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
        """Return the pronunciations of some entities, ascending."""
        starts = self._said_starts
        said = [self._said[starts[entity] : starts[entity + 1]] for entity in entities]
        return np.unique(np.concatenate(said)) if said else np.zeros(0, np.int32)

    def entities(
        self, gaps: npt.NDArray[np.float32], skips: npt.NDArray[np.float32], heard: SparseLogProbs, pieces: int,
        allowed: npt.NDArray[np.float32], bound: float,
    ) -> npt.NDArray[np.int32]:  # fmt: skip
        """Return, ascending, every entity that can reach ``bound``, and some that cannot.

        gaps, skips: of slots (Phonetic.slots)
        heard:       what the subword head heard, with ``pieces`` subwords in all
        allowed:     [longest + 1] the most nats that a pronunciation of so many phones may cost (Phonetic.limits)
        """
        index, spellings = self._index, self._spellings
        limits = self._limits.of(allowed, lambda: self._limited(allowed, bound), bound)
        best = block_costs(index, gaps, skips, self._drop)
        found, costs = _affordable(index.parts, index.lengths, best, limits.most, np.uint32(WIDTH))
        reaching: npt.NDArray[np.int32] = _reaching(
            found, costs, index.lengths, index.owners, index.owner_starts, limits.odds, spellings.tokens,
            spellings.starts, spellings.letters, spellings.spellings, least_costs(heard, pieces), self._spelling,
            bound - _SLACK,
        )  # fmt: skip
        return reaching

    def _limited(self, allowed: npt.NDArray[np.float32], bound: float) -> Limits:
        odds, index, spellings = most_odds(self._weights, allowed), self._index, self._spellings
        most = _limits(
            index.lengths, index.owners, index.owner_starts, odds, spellings.starts, spellings.letters,
            spellings.spellings, self._spelling, bound - _SLACK,
        )  # fmt: skip
        return Limits(odds, most)


def most_odds(weights: Mapping[str, float], allowed: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Return Limits.odds; -inf where a pronunciation of so many phones may not cost so many steps."""
    steps = np.arange(max(0, int(np.ceil(allowed.max(initial=0.0) * _PER_NAT))) + 2)
    phones, costs = np.arange(len(allowed))[:, None], steps / _PER_NAT
    per_phone = costs / np.maximum(phones, 1)
    # Linear between whole steps, as the caps lie there; so no cost between two of them has more than both.
    alone = (
        weights["one"] + weights["phones"] * phones + weights["cost"] * costs + weights["cost_per_phone"] * per_phone
        + weights["cost_capped"] * np.minimum(costs, MOST_COST)
    )  # fmt: skip
    alone[steps > np.ceil(allowed * _PER_NAT)[:, None]] = -np.inf
    alone = np.maximum.accumulate(alone[:, ::-1], axis=1)[:, ::-1]
    places = max(0.0, weights["begins"]) + max(0.0, weights["ends"])
    through = _most_of(weights["through"], costs, MOST_THROUGH)
    odds: npt.NDArray[np.float64] = alone + places + through
    odds += _most_of(weights["through_per_phone"], per_phone, MOST_PER_PHONE)
    return odds


def _most_of(weight: float, least: npt.NDArray[np.float64], most: float) -> npt.NDArray[np.float64]:
    """Return the most that ``weight`` gives to a measurement from ``least`` to ``most``."""
    return np.maximum(weight * np.minimum(least, most), weight * most)


def least_costs(heard: SparseLogProbs, pieces: int) -> npt.NDArray[np.float32]:
    """Return [pieces] nats that each subword costs in the best frame for it, at most CLIP."""
    least = np.full(pieces, CLIP, np.float32)
    if heard.frames:
        dense = heard.dense(pieces)
        np.minimum((dense.max(1, keepdims=True) - dense).min(0), CLIP, out=least)
    return least


def block_costs(
    index: SoundIndex, gaps: npt.NDArray[np.float32], skips: npt.NDArray[np.float32], drop: float
) -> npt.NDArray[np.uint8]:
    """Return [B] the least steps of each block wherever it lies, with any number of slots left out between phones.

    gaps, skips, drop: of Phonetic, in nats
    """
    many = int((gaps[0] < _FAR).sum())  # slots; the others are there for vectors to be whole
    by_slot = np.full((many, _LANES), _fine(_FAR), np.uint16)
    by_slot[:, : len(gaps)] = _fine(gaps[:, :many]).T
    left_out, dropped = _fine(skips[:many]), _fine(drop)
    lefts = _rows(index.left_phones, index.left_lengths, index.left_shared, by_slot, left_out, dropped, True)
    by_slot, left_out = by_slot[::-1].copy(), left_out[::-1].copy()
    rights = _rows(index.right_phones, index.right_lengths, index.right_shared, by_slot, left_out, dropped, False)
    costs: npt.NDArray[np.uint8] = _cheapest(lefts, rights, index.block_lefts, index.block_rights)
    return costs


def _fine(nats: npt.NDArray[np.float32] | float) -> npt.NDArray[np.uint16]:
    return (np.minimum(nats, _FAR) * (_PER_NAT * _FINE)).astype(np.uint16)


@numba.njit(cache=True, nogil=True)
def _by_entity(owners, starts, entities):  # type: ignore[no-untyped-def]
    """Return the pronunciations of each entity one after the other, and [N + 1] where each begins."""
    ends = np.zeros(entities + 1, np.int32)
    for owner in owners:
        ends[owner + 1] += 1
    for entity in range(entities):
        ends[entity + 1] += ends[entity]
    said, first = np.empty(len(owners), np.int32), ends.copy()
    for k in range(len(starts) - 1):
        for at in range(starts[k], starts[k + 1]):
            said[first[owners[at]]] = k
            first[owners[at]] += 1
    return said, ends


@numba.njit(cache=True, nogil=True)
def spelled_odds(cost, letters, subwords, weights):  # type: ignore[no-untyped-def]
    """The most log odds that a spelling adds which costs so much or more."""
    per_letter, per_subword, rise, of_letter, capped = weights
    rise += of_letter / letters
    # Linear in the cost up to the cap and beyond it, so the most is at an end.
    most = rise * cost + capped * min(cost, MOST_SPELLING)
    most = max(most, rise * max(cost, MOST_SPELLING) + capped * MOST_SPELLING)
    most = max(most, rise * _NO_PATH + capped * MOST_SPELLING)
    return most + per_letter * letters + per_subword * subwords


@numba.njit(cache=True, nogil=True)
def _limits(lengths, owners, owner_starts, odds, starts, letters, spellings, weights, bound):  # type: ignore[no-untyped-def]
    """[K] the most steps at which ``odds`` and the best spelling of an owner that costs nothing reach ``bound``."""
    most = np.empty(len(lengths), np.int16)
    for k in range(len(lengths)):
        shape = -np.inf
        for at in range(owner_starts[k], owner_starts[k + 1]):
            begin, end = spellings[owners[at]], spellings[owners[at] + 1]
            if begin == end:  # what has no spelling counts as one of a letter and a subword that costs nothing
                shape = max(shape, spelled_odds(0.0, 1.0, 1.0, weights))
            for spelling in range(begin, end):
                subwords = starts[spelling + 1] - starts[spelling]
                shape = max(shape, spelled_odds(0.0, float(letters[spelling]), float(subwords), weights))
        low, high = 0, odds.shape[1]  # odds do not rise with the steps
        while low < high:
            middle = (low + high) // 2
            if odds[lengths[k], middle] + shape >= bound:
                low = middle + 1
            else:
                high = middle
        most[k] = low - 1
    return most


@numba.njit(cache=True, nogil=True)
def _affordable(parts, lengths, best, limits, width):  # type: ignore[no-untyped-def]
    """Return the pronunciations, ascending, whose blocks cost at most their limit together, and what they cost.

    limits: [K] in steps; width: of a block

    This is the one loop over everything there is. Most pronunciations have one to three blocks, so three are added
    without asking; branches, and indices that could be negative, would take twice the time.
    """
    one, two = np.uint32(1), np.uint32(2)
    found, costs = np.empty(len(lengths), np.int32), np.empty(len(lengths), np.int32)
    size, at = np.uint32(0), np.uint32(0)
    for k in range(np.uint32(len(lengths))):
        count = np.uint32((lengths[k] + width - one) // width)
        total = np.int32(best[parts[at]])
        total += np.int32(best[parts[at + one]]) * np.int32(count > 1)
        total += np.int32(best[parts[at + two]]) * np.int32(count > 2)
        if count > 3:
            for more in range(np.uint32(3), count):
                total += np.int32(best[parts[at + more]])
        at += count
        found[size], costs[size] = np.int32(k), total
        size += np.uint32(total <= limits[k])
    return found[:size], costs[:size]


@numba.njit(cache=True, nogil=True)
def _reaching(  # type: ignore[no-untyped-def]
    found, costs, lengths, owners, owner_starts, odds, tokens, starts, letters, spellings, least, weights, bound
):
    """Return, ascending, the entities of the pronunciations ``found`` that reach ``bound`` with what both cost.

    costs: steps of each pronunciation; least: nats of each subword
    """
    reaching, size = np.empty(owner_starts[-1], np.int32), 0
    for at in range(len(found)):
        of_phones = odds[lengths[found[at]], costs[at]]
        for place in range(owner_starts[found[at]], owner_starts[found[at] + 1]):
            begin, end = spellings[owners[place]], spellings[owners[place] + 1]
            is_reaching = begin == end and of_phones + spelled_odds(0.0, 1.0, 1.0, weights) >= bound
            for spelling in range(begin, end):
                cost = 0.0
                for token in range(starts[spelling], starts[spelling + 1]):
                    cost += least[tokens[token]]
                subwords = starts[spelling + 1] - starts[spelling]
                most = spelled_odds(min(cost, _NO_PATH), float(letters[spelling]), float(subwords), weights)
                is_reaching |= of_phones + most >= bound
            if is_reaching:
                reaching[size] = owners[place]
                size += 1
    return np.unique(reaching[:size])


@numba.njit(cache=True, nogil=True)
def _rows(phones, lengths, shared, gaps, skips, drop, is_left):  # type: ignore[no-untyped-def]
    """[H, slots + 1 and more] what each half costs at least, in steps, with so many slots before the middle of its
    block; _MOST in what is more.

    phones, lengths, shared: of halves (SoundIndex); gaps: [slots, _LANES]

    Left halves end there, with their last phone. Right halves are laid backwards; before them slots are left out. All
    phones that could come after the same ones are laid together, and each half is one of them.
    """
    slots = len(gaps)
    rows = np.full((len(lengths), (slots // _CHUNK + 1) * _CHUNK), np.uint8(_MOST), np.uint8)
    nothing = np.zeros(slots + 1, np.uint16)
    after = np.empty(
        (phones.shape[1], slots + 1, _LANES), np.uint16
    )  # of the phones up to each depth, for all that end them
    steps = np.empty((phones.shape[1], slots + 1, _LANES), np.uint8)
    laid = np.zeros(phones.shape[1], np.bool_)
    for half in range(len(lengths)):
        if lengths[half] == 0:
            rows[half, : slots + 1] = 0
            continue
        last = lengths[half] - 1
        laid[shared[half] + 1 :] = False
        for depth in range(last + 1):
            if not laid[depth]:
                before = nothing if depth == 0 else after[depth - 1, :, phones[half, depth - 1]].copy()
                _lay(before, gaps, skips, drop, after[depth], steps[depth], is_left)
                laid[depth] = True
        _pick(steps[last], phones[half, last], rows[half], is_left)
    return rows


@numba.njit(cache=True)
def _lay(before, gaps, skips, drop, after, steps, is_left):  # type: ignore[no-untyped-def]
    """Lay every phone behind what costs ``before`` with i slots behind: [slots + 1, _LANES], with any number of slots
    left out ``after`` it, and in steps as _rows wants them."""
    low = np.empty(_LANES, np.uint16)
    for lane in range(_LANES):
        low[lane] = np.uint16(before[0] + drop)
        after[0, lane] = low[lane]
        steps[0, lane] = _in_steps(low[lane])
    for slot in range(len(gaps)):
        heard, dropped, skip = before[slot], np.uint16(before[slot + 1] + drop), skips[slot]
        gap, then, counted = gaps[slot], after[slot + 1], steps[slot + 1]
        for lane in range(_LANES):
            own = np.uint16(heard + gap[lane])
            own = own if own < dropped else dropped
            skipped = np.uint16(low[lane] + skip)
            both = skipped if skipped < own else own
            low[lane] = both
            then[lane] = both
            counted[lane] = _in_steps(own if is_left else both)


@numba.njit(cache=True)
def _in_steps(cost):  # type: ignore[no-untyped-def]
    """Return a cost in steps, rounded down; what is more than half a byte holds counts for less."""
    steps = np.uint16(cost >> np.uint16(4))
    return np.uint8(steps if steps < np.uint16(_MOST) else np.uint16(_MOST))


@numba.njit(cache=True)
def _pick(steps, phone, row, is_left):  # type: ignore[no-untyped-def]
    last = len(steps) - 1
    for at in range(len(steps)):
        row[at] = steps[at if is_left else last - at, phone]


@numba.njit(cache=True, nogil=True)
def _cheapest(lefts, rights, left_of, right_of):  # type: ignore[no-untyped-def]
    """[B] the least steps of each block wherever it lies.

    Loops of a length that is known beforehand become a few instructions each, so up to three chunks have their own.
    """
    best, size = np.empty(len(left_of), np.uint8), np.uint64(lefts.shape[1])
    one, two = np.uint64(_CHUNK), np.uint64(2 * _CHUNK)
    left, right = lefts.ravel(), rights.ravel()
    for block in range(len(left_of)):
        low, a, b = np.uint8(255), np.uint64(left_of[block]) * size, np.uint64(right_of[block]) * size
        if size == one:
            for at in range(one):
                both = np.uint8(left[a + at] + right[b + at])
                low = both if both < low else low
        elif size == two:
            for at in range(one):
                both = np.uint8(left[a + at] + right[b + at])
                other = np.uint8(left[a + one + at] + right[b + one + at])
                both = other if other < both else both
                low = both if both < low else low
        elif size == one + two:
            for at in range(one):
                both = np.uint8(left[a + at] + right[b + at])
                other = np.uint8(left[a + one + at] + right[b + one + at])
                both = other if other < both else both
                other = np.uint8(left[a + two + at] + right[b + two + at])
                both = other if other < both else both
                low = both if both < low else low
        else:
            for at in range(size):
                both = np.uint8(left[a + at] + right[b + at])
                low = both if both < low else low
        best[block] = low
    return best
