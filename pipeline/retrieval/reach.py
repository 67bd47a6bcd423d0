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
entities have, then what is left by both; of those whose phones were laid the subwords are laid too, as long as they can
be cheap enough. Each is a property of the entity and the audio.

Of a pronunciation of several blocks one must be clearly heard (block_costs.clear_steps). ``ranked`` asks that of an
entity in any case; here it means that few blocks lead anywhere.
"""

import dataclasses
import math
from collections.abc import Mapping

import numba
import numpy as np
import numpy.typing as npt

from pipeline.errors import InputError
from pipeline.retrieval.block_costs import PER_NAT, Ceilings, ceilings, lay_halves, together
from pipeline.retrieval.block_entries import (
    ENTITY,
    LETTERS,
    MOST_LETTERS,
    NARROW,
    NEXT,
    NO_SUBWORD,
    PHONES,
    RAREST,
    SAID,
    SUBWORDS,
    WORD,
    BlockEntries,
)
from pipeline.retrieval.kept import Kept
from pipeline.retrieval.phonetic import Slots
from pipeline.retrieval.placed import MOST_PER_PHONE, MOST_THROUGH
from pipeline.retrieval.sound_index import WIDTH, SoundIndex
from pipeline.retrieval.spelling_index import CLIP, SpellingIndex

MOST_SPELLING, MOST_COST = 20.0, 10.0
"""Nats up to which the log odds count ``spelling_capped`` and ``cost_capped``."""
_SLACK = 1e-3  # of log odds, so that rounding leaves nothing out
_NO_PATH = 1e4  # nats that a spelling costs which has more subwords than there are frames
_SOME = 1024  # entries that are looked at at a time: as much as lies in the processor's cache
_EIGHTHS = 8  # in which the costs of subwords are counted, rounded down
_PARTS = 16  # of log odds of 1
_UNKNOWN = 255  # and more
CLEAR, BELOW, SPARE = 0, 1, 2
_STEPS = 16  # bits of a number of steps
_ENTITY, _SAID, _COST = 27, 29, 8  # bits of an entity, a pronunciation and what that costs at least, in one number
_SORTED, _SORTED_BITS = 6, 10  # first subwords by which spellings are sorted, and bits of each that count
_BOUNDS = 4  # that are remembered of a list: a run asks for one, with a session for three


@dataclasses.dataclass(frozen=True)
class Limits:
    """What follows from a bound.

    odds:    [longest + 1, steps] the most log odds of a pronunciation of so many phones that costs so many steps or
             more, without what its subwords add
    entries: [P, 3] of each entry CLEAR and BELOW, the steps that its block must stay below, to be the cheapest one of a
             pronunciation that can reach the bound if its entity is spelled as heard, and not more than is clearly
             heard, and without that; and SPARE, by how much the log odds are above the bound if it costs the most that
             it may, in parts of _PARTS, rounded up; _UNKNOWN for what is more than a byte holds
    blocks:  of the most CLEAR of each block
    lost:    [MOST_LETTERS + 1, eighths of a nat] the least log odds that a spelling of so many letters loses that costs
             so much or more, in parts of _PARTS, rounded down
    steps:   [longest + 1] the least steps that a part of log odds is worth for so many phones
    worth:   [longest + 1, parts] the steps that a pronunciation of so many phones must stay below to have log odds of
             so many parts of _PARTS, counted from ``first``, or more
    """

    odds: npt.NDArray[np.float64]
    entries: npt.NDArray[np.uint8]
    blocks: Ceilings
    lost: npt.NDArray[np.uint8]
    steps: npt.NDArray[np.float32]
    worth: npt.NDArray[np.int16]
    first: int


@dataclasses.dataclass(frozen=True)
class Reached:
    """Entities that can reach a bound, by what is known of them.

    entities:       [E] ascending
    pronunciations: [P] by which they can reach it, ascending
    limits:         [P] nats, at least what each may cost for one of its entities to reach the bound by it
    """

    entities: npt.NDArray[np.int32]
    pronunciations: npt.NDArray[np.int32]
    limits: npt.NDArray[np.float32]


class Reach:
    """Of one list; for all threads. ``entities`` is a pure function of its arguments."""

    def __init__(
        self,
        index: SoundIndex,
        entries: BlockEntries,
        spellings: SpellingIndex,
        weights: Mapping[str, float],
    ) -> None:
        """``weights``: of the log odds, by name.

        Raises InputError for a list that is too large.
        """
        self._index, self._entries, self._spellings, self._weights = index, entries, spellings, weights
        if index.entities >= 1 << _ENTITY or len(index.lengths) >= 1 << _SAID:
            raise InputError(
                f"a list of {index.entities:,} names with {len(index.lengths):,} pronunciations; needed are fewer than "
                f"2**{_ENTITY} names and 2**{_SAID} pronunciations, so split the list."
            )
        self._spelling = _of_spelling(weights)
        self._limits = Kept[Limits](_BOUNDS)

    def pronunciations(self, entities: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
        """Return the pronunciations of some entities, ascending."""
        said: npt.NDArray[np.int32] = _all_said(entities, self._entries.said, self._entries.said_starts)
        return said

    def entities(
        self, slots: Slots, least: npt.NDArray[np.float32], allowed: npt.NDArray[np.float32], bound: float,
        clear: npt.NDArray[np.uint8],
    ) -> "Reached":  # fmt: skip
        """Return every entity that can reach ``bound``, and some that cannot.

        slots:   of Phonetic.slots
        least:   of least_costs
        allowed: [longest + 1] the most nats that a pronunciation of so many phones may cost (Phonetic.limits)
        clear:   [longest + 1] of block_costs.clear_steps
        """
        index, entries = self._index, self._entries
        limits = self._limits.of(allowed, lambda: self._limited(allowed, bound, clear), (bound, clear.tobytes()))
        halves = lay_halves(index, slots)
        cheap, cheap_costs = halves.below(limits.blocks)
        found, costs, below = _looked_at(
            cheap,
            cheap_costs,
            entries.starts,
            entries.entries,
            limits.entries,
            _in_eighths(least),
            limits.lost,
            limits.steps,
        )
        laid = *halves.left, *halves.right
        few = _by_phones(found, costs, below, *laid, entries.entries)
        long = _long_by_phones(
            laid, (index.block_lefts, index.block_rights), entries.long_parts, entries.long_starts,
            limits.odds.shape[1],
        )  # fmt: skip
        pairs = np.concatenate([few, _pairs(entries.long_entities[long], entries.long[long])])  # these may cost nothing
        pairs.sort()
        reached, keys = _within(
            pairs, self._spellings.tokens, self._spellings.starts, self._spellings.letters, self._spellings.spellings,
            least, self._spelling, index.lengths, limits.worth, bound - _SLACK, limits.first,
        )  # fmt: skip
        keys.sort()  # each pronunciation with the most steps last
        keys = keys[np.append(keys[1:] >> _STEPS != keys[:-1] >> _STEPS, len(keys) > 0)[: len(keys)]]
        steps = (keys & (1 << _STEPS) - 1).astype(np.float32)
        return Reached(reached, (keys >> _STEPS).astype(np.int32), steps / PER_NAT)

    def by_phones(
        self, reached: "Reached", near: npt.NDArray[np.int32], costs: npt.NDArray[np.float32]
    ) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float64]]:  # fmt: skip
        """Return those of ``reached`` that have one of the pronunciations ``near`` [P], which cost ``costs`` [P] nats,
        and the most log odds of each without what its subwords add."""
        odds = _odds_alone(self._weights, costs.astype(np.float64), self._index.lengths[near].astype(np.int64))
        odds += most_placed(self._weights)
        most = _most_by_owner(reached.entities, near, odds, self._index.owners, self._index.owner_starts)
        found = most > -np.inf
        return reached.entities[found], most[found]

    def by_spelling(
        self, gaps: npt.NDArray[np.float32], least: npt.NDArray[np.float32], blank: int,
        entities: npt.NDArray[np.int32], odds: npt.NDArray[np.float64], bound: float,
    ) -> npt.NDArray[np.bool_]:  # fmt: skip
        """Return [E] which ``entities``, ascending, can reach ``bound`` with their subwords laid, each after the last.

        gaps:  of subword_gaps; least: of least_costs
        blank: of the subwords
        odds:  [E] the most log odds of each without what its subwords add
        """
        spelled = self._spellings
        reaches: npt.NDArray[np.bool_] = _by_spelling(
            gaps, blank, entities, spelled.tokens, spelled.starts, spelled.letters,
            spelled.spellings, least, self._spelling, bound - _SLACK - odds,
        )  # fmt: skip
        return reaches

    def _limited(self, allowed: npt.NDArray[np.float32], bound: float, clear: npt.NDArray[np.uint8]) -> Limits:
        odds, entries, spellings = most_odds(self._weights, allowed), self._entries, self._spellings
        shapes = _shapes(spellings.starts, spellings.letters, spellings.spellings, self._spelling)
        of_entries, of_blocks = _limits(entries.starts, entries.entries, odds, shapes, clear, bound - _SLACK)
        blocks = ceilings(self._index, of_blocks)
        return Limits(odds, of_entries, blocks, _lost(self._spelling), _steps_of(odds), *_worth(odds))


def reaching(
    entities: npt.NDArray[np.int32], costs: npt.NDArray[np.float32], phones: npt.NDArray[np.int64],
    spellings: SpellingIndex, weights: Mapping[str, float], least: npt.NDArray[np.float32], bound: float,
) -> npt.NDArray[np.bool_]:  # fmt: skip
    """Return [E] which entities can reach ``bound`` with pronunciations of so many ``phones`` and ``costs`` in nats.

    spellings: of the list; least: of least_costs
    """
    odds = _odds_alone(weights, costs.astype(np.float64), phones) + most_placed(weights)
    added: npt.NDArray[np.float64] = _added(
        entities, spellings.tokens, spellings.starts, spellings.letters, spellings.spellings, least,
        _of_spelling(weights),
    )  # fmt: skip
    return odds + added >= bound - _SLACK


def _of_spelling(weights: Mapping[str, float]) -> npt.NDArray[np.float64]:
    names = ("letters", "subwords", "spelling", "spelling_per_letter", "spelling_capped")
    return np.array([weights[name] for name in names])


def _pairs(entities: npt.NDArray[np.int32], said: npt.NDArray[np.int32]) -> npt.NDArray[np.uint64]:
    """Return entities, pronunciations of theirs and the steps that these cost at least, here none, as numbers whose
    lowest bits are the steps, then the pronunciation."""
    return entities.astype(np.uint64) << np.uint64(_SAID + _COST) | said.astype(np.uint64) << np.uint64(_COST)


def _in_eighths(least: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    """Return [NO_SUBWORD + 1] what each subword costs at least in eighths of a nat, and 0 for what is none."""
    eighths = np.zeros(NO_SUBWORD + 1, np.uint8)
    known = least[:NO_SUBWORD]
    eighths[: len(known)] = (known * _EIGHTHS).astype(np.uint8)
    return eighths


def _lost(weights: npt.NDArray[np.float64]) -> npt.NDArray[np.uint8]:
    costs = np.arange(RAREST * int(CLIP) * _EIGHTHS + 1) / _EIGHTHS
    lost = np.zeros((MOST_LETTERS + 1, len(costs)), np.uint8)
    for letters in range(1, MOST_LETTERS):  # 0 are none, and MOST_LETTERS can be any number: nothing is lost for sure
        nothing = spelled_odds(0.0, float(letters), 1.0, weights)
        most = [spelled_odds(cost, float(letters), 1.0, weights) for cost in costs.tolist()]
        lost[letters] = np.clip((nothing - np.array(most) - _SLACK) * _PARTS, 0, _UNKNOWN)
    return lost


def _steps_of(odds: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    known = np.isfinite(odds[:, 1:])
    falls = np.subtract(odds[:, :-1], odds[:, 1:], out=np.zeros(known.shape), where=known)
    most = falls.max(1)
    return np.where(most > 0, 1 / (_PARTS * np.maximum(most, 1e-9)), 0.0).astype(np.float32)


def _worth(odds: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.int16], int]:
    """Return ``worth`` and ``first`` of Limits."""
    known = odds[np.isfinite(odds)]
    first, last = (math.floor(known.min() * _PARTS), math.ceil(known.max() * _PARTS)) if len(known) else (0, 0)
    parts = np.arange(first, last + 2) / _PARTS
    steps = [np.searchsorted(-of_phones, -parts, side="right") for of_phones in odds]  # at which they are so much yet
    return np.array(steps, np.int16), first


def most_odds(weights: Mapping[str, float], allowed: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Return Limits.odds; -inf where a pronunciation of so many phones may not cost so many steps."""
    steps = np.arange(max(0, int(np.ceil(allowed.max(initial=0.0) * PER_NAT))) + 2)
    phones, costs = np.arange(len(allowed))[:, None], steps / PER_NAT
    # Linear between whole steps, as the caps lie there; so no cost between two of them has more than both.
    alone = _odds_alone(weights, costs, phones)
    alone[steps > np.ceil(allowed * PER_NAT)[:, None]] = -np.inf
    alone = np.maximum.accumulate(alone[:, ::-1], axis=1)[:, ::-1]
    odds: npt.NDArray[np.float64] = alone + most_placed(weights, costs, costs / np.maximum(phones, 1))
    return odds


