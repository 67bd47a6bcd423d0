"""The pronunciations of a list as arrays: what the strategy ``phonetic`` searches, in memory or mapped from files.

Every different pronunciation stands there once, in the order of its phones, cut into blocks of at most WIDTH phones
of nearly the same length, and each block into a left and a right half. There are few halves (a million names have some
30,000 of either), so how well each fits an utterance is found once, and says of every pronunciation what it costs at
least.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.compiled import array_kernel
from pipeline.errors import InputError
from pipeline.lexicon.phones import ARPABET, Pronunciation, Units
from pipeline.retrieval.array_files import open_arrays, save_arrays

WIDTH = 6
"""Most phones of a block."""
HALF = WIDTH // 2
_BITS = 6  # of a phone in the code of a block; MOST_UNITS of pipeline.lexicon.phones follows from it

Bytes = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int32]
_Kind = TypeVar("_Kind", bound=np.generic)


@dataclasses.dataclass(frozen=True)
class SoundIndex:
    """K different pronunciations of N entities, in blocks of which there are B.

    phones, starts: pronunciation k is phones[starts[k] : starts[k + 1]], as indices into PHONES; k goes in their order
    lengths: [K] its phones
    owners, owner_starts: the entities that have it, owners[owner_starts[k] : owner_starts[k + 1]]
    parts, part_starts: its blocks, in their order; after the last ones stand two that are none, for loops to read
    block_lefts, block_rights: [B] the halves of each block
    left_phones, left_lengths: [H, HALF] and [H] the left halves, sorted; left_shared: [H] phones that each has in
            common with the one before
    right_phones, right_lengths, right_shared: the right halves in the same way, read backwards
    silent: entities without any pronunciation
    size:   [2] N, and the most phones of a pronunciation
    """

    phones: Bytes
    starts: Ints
    lengths: npt.NDArray[np.uint16]
    owners: Ints
    owner_starts: Ints
    parts: npt.NDArray[np.uint32]
    part_starts: Ints
    block_lefts: Ints
    block_rights: Ints
    left_phones: Bytes
    left_lengths: Bytes
    left_shared: Bytes
    right_phones: Bytes
    right_lengths: Bytes
    right_shared: Bytes
    silent: Ints
    size: Ints

    @property
    def entities(self) -> int:
        return int(self.size[0])

    def owned(self, pronunciations: Ints) -> tuple[npt.NDArray[np.int64], Ints]:
        """Return for each entity that has one of ``pronunciations`` which of them it is, and the entity."""
        begins, ends = self.owner_starts[pronunciations], self.owner_starts[pronunciations + 1]
        counts = (ends - begins).astype(np.int64)
        which = np.repeat(np.arange(len(counts)), counts)
        inside = np.arange(len(which)) - np.repeat(np.cumsum(counts) - counts, counts)
        return which, self.owners[begins[which] + inside]

    @property
    def longest(self) -> int:
        return int(self.size[1])

    def save(self, folder: Path) -> None:
        """Write a file per array into ``folder``, which must be there."""
        save_arrays(self, folder)


def open_index(folder: Path) -> SoundIndex:
    """Return the index whose files lie in ``folder``, mapped into memory; raises InputError if it is not whole."""
    return open_arrays(SoundIndex, folder, "index of pronunciations")


def encode(pronunciations: Sequence[Pronunciation], units: Units = ARPABET) -> bytes:
    """Return pronunciations as bytes: a byte per phone, its index into PHONES plus 1, and 0 after each."""
    ids = units.ids
    return b"".join(bytes(ids[phone] + 1 for phone in one) + b"\0" for one in pronunciations)


def build_index(said: Sequence[bytes]) -> SoundIndex:
    """Return the index of entities of which each is said in the ways that ``encode`` gave."""
    codes = np.frombuffer(b"".join(said), np.uint8)
    return index_of(codes, np.fromiter(map(len, said), np.int64, len(said)))


def index_of(codes: Bytes, sizes: npt.NDArray[np.int64]) -> SoundIndex:
    """Return the index of [N] entities; ``sizes`` are the bytes of each in ``codes``, as ``encode`` gave them."""
    ends = np.flatnonzero(codes == 0)
    owners = np.searchsorted(np.cumsum(sizes), ends, side="right")
    return _build(codes, ends, owners, len(sizes))


def _build(codes: Bytes, ends: npt.NDArray[np.int64], owners: npt.NDArray[np.int64], entities: int) -> SoundIndex:
    if len(codes) >= 2**31:
        raise InputError(f"a list with {len(codes):,} phones in all; needed are fewer than 2**31, so split the list.")
    spelled, lengths, which = _different(codes, ends)
    if lengths.max(initial=0) >= 2**16:
        raise InputError(f"a pronunciation of {lengths.max():,} phones; needed are fewer than {2**16:,}.")
    phones, starts = spelled - np.uint8(1), np.concatenate([[0], np.cumsum(lengths)])
    order = np.argsort(which, kind="stable")
    owner_starts = np.concatenate([[0], np.cumsum(np.bincount(which, minlength=len(lengths)))])
    part_starts = np.concatenate([[0], np.cumsum(-(-lengths // WIDTH))])
    blocks, parts = _frequent_first(_codes(phones, starts, part_starts))
    halves = [np.unique(codes, return_inverse=True) for codes in _halves(blocks)]
    (left_phones, left_lengths, left_shared), (right_phones, right_lengths, right_shared) = (
        _spelled(codes) for codes, _ in halves
    )
    said = np.zeros(entities, np.bool_)
    said[owners] = True
    return SoundIndex(
        phones=_kept(phones, np.uint8),
        starts=_kept(starts, np.int32),
        lengths=_kept(lengths, np.uint16),
        owners=_kept(owners[order], np.int32),
        owner_starts=_kept(owner_starts, np.int32),
        parts=_kept(np.append(parts, [0, 0]), np.uint32),
        part_starts=_kept(part_starts, np.int32),
        block_lefts=_kept(halves[0][1].reshape(-1), np.int32),
        block_rights=_kept(halves[1][1].reshape(-1), np.int32),
        left_phones=left_phones,
        left_lengths=left_lengths,
        left_shared=left_shared,
        right_phones=right_phones,
        right_lengths=right_lengths,
        right_shared=right_shared,
        silent=_kept(np.flatnonzero(~said), np.int32),
        size=_kept(np.array([entities, lengths.max(initial=0)]), np.int32),
    )


def _frequent_first(codes: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the different codes, those that are met often before the others, and which of them each is.

    What is looked up most often then lies together in the processor's cache.
    """
    different, which, counts = np.unique(codes, return_inverse=True, return_counts=True)
    order = np.argsort(-np.minimum(np.log2(counts).astype(np.int64), 4), kind="stable")
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    return different[order], place[which.reshape(-1)]


