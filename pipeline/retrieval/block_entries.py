"""Where the blocks of an index stand: from a block to the pronunciations that have it, in memory or mapped from files.

If the k blocks of a pronunciation cost at most L together, the cheapest of them costs at most L / k. So whoever knows
what each block costs finds all pronunciations within their limits among those of the cheap blocks, and in what is said
few blocks are cheap. What else is needed to judge one stands beside each entry, as what lies elsewhere takes long.
"""

import dataclasses
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pipeline.compiled import array_kernel
from pipeline.retrieval.array_files import fixed, open_arrays, save_arrays
from pipeline.retrieval.sound_index import WIDTH, Ints, SoundIndex
from pipeline.retrieval.spelling_index import SpellingIndex

SEVERAL = 5
"""Blocks of a pronunciation up to which it has entries. Hardly any has more; those are in ``long``."""
PHONES, LETTERS, SUBWORDS, RAREST = 5, 7, 10, 5
"""Bits of the phones of a pronunciation, of the letters of a spelling and of each of RAREST subwords in it: a word."""
assert 1 << PHONES > SEVERAL * WIDTH
assert PHONES + LETTERS + RAREST * SUBWORDS <= 64
ENTITY, SAID, WORD, NEXT = 0, 1, 2, 4
NARROW = 16  # bits of a half
MOST_LETTERS = (1 << LETTERS) - 1
"""Stands for so many and more."""
NO_SUBWORD = (1 << SUBWORDS) - 1
"""Stands for subwords that are not known; they may cost nothing."""


@dataclasses.dataclass(frozen=True)
class BlockEntries:
    """Of an index of the pronunciations of N entities, in B blocks; an entry for each entity of each pronunciation:

    starts:   [B + 1] the entries of block b are starts[b] to starts[b + 1]
    entries:  [P, 6 or 8] all that is looked at of one, side by side, so that the processor fetches it at once:
              ENTITY and SAID, the entity and the pronunciation; WORD, in two parts of 32 bits, from the lowest on the
              phones of the pronunciation, and of the only spelling of the entity its letters and its RAREST subwords
              that are met least on the list; NEXT, the halves of the two blocks of the pronunciation that come next,
              after the last one the first: the left and the right half of one and of the other, in NARROW bits each
              where no index of a half needs more. Of a block that there is not they are one more than the last ones
    long, long_entities: pronunciations of more than SEVERAL blocks, once for each of their entities
    long_parts, long_starts: the blocks of each, one after the other
    said, said_starts: the pronunciations of entity n are said[said_starts[n] : said_starts[n + 1]]
    """

    starts: Ints
    entries: npt.NDArray[np.uint32]
    long: Ints
    long_entities: Ints
    long_parts: npt.NDArray[np.uint32]
    long_starts: Ints
    said: Ints
    said_starts: Ints

    def save(self, folder: Path) -> None:
        """Write a file per array into ``folder``, which must be there."""
        save_arrays(self, folder)


def open_entries(folder: Path) -> BlockEntries:
    """Return the entries whose files lie in ``folder``, mapped into memory; raises InputError if they are not whole."""
    return open_arrays(BlockEntries, folder, "entries of blocks")


def entries_of(index: SoundIndex, spellings: SpellingIndex) -> BlockEntries:
    """Return where the blocks of ``index`` stand; ``spellings``: of the same entities."""
    long = np.flatnonzero(np.diff(index.part_starts) > SEVERAL).astype(np.int32)
    which, long_entities = index.owned(long)
    long = long[which]
    parts = [index.parts[index.part_starts[k] : index.part_starts[k + 1]] for k in long]
    counts = np.bincount(spellings.tokens, minlength=1)
    words = _spelled(spellings.tokens, spellings.starts, spellings.letters, spellings.spellings, counts)
    arrays = (
        *_entries(index.parts, index.part_starts, index.lengths, index.owners, index.owner_starts, words,
                  *_halves(index)),
        long, long_entities, np.concatenate([np.zeros(0, np.uint32), *parts]),
        np.cumsum([0, *map(len, parts)], dtype=np.int32),
        *_by_entity(index.owners, index.owner_starts, index.entities),
    )  # fmt: skip
    fixed(*arrays)
    return BlockEntries(*arrays)


def _halves(index: SoundIndex) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], bool]:
    """Return [B + 1] the left and the right halves of blocks and of none, and whether all fit in NARROW bits."""
    none = len(index.left_lengths), len(index.right_lengths)
    lefts, rights = np.append(index.block_lefts, none[0]), np.append(index.block_rights, none[1])
    return lefts.astype(np.int64), rights.astype(np.int64), max(none) < 1 << NARROW


@array_kernel
def _spelled(tokens, starts, letters, spellings, counts):  # type: ignore[no-untyped-def]
    """[N] what an entry says of the spelling of each entity."""
    words, rarest = np.empty(len(spellings) - 1, np.uint64), np.empty(RAREST, np.int64)
    for entity in range(len(words)):
        size = np.int64(MOST_LETTERS)
        rarest[:] = NO_SUBWORD
        if spellings[entity + 1] - spellings[entity] == 1:
            spelling = spellings[entity]
            size = min(size, np.int64(letters[spelling]))
            for at in range(starts[spelling], starts[spelling + 1]):
                token = np.int64(tokens[at])
                for place in range(RAREST if token < NO_SUBWORD else 0):
                    other = rarest[place]
                    if other == NO_SUBWORD or counts[token] < counts[other]:
                        rarest[place], token = token, other
                    if token == NO_SUBWORD:
                        break
        words[entity] = np.uint64(size) << np.uint64(PHONES)
        for place in range(RAREST):
            words[entity] |= np.uint64(rarest[place]) << np.uint64(PHONES + LETTERS + place * SUBWORDS)
    return words


@array_kernel
def _entries(parts, part_starts, lengths, owners, owner_starts, words, lefts, rights, is_narrow):  # type: ignore[no-untyped-def]
    """Return the first fields of BlockEntries; lefts, rights: [B + 1] the halves of blocks, and of none."""
    blocks = len(lefts) - 1
    starts = np.zeros(blocks + 1, np.int32)
    for k in range(len(lengths)):
        if part_starts[k + 1] - part_starts[k] <= SEVERAL:
            for at in range(part_starts[k], part_starts[k + 1]):
                starts[parts[at] + 1] += owner_starts[k + 1] - owner_starts[k]
    for block in range(blocks):
        starts[block + 1] += starts[block]
    entries, following = np.empty((starts[-1], NEXT + (2 if is_narrow else 4)), np.uint32), starts[:-1].copy()
    for k in range(len(lengths)):
        begin, count = part_starts[k], part_starts[k + 1] - part_starts[k]
        for place in range(count if count <= SEVERAL else 0):
            for owner in range(owner_starts[k], owner_starts[k + 1]):
                at = following[parts[begin + place]]
                following[parts[begin + place]] += 1
                word = words[owners[owner]] | np.uint64(lengths[k])
                entries[at, ENTITY], entries[at, SAID] = owners[owner], k
                entries[at, WORD], entries[at, WORD + 1] = word & np.uint64(2**32 - 1), word >> np.uint64(32)
                for later in range(2):
                    other = parts[begin + (place + 1 + later) % count] if count > 1 + later else blocks
                    if is_narrow:
                        entries[at, NEXT + later] = rights[other] << NARROW | lefts[other]
                    else:
                        entries[at, NEXT + 2 * later], entries[at, NEXT + 2 * later + 1] = lefts[other], rights[other]
    return starts, entries


@array_kernel
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