def _odds_alone(
    weights: Mapping[str, float], costs: npt.NDArray[np.float64], phones: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    """Return what phones add to the log odds, wherever they lie."""
    odds: npt.NDArray[np.float64] = (
        weights["one"] + weights["phones"] * phones + weights["cost"] * costs
        + weights["cost_per_phone"] * (costs / np.maximum(phones, 1))
        + weights["cost_capped"] * np.minimum(costs, MOST_COST)
    )  # fmt: skip
    return odds


def most_placed(
    weights: Mapping[str, float], through: npt.NDArray[np.float64] | float = 0.0,
    per_phone: npt.NDArray[np.float64] | float = 0.0,
) -> npt.NDArray[np.float64]:  # fmt: skip
    """Return the most that PLACED add, if ``through`` and ``through_per_phone`` are at least so much."""
    words = max(0.0, weights["begins"]) + max(0.0, weights["ends"])
    most: npt.NDArray[np.float64] = words + _most_of(weights["through"], through, MOST_THROUGH)
    return most + _most_of(weights["through_per_phone"], per_phone, MOST_PER_PHONE)


def _most_of(weight: float, least: npt.NDArray[np.float64] | float, most: float) -> npt.NDArray[np.float64]:
    """Return the most that ``weight`` gives to a measurement from ``least`` to ``most``."""
    return np.maximum(weight * np.minimum(least, most), np.float64(weight * most))


def least_costs(gaps: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return [V] nats that each subword costs in the best frame for it, at most CLIP; ``gaps`` [T, V]: subword_gaps."""
    least: npt.NDArray[np.float32] = gaps.min(0, initial=CLIP)
    return least


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
def _shapes(starts, letters, spellings, weights):  # type: ignore[no-untyped-def]
    """[N] the most log odds that the best spelling of each entity adds if it costs nothing or more."""
    shapes = np.empty(len(spellings) - 1, np.float32)
    for entity in range(len(shapes)):
        begin, end, shape = spellings[entity], spellings[entity + 1], -np.inf
        if begin == end:  # what has no spelling counts as one of a letter and a subword that costs nothing
            shape = spelled_odds(0.0, 1.0, 1.0, weights)
        for spelling in range(begin, end):
            subwords = starts[spelling + 1] - starts[spelling]
            shape = max(shape, spelled_odds(0.0, float(letters[spelling]), float(subwords), weights))
        shapes[entity] = shape + _SLACK  # as it is rounded
    return shapes


@numba.njit(cache=True, nogil=True)
def _limits(starts, entries, odds, shapes, clear_steps, bound):  # type: ignore[no-untyped-def]
    """Return the field ``entries`` of Limits, and [B] what ``blocks`` is made of."""
    limits = np.zeros((len(entries), 3), np.uint8)
    blocks = np.zeros(len(starts) - 1, np.uint8)
    for block in range(len(blocks)):
        for at in range(starts[block], starts[block + 1]):
            phones, shape = np.int64(entries[at, WORD] & ((1 << PHONES) - 1)), shapes[entries[at, ENTITY]]
            low, high = 0, odds.shape[1]  # odds do not rise with the steps
            while low < high:
                middle = (low + high) // 2
                if odds[phones, middle] + shape >= bound:
                    low = middle + 1
                else:
                    high = middle
            if low > 0:  # it may cost low - 1 steps, and its cheapest block a share of them
                limits[at, BELOW] = min((low - 1) // ((phones + WIDTH - 1) // WIDTH) + 1, _UNKNOWN)
                limits[at, SPARE] = min(math.ceil((odds[phones, low - 1] + shape - bound) * _PARTS), _UNKNOWN)
                limits[at, CLEAR] = min(limits[at, BELOW], clear_steps[phones])
                blocks[block] = max(blocks[block], limits[at, CLEAR])
    return limits, blocks


@numba.njit(cache=True, nogil=True)
def _looked_at(cheap, block_costs, starts, entries, limits, least, lost, steps):  # type: ignore[no-untyped-def]
    """Return the entries that one of the ``cheap`` blocks can be the cheapest of, and the steps that the pronunciation
    of each must stay below, by what some subwords of the spelling cost at least.

    cheap, block_costs: of Halves.below
    least: eighths of a nat of each subword; what they lose that is not spare must be won back by the phones

    Where each block's entries stand is read first. The entries are looked at some at a time.
    """
    size, many = len(cheap), 0
    begins, ends = np.empty(size, np.uint32), np.empty(size, np.uint32)
    for at in range(size):
        begins[at], ends[at] = starts[cheap[at]], starts[cheap[at] + 1]
        many += ends[at] - begins[at]
    longest = np.int64((ends - begins).max()) if size else np.int64(0)
    some, costs_of = np.empty(_SOME + longest + 1, np.uint32), np.empty(_SOME + longest + 1, np.uint8)
    found, costs, below = np.empty(many + 1, np.uint32), np.empty(many + 1, np.uint8), np.empty(many + 1, np.int16)
    count, kept = np.uint64(0), np.uint64(0)
    for at in range(size):
        cost = block_costs[at]
        for entry in range(np.uint64(begins[at]), np.uint64(ends[at])):
            some[count], costs_of[count] = entry, cost
            count += np.uint64(cost < limits[entry, CLEAR])
        if count >= _SOME or at == size - 1:
            kept = _by_subwords(some[:count], costs_of, entries, limits, least, lost, steps, found, costs, below, kept)
            count = np.uint64(0)
    return found[:kept], costs[:kept], below[:kept]


@numba.njit(cache=True)
def _by_subwords(some, costs_of, entries, limits, least, lost, steps, found, costs, below, kept):  # type: ignore[no-untyped-def]
    """Append to found, costs and below, of which there are ``kept``, those of ``some`` that can come in; return how
    many there are then.

    What lies far away is read beforehand by a loop that does nothing else: the processor waits for many at once.
    """
    touched = np.uint32(0)
    for entry in some:
        touched |= entries[entry, WORD] | entries[entry, NEXT + 1]
    for at in range(np.uint64(len(some))):
        entry, cost = some[at], costs_of[at]
        word = np.uint64(entries[entry, WORD + 1]) << np.uint64(32) | np.uint64(entries[entry, WORD])
        limit, spare = np.int32(limits[entry, BELOW]), np.int32(limits[entry, SPARE])
        phones = np.uint32(word & np.uint64((1 << PHONES) - 1))
        letters = word >> np.uint64(PHONES) & np.uint64(MOST_LETTERS)
        spelling = np.uint32(0)
        for place in range(np.uint64(RAREST)):
            token = word >> np.uint64(PHONES + LETTERS) + place * np.uint64(SUBWORDS) & np.uint64(NO_SUBWORD)
            spelling += np.uint32(least[token])
        blocks = np.int32((phones + np.uint32(WIDTH - 1)) // np.uint32(WIDTH))
        loss = np.int32(lost[letters, spelling]) - spare
        is_known = loss > 0 and limit < _UNKNOWN and spare < _UNKNOWN
        most = blocks * limit - (np.int32(np.float32(loss) * steps[phones]) if is_known else np.int32(0))
        found[kept], costs[kept], below[kept] = entry, cost, most
        kept += np.uint64(blocks * np.int32(cost) < most)
    below[len(below) - 1] = touched & np.uint32(1)  # so that it is read
    return kept


@numba.njit(cache=True)
def _next(entries, entry, place):  # type: ignore[no-untyped-def]
    """The halves of one of the two other blocks of an entry."""
    if entries.shape[1] == NEXT + 2:
        both = entries[entry, np.uint64(NEXT) + place]
        return np.uint64(both & np.uint32((1 << NARROW) - 1)), np.uint64(both >> np.uint32(NARROW))
    at = np.uint64(NEXT) + np.uint64(2) * place
    return np.uint64(entries[entry, at]), np.uint64(entries[entry, at + np.uint64(1)])


@numba.njit(cache=True, nogil=True)
def _by_phones(found, costs, below, lefts, left_least, rights, right_least, entries):  # type: ignore[no-untyped-def]
    """Return the pairs (_pairs) of entities and pronunciations whose blocks are cheap enough together.

    found, costs, below: of _looked_at; lefts to right_least: of Halves
    """
    width, left_rows, right_rows = np.uint64(lefts.shape[1]), lefts.reshape(-1), rights.reshape(-1)
    some, count = np.empty(len(found), np.uint32), np.uint64(0)
    for at in range(np.uint64(len(found))):  # first by the halves alone, wherever each is cheapest
        left, right = _next(entries, found[at], np.uint64(0))
        later, last = _next(entries, found[at], np.uint64(1))
        total = np.int32(costs[at]) + np.int32(left_least[left]) + np.int32(right_least[right])
        total += np.int32(left_least[later]) + np.int32(right_least[last])
        some[count] = at
        count += np.uint64(total < np.int32(below[at]))
    pairs, kept = np.empty(count, np.uint64), np.uint64(0)
    for at in some[:count]:
        entry, total = found[at], np.int32(costs[at])
        for place in range(np.uint64(2)):
            left, right = _next(entries, entry, place)
            total += np.int32(together(left_rows, left, right_rows, right, width))
        if total < np.int32(below[at]):
            both = np.uint64(entries[entry, ENTITY]) << np.uint64(_SAID) | np.uint64(entries[entry, SAID])
            pairs[kept] = both << np.uint64(_COST) | np.uint64(total if total < 1 << _COST else (1 << _COST) - 1)
            kept += np.uint64(1)
    return pairs[:kept]


@numba.njit(cache=True, nogil=True)
def _long_by_phones(halves, blocks, parts, starts, most):  # type: ignore[no-untyped-def]
    """Return which of the pronunciations without entries cost less than ``most`` steps; ``blocks``: their halves."""
    (left_rows, left_least, right_rows, right_least), (left_of, right_of) = halves, blocks
    width, left_rows, right_rows = np.uint64(left_rows.shape[1]), left_rows.reshape(-1), right_rows.reshape(-1)
    found, count = np.empty(len(starts) - 1, np.int64), 0
    for at in range(len(starts) - 1):
        total = np.int32(0)
        for part in range(starts[at], starts[at + 1]):
            total += np.int32(left_least[left_of[parts[part]]]) + np.int32(right_least[right_of[parts[part]]])
        if total < most:
            total = np.int32(0)
            for part in range(starts[at], starts[at + 1]):
                left, right = left_of[parts[part]], right_of[parts[part]]
                total += np.int32(together(left_rows, left, right_rows, right, width))
            if total < most:
                found[count] = at
                count += 1
    return found[:count]


@numba.njit(cache=True)
def _added_by(entity, tokens, starts, letters, spellings, least, weights):  # type: ignore[no-untyped-def]
    """The most log odds that the best spelling of an entity adds; least: nats of each subword."""
    begin, end = spellings[entity], spellings[entity + 1]
    most = spelled_odds(0.0, 1.0, 1.0, weights) if begin == end else -np.inf
    for spelling in range(begin, end):
        cost = 0.0
        for token in range(starts[spelling], starts[spelling + 1]):
            cost += least[tokens[token]]
        subwords = starts[spelling + 1] - starts[spelling]
        odds = spelled_odds(min(cost, _NO_PATH), float(letters[spelling]), float(subwords), weights)
        most = max(most, odds)
    return most


@numba.njit(cache=True, nogil=True)
def _added(entities, tokens, starts, letters, spellings, least, weights):  # type: ignore[no-untyped-def]
    """Return [E] what _added_by says of each of ``entities``."""
    added = np.empty(len(entities), np.float64)
    for at in range(len(entities)):
        added[at] = _added_by(entities[at], tokens, starts, letters, spellings, least, weights)
    return added


@numba.njit(cache=True, nogil=True)
def _within(pairs, tokens, starts, letters, spellings, least, weights, lengths, worth, bound, first):  # type: ignore[no-untyped-def]
    """Return the entities of ``pairs``, ascending, that can reach the bound, and the pronunciations by which they can
    with the steps that each must stay below: both in one number, the steps in the lowest _STEPS bits.

    pairs: of _pairs, ascending; tokens to spellings: of the list; worth, first: of Limits
    """
    entities, keys = np.empty(len(pairs), np.int32), np.empty(len(pairs), np.int64)
    size, count, before, part = 0, 0, np.int64(-1), 0
    for pair in pairs:
        entity = np.int64(pair >> np.uint64(_SAID + _COST))
        one = np.int64(pair >> np.uint64(_COST) & np.uint64((1 << _SAID) - 1))
        if entity != before:
            needed = bound - _added_by(entity, tokens, starts, letters, spellings, least, weights)
            part = min(max(np.int64(math.floor(needed * _PARTS)) - first, 0), worth.shape[1] - 1)
            before = entity
        steps = np.int64(worth[lengths[one], part])
        if np.int64(pair & np.uint64((1 << _COST) - 1)) < steps:
            if size == 0 or entities[size - 1] != entity:
                entities[size] = entity
                size += 1
            keys[count] = one << _STEPS | steps
            count += 1
    return entities[:size], keys[:count]


@numba.njit(cache=True, nogil=True)
def _all_said(entities, said, starts):  # type: ignore[no-untyped-def]
    """Return the different pronunciations of ``entities``, ascending."""
    size = 0
    for entity in entities:
        size += starts[entity + 1] - starts[entity]
    found, at = np.empty(size, np.int32), 0
    for entity in entities:
        for place in range(starts[entity], starts[entity + 1]):
            found[at] = said[place]
            at += 1
    return np.unique(found)


@numba.njit(cache=True, nogil=True)
def _most_by_owner(entities, near, odds, owners, owner_starts):  # type: ignore[no-untyped-def]
    """Return [E] the most ``odds`` [P] of the pronunciations ``near`` [P] of each of ``entities``, ascending; -inf
    where it has none of them."""
    most = np.full(len(entities), -np.inf)
    for at in range(len(near)):
        for owner in range(owner_starts[near[at]], owner_starts[near[at] + 1]):
            place = np.searchsorted(entities, owners[owner])
            if place < len(entities) and entities[place] == owners[owner]:
                most[place] = max(most[place], odds[at])
    return most


@numba.njit(cache=True, nogil=True)
def _by_spelling(gaps, blank, entities, tokens, starts, letters, spellings, least, weights, needed):  # type: ignore[no-untyped-def]
    """Return [E] which of ``entities`` have a spelling that adds as many log odds as are ``needed`` [E].

    gaps: [T, V] of subword_gaps; tokens to spellings: of the list; least, weights: as in _added_by

    Spellings are laid in the order of their first subwords. Each goes on from what it shares with the one before, and
    ends where it costs too much even if what comes costs as little as it can. What is laid costs to the bit what
    spelling_index says.
    """
    reaches, count = np.zeros(len(entities), np.bool_), 0
    for at in range(len(entities)):
        begin, end = spellings[entities[at]], spellings[entities[at] + 1]
        count += end - begin
        reaches[at] = begin == end and spelled_odds(0.0, 1.0, 1.0, weights) >= needed[at]
    owners, said, firsts = np.empty(count, np.int64), np.empty(count, np.int64), np.empty(count, np.int64)
    count, longest = 0, np.int64(0)
    for at in range(len(entities)):
        for spelling in range(spellings[entities[at]], spellings[entities[at] + 1]):
            owners[count], said[count], firsts[count] = at, spelling, 0
            size = np.int64(starts[spelling + 1]) - np.int64(starts[spelling])
            for place in range(_SORTED):
                token = np.int64(tokens[starts[spelling] + place]) + 1 if place < size else 0
                firsts[count] = firsts[count] << _SORTED_BITS | token & (1 << _SORTED_BITS) - 1
            longest = size if size > longest else longest
            count += 1
    frames = len(gaps)
    turned, is_turned = np.empty((gaps.shape[1], frames), np.float32), np.zeros(gaps.shape[1], np.bool_)
    silence, lowest = gaps[:, blank].copy(), np.zeros(longest + 1, np.float32)
    on = np.full((longest + 1, frames + 1), np.float32(_NO_PATH))
    behind = np.zeros((longest + 1, frames + 1), np.float32)
    valid, before = 0, np.int64(0)
    for which in np.argsort(firsts):
        at, begin = owners[which], np.int64(starts[said[which]])
        size, common, rest = np.int64(starts[said[which] + 1]) - begin, 0, 0.0
        while common < valid and common < size and tokens[begin + common] == tokens[before + common]:
            common += 1
        for place in range(common, size):
            rest += least[tokens[begin + place]]
        shape, depth = float(letters[said[which]]), common
        while not reaches[at]:
            cost = min(lowest[depth] + rest, _NO_PATH)
            if spelled_odds(cost, shape, float(size), weights) < needed[at]:
                break
            if depth == size:
                reaches[at] = True
                break
            token = tokens[begin + depth]
            if not is_turned[token]:
                turned[token], is_turned[token] = gaps[:, token], True
            is_other = depth > 0 and token != tokens[begin + depth - 1]
            rest -= least[token]
            lowest[depth + 1] = _spell(
                on[depth], behind[depth], is_other, turned[token], silence, on[depth + 1], behind[depth + 1]
            )
            depth += 1
        valid, before = depth, begin
    return reaches


@numba.njit(cache=True)
def _spell(on, behind, is_other, gap, silence, then_on, then_behind):  # type: ignore[no-untyped-def]
    """Lay one subword after what costs ``on`` where it is heard before each frame and ``behind`` with blanks after it,
    [frames + 1] each; write the same with it, and return the least that it costs."""
    low, here, after = np.float32(_NO_PATH), np.float32(_NO_PATH), np.float32(_NO_PATH)
    then_on[0], then_behind[0] = here, after
    for frame in range(len(gap)):
        least = min(here, behind[frame])
        if is_other:
            least = min(least, on[frame])
        after = min(after, here) + silence[frame]
        here = least + gap[frame]
        then_on[frame + 1], then_behind[frame + 1] = here, after
        low = min(low, here)
    return low