def _spelled(codes: npt.NDArray[np.int64]) -> tuple[Bytes, Bytes, Bytes]:
    """Return the phones of sorted halves, how many each has, and how many it shares with the one before."""
    digits = codes[:, None] >> _BITS * np.arange(HALF - 1, -1, -1) & (1 << _BITS) - 1  # 0 where there is none
    before = np.concatenate([np.full((min(1, len(codes)), HALF), -1), digits[:-1]])
    shared = np.cumprod((digits == before) & (digits > 0), 1).sum(1)
    phones, lengths = np.maximum(digits - 1, 0), (digits > 0).sum(1)
    return _kept(phones, np.uint8), _kept(lengths, np.uint8), _kept(shared, np.uint8)


def _kept(values: npt.NDArray[np.generic], kind: type[_Kind]) -> npt.NDArray[_Kind]:
    """Return ``values`` not to be written, as what comes from files: the kernels are compiled for one kind of array."""
    kept: npt.NDArray[_Kind] = np.ascontiguousarray(values, kind)
    kept.flags.writeable = False
    return kept


def _different(codes: Bytes, ends: npt.NDArray[np.int64]) -> tuple[Bytes, npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the different texts that end before ``ends``, sorted and one after the other, their lengths, and which
    of them each is."""
    offsets = np.concatenate([[0], ends - np.arange(len(ends))])
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(codes[codes > 0])]
    texts = pa.Array.from_buffers(pa.large_binary(), len(ends), buffers).dictionary_encode()
    order = pc.sort_indices(texts.dictionary).to_numpy()
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    different = texts.dictionary.take(pa.array(order))
    data = different.buffers()[2]
    flat = np.frombuffer(data, np.uint8) if data is not None else np.zeros(0, np.uint8)
    lengths = pc.binary_length(different).to_numpy()
    return flat[: lengths.sum()], lengths.astype(np.int64), place[texts.indices.to_numpy()]


@array_kernel
def _codes(phones, starts, part_starts):  # type: ignore[no-untyped-def]
    """[Q] the code of every block of every pronunciation: its phones plus 1 as digits, the first one the highest."""
    codes = np.zeros(part_starts[-1], np.int64)
    for k in range(len(starts) - 1):
        begin, length = starts[k], starts[k + 1] - starts[k]
        first, count = part_starts[k], part_starts[k + 1] - part_starts[k]
        for part in range(count):
            code, low, high = 0, begin + length * part // count, begin + length * (part + 1) // count
            for place in range(WIDTH):
                code <<= _BITS
                if low + place < high:
                    code |= phones[low + place] + 1
            codes[first + part] = code
    return codes


@array_kernel
def _halves(blocks):  # type: ignore[no-untyped-def]
    """[2, B] the codes of the left halves of blocks, and of the right ones read backwards."""
    halves, mask = np.zeros((2, len(blocks)), np.int64), (1 << _BITS) - 1
    for at in range(len(blocks)):
        length = 0
        while length < WIDTH and blocks[at] >> _BITS * (WIDTH - 1 - length) & mask:
            length += 1
        middle = (length + 1) // 2
        for place in range(length):
            digit = blocks[at] >> _BITS * (WIDTH - 1 - place) & mask
            if place < middle:
                halves[0, at] |= digit << _BITS * (HALF - 1 - place)
            else:
                halves[1, at] |= digit << _BITS * (HALF - 1 - (length - 1 - place))
    return halves
