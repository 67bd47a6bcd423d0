"""What the blocks of all pronunciations cost at least, wherever in the audio that is cheapest.

As pipeline.retrieval.phonetic lays phones, but any number of slots may be left out between two of them, costs are
counted in whole steps, rounded down, and all phones that could come after the same ones are laid together.

Who asks for cheap blocks alone says by Ceilings how cheap each must be. Blocks whose halves cost too much together,
each where it is cheapest, are not looked at then.
"""

import dataclasses

import numba
import numpy as np
import numpy.typing as npt

from pipeline.retrieval.array_files import fixed
from pipeline.retrieval.phonetic import Slots, cheapest
from pipeline.retrieval.sound_index import WIDTH, SoundIndex

PER_NAT = 10
"""Steps of a nat."""
_FINE = 16  # parts of a step in which phones are laid, also rounded down
_FAR = 60.0  # nats; more than three phones cost, as each may be dropped
_LANES = 16  # phones that are laid together: a vector of the processor's
_MOST = 127  # steps that are counted for half a block, so that a byte holds those of a whole one
_CHUNK = 32  # bytes; rows are a multiple of it, for vectors of the processor to be whole
_NO_LIMIT = 255  # more steps than any block costs
Bytes = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int32]
Laid = tuple[Bytes, Bytes]
"""[H + 1, slots + 1 and more] steps by how many slots are before the middle of the block, and [H + 1] their least.
The last is of no half and costs nothing."""


@dataclasses.dataclass(frozen=True)
class Ceilings:
    """The steps that each of B blocks must stay below, in the order in which blocks are looked at.

    starts:  [left halves + 1] the blocks with left half h are at starts[h] to starts[h + 1], the highest limit first
    blocks, rights, limits: [B] which block it is, its right half, and its limit
    """

    starts: Ints
    blocks: Ints
    rights: Ints
    limits: Bytes


def ceilings(index: SoundIndex, limits: Bytes) -> Ceilings:
    """Return the ceilings of blocks that must stay below ``limits`` [B] steps."""
    order = np.lexsort((-limits.astype(np.int16), index.block_lefts)).astype(np.int32)
    counts = np.bincount(index.block_lefts, minlength=len(index.left_lengths))
    return Ceilings(
        starts=np.concatenate([[0], np.cumsum(counts)]).astype(np.int32),
        blocks=order,
        rights=index.block_rights[order],
        limits=limits[order],
    )


@dataclasses.dataclass(frozen=True)
class Halves:
    """The halves of all blocks, laid in an utterance."""

    left: Laid
    right: Laid

    def below(self, most: Ceilings) -> tuple[Ints, Bytes]:
        """Return the blocks that cost less than their limits, and what they cost in steps."""
        found: tuple[Ints, Bytes] = _below(*self.left, *self.right, most.starts, most.blocks, most.rights, most.limits)
        return found


def lay_halves(index: SoundIndex, slots: Slots) -> Halves:
    """Return the halves of all blocks of ``index``.

    Any number of slots may be left out between phones. slots: of Phonetic.slots
    """
    gaps, skips, drop = slots
    many = int((gaps[0] < _FAR).sum())  # slots; the others are there for vectors to be whole
    by_phone, left_out, dropped = _fine(gaps[:, :many]), _fine(skips[:many]), _fine(drop)
    turned, turned_out = by_phone[:, ::-1].copy(), left_out[::-1].copy()
    return Halves(
        _rows(index.left_phones, index.left_lengths, index.left_shared, by_phone, left_out, dropped, True),
        _rows(index.right_phones, index.right_lengths, index.right_shared, turned, turned_out, dropped, False),
    )


def block_costs(index: SoundIndex, slots: Slots) -> Bytes:
    """Return [B] the least steps of each block wherever it lies."""
    halves = lay_halves(index, slots)
    costs: Bytes = cheapest(halves.left[0], halves.right[0], index.block_lefts, index.block_rights)
    return costs


