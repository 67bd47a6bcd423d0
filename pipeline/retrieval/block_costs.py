"""What the blocks of all pronunciations cost at least, wherever in the audio that is cheapest.

As pipeline.retrieval.phonetic lays phones, but any number of slots may be left out between two of them, costs are
counted in whole steps, rounded down, and all phones that could come after the same ones are laid together.
"""

from collections.abc import Callable

import numba
import numpy as np
import numpy.typing as npt

from pipeline.retrieval.phonetic import cheapest
from pipeline.retrieval.sound_index import SoundIndex

PER_NAT = 10
"""Steps of a nat."""
_FINE = 16  # parts of a step in which phones are laid, also rounded down
_FAR = 60.0  # nats; more than three phones cost, as each may be dropped
_LANES = 64  # phones that are laid together, MOST_UNITS of them at most: a vector of the processor's or two
_CHUNK = 32  # slots that are looked at together; rows have two at least, as loops over one are compiled badly
_MOST = 127  # steps that are counted for half a block, so that a byte holds those of a whole one
Slots = tuple[npt.NDArray[np.float32], npt.NDArray[np.float32], float]
"""Of Phonetic.slots."""
Kernel = Callable[..., npt.NDArray[np.uint8]]


def block_costs(index: SoundIndex, slots: Slots) -> npt.NDArray[np.uint8]:
    """Return [B + 1] the least steps of each block wherever it lies, and 0 for none.

    Any number of slots may be left out between phones. slots: of Phonetic.slots
    """
    gaps, skips, drop = slots
    many = int((gaps[0] < _FAR).sum())  # slots; the others are there for vectors to be whole
    by_phone, left_out, dropped = _fine(gaps[:, :many]), _fine(skips[:many]), _fine(drop)
    left, right = by_phone, by_phone[:, ::-1].copy()
    lefts = _rows(index.left_phones, index.left_lengths, index.left_shared, left, left_out, dropped, True)
    left_out = left_out[::-1].copy()
    rights = _rows(index.right_phones, index.right_lengths, index.right_shared, right, left_out, dropped, False)
    halves, quick = (index.block_lefts, index.block_rights), _CHEAPEST.get(lefts.shape[1] // _CHUNK)
    if quick is None:
        return np.append(cheapest(lefts, rights, *halves), np.uint8(0))
    return np.append(quick(lefts.reshape(-1), rights.reshape(-1), *halves), np.uint8(0))


def _fine(nats: npt.NDArray[np.float32] | float) -> npt.NDArray[np.uint16]:
    return (np.minimum(nats, _FAR) * (PER_NAT * _FINE)).astype(np.uint16)


@numba.njit(cache=True, nogil=True)
def _rows(phones, lengths, shared, by_phone, skips, drop, is_left):  # type: ignore[no-untyped-def]
    """[H, slots + 1 and more] what each half costs at least, in steps, with so many slots before the middle of its
    block; _MOST in what is more.

    phones, lengths, shared: of halves (SoundIndex); by_phone: [phones, slots] gaps

    Left halves end there, with their last phone. Right halves are laid backwards; before them slots are left out. All
    phones that could come after the same ones are laid together, and each half is one of them; only where no slots are
    left out after the last phone each is laid alone, along the slots.
    """
    slots, deepest = by_phone.shape[1], phones.shape[1] - 1
    gaps = np.full((slots, _LANES), np.uint16(_FAR * PER_NAT * _FINE), np.uint16)
    gaps[:, : len(by_phone)] = by_phone.T
    rows = np.full((len(lengths), max(2, slots // _CHUNK + 1) * _CHUNK), np.uint8(_MOST), np.uint8)
    lead = np.zeros((phones.shape[1], slots + 1), np.uint16)  # what the phones before each depth cost
    after = np.empty((phones.shape[1], slots + 1, _LANES), np.uint16)  # .. and with every phone that could come then
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
                if depth > 0:
                    lead[depth] = after[depth - 1, :, phones[half, depth - 1]]
                if not is_left or depth < deepest:
                    _lay(lead[depth], gaps, skips, drop, after[depth], steps[depth], is_left)
                laid[depth] = True
        if is_left and last == deepest:
            _place(lead[last], by_phone[phones[half, last]], drop, rows[half])
        else:
            _pick(steps[last], phones[half, last], rows[half], is_left)
    return rows


@numba.njit(cache=True)
def _place(before, gap, drop, row):  # type: ignore[no-untyped-def]
    """Lay one phone behind what costs ``before``, and write what that costs in steps."""
    row[0] = _in_steps(np.uint16(before[0] + drop))
    for slot in range(len(gap)):
        own, dropped = np.uint16(before[slot] + gap[slot]), np.uint16(before[slot + 1] + drop)
        row[slot + 1] = _in_steps(own if own < dropped else dropped)


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


def _cheapest_of(chunks: int) -> Kernel:
    """``cheapest`` for rows of so many chunks: loops whose length is known become a few instructions each."""

    @numba.njit(cache=True, nogil=True)
    def kernel(left, right, left_of, right_of):  # type: ignore[no-untyped-def]
        best = np.empty(len(left_of), np.uint8)
        chunk, size = np.uint64(_CHUNK), np.uint64(chunks * _CHUNK)
        for block in range(len(left_of)):
            low, a, b = np.uint8(255), np.uint64(left_of[block]) * size, np.uint64(right_of[block]) * size
            for at in range(chunk):
                least = np.uint8(255)
                for begin in range(np.uint64(chunks)):
                    both = np.uint8(left[a + begin * chunk + at] + right[b + begin * chunk + at])
                    least = both if both < least else least
                low = least if least < low else low
            best[block] = low
        return best

    return kernel


_CHEAPEST = {chunks: _cheapest_of(chunks) for chunks in range(2, 9)}
"""For utterances of up to 255 slots, some half a minute; each is compiled when it is needed first."""
