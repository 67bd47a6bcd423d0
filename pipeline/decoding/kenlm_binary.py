"""KenLM binary files read into plain arrays, bit by bit as KenLM lays them out (lm/binary_format.cc, lm/trie.cc).

Probing files store hash tables whose keys are chained word hashes; trie files store a bit-packed trie over reversed
n-grams, with or without quantised values. Both become one flat table of (key, log10 probability, log10 backoff).
"""

import dataclasses
import math
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pipeline.errors import ModelError

MAGIC = b"mmap lm http://kheafield.com/code format version 5\n\0"
_HEADER = 88  # aligned magic (56), 3 floats, 3 words, one 64-bit one
_FIXED = 20  # order, probing multiplier, type, has_vocabulary, search version
_PROBING, _TRIE, _QUANTISED_TRIE = 0, 2, 3
_FLOAT31, _FLOAT32 = 31, 32  # bits of an unquantised probability (its sign is known) and backoff
_COMBINE_OLD = np.uint64(8978948897894561157)
_COMBINE_NEW = np.uint64(17894857484156487943)


@dataclasses.dataclass(frozen=True)
class NgramArrays:
    """An n-gram model as arrays. Word ids index the unigram arrays, id 0 is <unk>.

    order:    longest n-gram
    words:    text of every id
    unigrams: [V, 2] float32, log10 probability and log10 backoff
    keys:     [N] uint64 of all longer n-grams: the last word's id combined with the words before it, right to left
    values:   [N, 2] float32, as for unigrams
    bigrams:  [B, 2] int32 ids (previous, last) of the first B rows of keys; None where only their hashes are known
    """

    order: int
    words: list[str]
    unigrams: npt.NDArray[np.float32]
    keys: npt.NDArray[np.uint64]
    values: npt.NDArray[np.float32]
    bigrams: npt.NDArray[np.int32] | None = None