def clear_steps(share: float, allowed: npt.NDArray[np.float32]) -> Bytes:
    """Return [longest + 1] the steps that the cheapest block of a pronunciation of so many phones must stay below.

    That is ``share`` of what a block may cost on average if all are within the limit; no limit where there is but one.

    allowed: [longest + 1] nats that a pronunciation of so many phones may cost
    """
    blocks = -(-np.arange(len(allowed)) // WIDTH)
    steps = np.floor(share * np.maximum(allowed, 0.0) * PER_NAT / np.maximum(blocks, 1)) + 1
    return np.where(blocks > 1, np.minimum(steps, _NO_LIMIT), _NO_LIMIT).astype(np.uint8)


def clearly_heard(index: SoundIndex, slots: Slots, pronunciations: Ints, below: Bytes) -> npt.NDArray[np.bool_]:
    """Return [P] of which pronunciations one block costs less than ``below`` (clear_steps) asks for."""
    below_of = below[index.lengths[pronunciations]]
    asked = np.flatnonzero(below_of < _NO_LIMIT)
    clear = np.ones(len(pronunciations), np.bool_)
    if len(asked):
        firsts, ends = index.part_starts[pronunciations[asked]], index.part_starts[pronunciations[asked] + 1]
        parts = np.concatenate([index.parts[first:end] for first, end in zip(firsts, ends, strict=True)])
        costs = block_costs(_only(index, parts.astype(np.int64)), slots)
        least = np.minimum.reduceat(costs, np.cumsum(ends - firsts) - (ends - firsts))
        clear[asked] = least < below_of[asked]
    return clear


def _only(index: SoundIndex, blocks: npt.NDArray[np.int64]) -> SoundIndex:
    """Return ``index`` with some of its blocks alone, in their order; its pronunciations mean nothing."""
    lefts, rights = index.block_lefts[blocks], index.block_rights[blocks]
    alone, none = np.arange(len(blocks), dtype=np.int32), np.zeros(len(blocks), np.uint8)
    left_phones, left_lengths = index.left_phones[lefts], index.left_lengths[lefts]
    right_phones, right_lengths = index.right_phones[rights], index.right_lengths[rights]
    fixed(alone, none, left_phones, left_lengths, right_phones, right_lengths)
    return dataclasses.replace(
        index, block_lefts=alone, block_rights=alone, left_phones=left_phones, left_lengths=left_lengths,
        left_shared=none, right_phones=right_phones, right_lengths=right_lengths, right_shared=none,
    )  # fmt: skip


def _fine(nats: npt.NDArray[np.float32] | float) -> npt.NDArray[np.uint16]:
    return (np.minimum(nats, _FAR) * (PER_NAT * _FINE)).astype(np.uint16)


@numba.njit(cache=True, nogil=True)
def _rows(phones, lengths, shared, by_phone, skips, drop, is_left):  # type: ignore[no-untyped-def]
    """Return what each half costs at least, in steps, with so many slots before the middle of its block: Laid.

    phones, lengths, shared: of halves (SoundIndex); by_phone: [phones, slots] gaps

    Left halves end there, with their last phone. Right halves are laid backwards; before them slots are left out. All
    phones that could come after the same ones are laid together, and each half is one of them; only where no slots are
    left out after the last phone each is laid alone, along the slots, in whole steps.
    """
    slots, deepest = by_phone.shape[1], phones.shape[1] - 1
    lanes = (len(by_phone) + _LANES - 1) // _LANES * _LANES
    gaps = np.full((slots, lanes), np.uint16(_FAR * PER_NAT * _FINE), np.uint16)
    gaps[:, : len(by_phone)] = by_phone.T
    size = (slots // _CHUNK + 1) * _CHUNK
    rows, least = np.full((len(lengths) + 1) * size, np.uint8(_MOST), np.uint8), np.zeros(len(lengths) + 1, np.uint8)
    rows[len(lengths) * size :] = np.uint8(0)
    lead = np.zeros((phones.shape[1], slots + 1), np.uint16)  # what the phones before each depth cost
    after = np.empty((phones.shape[1], slots + 1, lanes), np.uint16)  # .. and with every phone that could come then
    steps = np.empty((phones.shape[1], slots + 1, lanes), np.uint8)
    lows = np.empty((phones.shape[1], lanes), np.uint8)
    low = np.empty(lanes, np.uint16)
    laid, alone = np.zeros(phones.shape[1], np.bool_), np.empty(slots + 1, np.uint8)
    along, drop_steps = _all_in_steps(by_phone.reshape(-1)), _in_steps(drop)
    for half in range(len(lengths)):
        begin = np.uint64(half * size)
        if lengths[half] == 0:
            rows[begin : begin + np.uint64(slots + 1)] = 0
            continue
        last = lengths[half] - 1
        laid[shared[half] + 1 :] = False
        for depth in range(last + 1):
            if not laid[depth]:
                if depth > 0:
                    lead[depth] = after[depth - 1, :, phones[half, depth - 1]]
                    alone[:] = _all_in_steps(lead[depth])
                if not is_left or depth < deepest:
                    _lay(lead[depth], gaps, skips, drop, after[depth], steps[depth], lows[depth], low, is_left)
                laid[depth] = True
        phone = np.uint64(phones[half, last])
        if is_left and last == deepest:
            least[half] = _place(alone, along, phone * np.uint64(slots), drop_steps, rows, begin)
        else:
            least[half] = lows[last, phone]
            _pick(steps[last], phone, rows, begin, is_left)
    return rows.reshape(-1, size), least


@numba.njit(cache=True)
def _all_in_steps(costs):  # type: ignore[no-untyped-def]
    steps = np.empty(len(costs), np.uint8)
    for at in range(len(costs)):
        steps[at] = _in_steps(costs[at])
    return steps


@numba.njit(cache=True)
def _place(before, along, gap, drop, rows, begin):  # type: ignore[no-untyped-def]
    """Lay one phone behind what costs ``before``, all in whole steps, write what that costs, and return the least.

    along, gap: where the phone's gaps begin; rows, begin: where the row does
    """
    one, size, most = np.uint64(1), np.uint64(len(before) - 1), np.uint8(_MOST)
    rows[begin] = min(np.uint8(before[0] + drop), most)
    for slot in range(size):
        own, dropped = np.uint8(before[slot] + along[gap + slot]), np.uint8(before[slot + one] + drop)
        own = own if own < dropped else dropped
        rows[begin + slot + one] = own if own < most else most
    low = rows[begin]
    for slot in range(size):
        cost = rows[begin + slot + one]
        low = cost if cost < low else low
    return low


@numba.njit(cache=True)
def _pick(steps, phone, rows, begin, is_left):  # type: ignore[no-untyped-def]
    one, size = np.uint64(1), np.uint64(len(steps))
    for at in range(size):
        rows[begin + (at if is_left else size - one - at)] = steps[at, phone]


@numba.njit(cache=True)
def _lay(before, gaps, skips, drop, after, steps, lows, low, is_left):  # type: ignore[no-untyped-def]
    """Lay every phone behind what costs ``before`` with i slots behind: [slots + 1, lanes], with any number of slots
    left out ``after`` it, and in steps as _rows wants them; ``lows`` are the least of these, ``low`` is scratch."""
    lanes = np.uint64(gaps.shape[1])
    for lane in range(lanes):
        low[lane] = np.uint16(before[0] + drop)
        after[0, lane] = low[lane]
        steps[0, lane] = _in_steps(low[lane])
        lows[lane] = steps[0, lane]
    for slot in range(len(gaps)):
        heard, dropped, skip = before[slot], np.uint16(before[slot + 1] + drop), skips[slot]
        gap, then, counted = gaps[slot], after[slot + 1], steps[slot + 1]
        for lane in range(lanes):
            own = np.uint16(heard + gap[lane])
            own = own if own < dropped else dropped
            skipped = np.uint16(low[lane] + skip)
            both = skipped if skipped < own else own
            low[lane] = both
            then[lane] = both
            counted[lane] = _in_steps(own if is_left else both)
            lows[lane] = counted[lane] if counted[lane] < lows[lane] else lows[lane]


@numba.njit(cache=True)
def _in_steps(cost):  # type: ignore[no-untyped-def]
    """Return a cost in steps, rounded down; what is more than half a byte holds counts for less."""
    steps = np.uint16(cost >> np.uint16(4))
    return np.uint8(steps if steps < np.uint16(_MOST) else np.uint16(_MOST))


@numba.njit(cache=True)
def together(lefts, left, rights, right, size):  # type: ignore[no-untyped-def]
    """Return the least steps of a block with these halves; lefts, rights: rows of ``size``, one after the other."""
    low, one, other = np.uint8(255), np.uint64(left) * size, np.uint64(right) * size
    for at in range(size):
        both = np.uint8(lefts[one + at] + rights[other + at])
        low = both if both < low else low
    return low


@numba.njit(cache=True, nogil=True)
def _below(lefts, left_least, rights, right_least, starts, blocks, right_of, limits):  # type: ignore[no-untyped-def]
    """Return the blocks that cost less than their limits, and their costs."""
    found, costs, count = np.empty(len(blocks), np.int32), np.empty(len(blocks), np.uint8), np.uint64(0)
    size, left_rows, right_rows = np.uint64(lefts.shape[1]), lefts.reshape(-1), rights.reshape(-1)
    for half in range(np.uint64(len(starts) - 1)):
        least = np.int32(left_least[half])
        for at in range(np.uint64(starts[half]), np.uint64(starts[half + np.uint64(1)])):
            limit = np.int32(limits[at])
            if limit <= least:  # and those after it have no higher one
                break
            right = np.uint64(right_of[at])
            if least + np.int32(right_least[right]) < limit:
                cost = together(left_rows, half, right_rows, right, size)
                if np.int32(cost) < limit:
                    found[count], costs[count] = blocks[at], cost
                    count += np.uint64(1)
    return found[:count], costs[:count]
