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

SEVERAL = 3
"""Blocks of a pronunciation up to which it has entries. Hardly any has more; those are in ``long``."""
PHONES, LETTERS, SUBWORDS = 5, 7, 10
"""Bits of the phones of a pronunciation, of the letters of a spelling and of each of two subwords in it: WORD."""
assert 1 << PHONES > SEVERAL * WIDTH
WORD = PHONES + LETTERS + 2 * SUBWORDS  # 32
MOST_LETTERS = (1 << LETTERS) - 1
"""Stands for so many and more."""
NO_SUBWORD = (1 << SUBWORDS) - 1
"""Stands for subwords that are not known; they may cost nothing."""


@dataclasses.dataclass(frozen=True)
class BlockEntries:
    """Of an index of the pronunciations of N entities, in B blocks; an entry for each entity of each pronunciation:

    starts:   [B + 1] the entries of block b are starts[b] to starts[b + 1]
    words:    [P] from the lowest bits on the phones of the pronunciation, and of the only spelling of the entity its
              letters and its two subwords that are met least on the list
    entries:  [P, 3] the entity, and two other blocks of the pronunciation; B for each that there is not
    long, long_entities: pronunciations of more than SEVERAL blocks, once for each of their entities
    long_parts, long_starts: the blocks of each, one after the other
    said, said_starts: the pronunciations of entity n are said[said_starts[n] : said_starts[n + 1]]
    """

    starts: Ints
    words: npt.NDArray[np.uint32]
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
                  len(index.block_lefts)),
        long, long_entities, np.concatenate([np.zeros(0, np.uint32), *parts]),
        np.cumsum([0, *map(len, parts)], dtype=np.int32),
        *_by_entity(index.owners, index.owner_starts, index.entities),
    )  # fmt: skip
    fixed(*arrays)
    return BlockEntries(*arrays)


@array_kernel
def _spelled(tokens, starts, letters, spellings, counts):  # type: ignore[no-untyped-def]
    """[N] what an entry says of the spelling of each entity."""
    words = np.empty(len(spellings) - 1, np.uint32)
    for entity in range(len(words)):
        size, first, second = np.int64(MOST_LETTERS), np.int64(NO_SUBWORD), np.int64(NO_SUBWORD)
        if spellings[entity + 1] - spellings[entity] == 1:
            spelling = spellings[entity]
            size = min(size, np.int64(letters[spelling]))
            for at in range(starts[spelling], starts[spelling + 1]):
                token = np.int64(tokens[at])
                if token >= NO_SUBWORD:
                    continue
                if first == NO_SUBWORD or counts[token] < counts[first]:
                    first, second = token, first
                elif second == NO_SUBWORD or counts[token] < counts[second]:
                    second = token
        words[entity] = ((second << SUBWORDS | first) << LETTERS | size) << PHONES
    return words


@array_kernel
def _entries(parts, part_starts, lengths, owners, owner_starts, words, blocks):  # type: ignore[no-untyped-def]
    """Return the first fields of BlockEntries."""
    starts = np.zeros(blocks + 1, np.int32)
    for k in range(len(lengths)):
        if part_starts[k + 1] - part_starts[k] <= SEVERAL:
            for at in range(part_starts[k], part_starts[k + 1]):
                starts[parts[at] + 1] += owner_starts[k + 1] - owner_starts[k]
    for block in range(blocks):
        starts[block + 1] += starts[block]
    said, entries, following = np.empty(starts[-1], np.uint32), np.empty((starts[-1], 3), np.uint32), starts[:-1].copy()
    for k in range(len(lengths)):
        begin, count = part_starts[k], part_starts[k + 1] - part_starts[k]
        for place in range(count if count <= SEVERAL else 0):
            for owner in range(owner_starts[k], owner_starts[k + 1]):
                at = following[parts[begin + place]]
                following[parts[begin + place]] += 1
                entries[at, 0] = owners[owner]
                entries[at, 1] = parts[begin + (place + 1) % count] if count > 1 else blocks
                entries[at, 2] = parts[begin + (place + 2) % count] if count > 2 else blocks
                said[at] = words[owners[owner]] | lengths[k]
    return starts, said, entries


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