def combine(keys: npt.NDArray[np.uint64], words: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Extend n-gram keys by one word to the left, as KenLM's CombineWordHash does (wraps around at 64 bits)."""
    with np.errstate(over="ignore"):
        return (keys * _COMBINE_OLD) ^ ((words + np.uint64(1)) * _COMBINE_NEW)


def read_binary(path: Path) -> NgramArrays:
    """Read a probing or trie binary with its vocabulary; raises ModelError for other kinds and for cut files."""
    data = np.fromfile(path, np.uint8)
    try:
        return _read(data)
    except (IndexError, ValueError) as error:
        raise ModelError(f"language model {path}: {error}. Rebuild it: build_binary trie MODEL.arpa {path}") from error


def _read(data: npt.NDArray[np.uint8]) -> NgramArrays:
    order, kind = int(data[_HEADER]), int(data[_HEADER + 8 : _HEADER + 12].view(np.int32)[0])
    multiplier = float(data[_HEADER + 4 : _HEADER + 8].view(np.float32)[0])
    if not data[_HEADER + 12]:
        raise ValueError("the binary was built without its vocabulary")
    if kind not in (_PROBING, _TRIE, _QUANTISED_TRIE):
        raise ValueError(f"the binary is of KenLM's kind {kind}; needed is probing or trie without array compression")
    start = _HEADER + _FIXED
    counts = data[start : start + 8 * order].view(np.uint64).astype(np.int64).tolist()
    reader = _Reader(data, math.ceil((start + 8 * order) / 8) * 8)
    if kind == _PROBING:
        unigrams, keys, values, bigrams = _read_probing(reader, counts, multiplier)
    else:
        unigrams, keys, values, bigrams = _read_trie(reader, counts, quantised=kind == _QUANTISED_TRIE)
    words = data[reader.at :].tobytes().decode().split("\0")[:-1]
    if len(words) != counts[0] and len(words) != counts[0] + 1:
        raise ValueError(f"its vocabulary has {len(words)} words, its header says {counts[0]}")
    return NgramArrays(order, words, unigrams[: len(words)], keys, values, bigrams)


class _Reader:
    """A position in the file."""

    def __init__(self, data: npt.NDArray[np.uint8], at: int) -> None:
        self.data, self.at = data, at

    def take(self, size: int) -> npt.NDArray[np.uint8]:
        self.at += size
        if self.at > len(self.data):
            raise ValueError(f"the file ends at byte {len(self.data)}, {self.at} were expected")
        return self.data[self.at - size : self.at]


_Tables = tuple[npt.NDArray[np.float32], npt.NDArray[np.uint64], npt.NDArray[np.float32], npt.NDArray[np.int32] | None]


def _read_probing(reader: _Reader, counts: list[int], multiplier: float) -> _Tables:
    reader.take(8 + 12 * _buckets(counts[0], multiplier))  # vocabulary: header, then (hash, id) of 12 bytes
    unigrams = reader.take(8 * (counts[0] + 1)).view(np.float32).reshape(-1, 2).copy()
    keys, values = [], []
    for index, count in enumerate(counts[1:], 2):
        longest = index == len(counts)
        width = 12 if longest else 16
        table = reader.take(width * _buckets(count, multiplier)).reshape(-1, width)
        table = table[table[:, :8].copy().view(np.uint64)[:, 0] != 0]
        keys.append(table[:, :8].copy().view(np.uint64)[:, 0])
        value = np.zeros((len(table), 2), np.float32)
        value[:, : (width - 8) // 4] = table[:, 8:].copy().view(np.float32)
        values.append(value)
    longer = np.concatenate(values) if values else np.zeros((0, 2), np.float32)
    # KenLM keeps a flag in the probability's sign bit; probabilities themselves are never positive.
    unigrams[:, 0], longer[:, 0] = -np.abs(unigrams[:, 0]), -np.abs(longer[:, 0])
    return unigrams, np.concatenate(keys) if keys else np.zeros(0, np.uint64), longer, None


def _buckets(entries: int, multiplier: float) -> int:
    return max(entries + 1, int(np.float32(multiplier) * np.float32(entries)))


def _read_trie(reader: _Reader, counts: list[int], quantised: bool) -> _Tables:
    reader.take(8 + 8 * counts[0])  # vocabulary: its size, then sorted hashes
    bins = _read_bins(reader, len(counts)) if quantised else None
    rows = reader.take(16 * (counts[0] + 2)).view([("value", np.float32, 2), ("next", np.uint64)])
    parents, next_ = np.arange(counts[0], dtype=np.uint64), rows["next"][: counts[0] + 1].astype(np.int64)
    unigrams = rows["value"][: counts[0] + 1].copy()
    keys, values, bigrams = [], [], np.zeros((0, 2), np.int32)
    for index in range(1, len(counts)):
        level = _read_level(reader, counts, index, bins)
        parents = np.repeat(parents, np.diff(next_))
        if index == 1:
            bigrams = np.stack([level.words, parents], axis=1).astype(np.int32)
        parents = combine(parents, level.words)
        keys.append(parents)
        values.append(level.values)
        next_ = level.next
    return unigrams, np.concatenate(keys), np.concatenate(values), bigrams


_Bins = list[tuple[npt.NDArray[np.float32], npt.NDArray[np.float32] | None]]


def _read_bins(reader: _Reader, order: int) -> _Bins:
    """Quantisation tables: probability and backoff centres of the middle orders, probability centres of the last."""
    header = reader.take(8)
    if header[0] != 2:  # KenLM's kSeparatelyQuantizeVersion
        raise ValueError(f"its quantisation has version {header[0]}, known is 2")
    sizes = 4 << int(header[1]), 4 << int(header[2])
    bins: _Bins = []
    for _ in range(order - 2):
        bins.append((reader.take(sizes[0]).view(np.float32), reader.take(sizes[1]).view(np.float32)))
    return [*bins, (reader.take(sizes[0]).view(np.float32), None)]


@dataclasses.dataclass(frozen=True)
class _Level:
    """One order of a trie: the word added on the left, its values, and where each entry's children begin."""

    words: npt.NDArray[np.uint64]
    values: npt.NDArray[np.float32]
    next: npt.NDArray[np.int64]


def _read_level(reader: _Reader, counts: list[int], index: int, bins: _Bins | None) -> _Level:
    longest = index == len(counts) - 1
    word_bits = counts[0].bit_length()
    table = None if bins is None else bins[index - 1]
    prob_bits = _FLOAT31 if table is None else len(table[0]).bit_length() - 1
    backoff_bits = 0
    if not longest:
        backoff_bits = _FLOAT32 if table is None or table[1] is None else len(table[1]).bit_length() - 1
    next_bits = 0 if longest else counts[index + 1].bit_length()
    total = word_bits + prob_bits + backoff_bits + next_bits
    packed = reader.take(((1 + counts[index]) * total + 7) // 8 + 8)
    starts = np.arange(counts[index] + 1, dtype=np.int64) * total
    # Quantised middle entries keep the backoff first, unquantised ones the probability (lm/quantize.hh).
    prob_at = word_bits + (backoff_bits if table is not None else 0)
    backoff_at = word_bits + (0 if table is not None else prob_bits)
    values = np.zeros((counts[index], 2), np.float32)
    values[:, 0] = _probability(_bits(packed, starts[:-1] + prob_at, prob_bits), table)
    if not longest:
        values[:, 1] = _backoff(_bits(packed, starts[:-1] + backoff_at, backoff_bits), table)
    next_ = _bits(packed, starts + word_bits + prob_bits + backoff_bits, next_bits).astype(np.int64)
    return _Level(_bits(packed, starts[:-1], word_bits), values, next_)


def _bits(packed: npt.NDArray[np.uint8], at: npt.NDArray[np.int64], width: int) -> npt.NDArray[np.uint64]:
    """Unsigned integers of ``width`` bits (at most 57) at bit offsets ``at``, little-endian."""
    result = np.zeros(len(at), np.uint64)
    if width == 0:
        return result
    first = at >> 3
    for byte in range((width + 7) // 8 + 1):
        index = np.minimum(first + byte, len(packed) - 1)
        if byte < 8:
            result |= packed[index].astype(np.uint64) << np.uint64(8 * byte)
    return (result >> (at & 7).astype(np.uint64)) & np.uint64((1 << width) - 1)


def _probability(
    raw: npt.NDArray[np.uint64], table: tuple[npt.NDArray[np.float32], object] | None
) -> npt.NDArray[np.float32]:
    if table is not None:
        return table[0][raw.astype(np.int64)]
    return (raw.astype(np.uint32) | np.uint32(1 << 31)).view(np.float32)


def _backoff(
    raw: npt.NDArray[np.uint64], table: tuple[object, npt.NDArray[np.float32] | None] | None
) -> npt.NDArray[np.float32]:
    if table is not None and table[1] is not None:
        return table[1][raw.astype(np.int64)]
    return raw.astype(np.uint32).view(np.float32)
