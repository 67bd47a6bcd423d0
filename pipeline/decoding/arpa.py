"""ARPA files, plain or packed (gzip, bzip2, xz), read into the same arrays as KenLM binaries.

The rule is KenLM's: half a model is no model. The counts of ``\\data\\`` must be those of the sections, in order and
all there, every word of a longer n-gram must be a unigram, and ``\\end\\`` must end the file. Empty lines may be
missing.
"""

import bz2
import gzip
import io
import lzma
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np

from pipeline.decoding.kenlm_binary import NgramArrays, combine
from pipeline.errors import ModelError

_MISSING_UNKNOWN = -100.0  # what KenLM gives <unk> when the file has none
_COUNT = re.compile(rb"ngram\s+([0-9]+)\s*=\s*([0-9]+)\s*\Z")
_PACKED = ((b"\x1f\x8b", gzip.open), (b"BZh", bz2.open), (b"\xfd7zXZ\0", lzma.open))
Lines = Iterator[tuple[int, bytes]]
"""Line number and content without white space around it; no empty ones."""


def read_arpa(path: Path) -> NgramArrays:
    """Read an ARPA file; raises ModelError naming the line that cannot be understood, or what is missing."""
    try:
        with open_packed(path) as file:
            return _read((number, line.strip()) for number, line in enumerate(file, 1) if not line.isspace())
    except (ValueError, KeyError, IndexError, OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise ModelError(
            f"language model {path} is neither a KenLM binary nor a complete ARPA file: {error}"
        ) from error


def open_packed(path: Path) -> IO[bytes]:
    """Open a file that may be packed with gzip, bzip2 or xz; what it is packed with is told by its first bytes."""
    with path.open("rb") as file:
        head = file.read(6)
    opened = next((packed(path) for magic, packed in _PACKED if head.startswith(magic)), None)
    return path.open("rb") if opened is None else io.BufferedReader(opened)


def _read(lines: Lines) -> NgramArrays:
    counts, line = _counts(lines)
    ids = {"<unk>": 0}
    unigrams: list[tuple[float, float]] = [(_MISSING_UNKNOWN, 0.0)]
    keys, values, bigrams = [], [], np.zeros((0, 2), np.int32)
    for order, count in enumerate(counts, start=1):
        _expect(line, rb"\%d-grams:" % order)
        rows = _section(lines, order, count)
        if order == 1:
            for _, probability, words, backoff in rows:
                word = "<unk>" if words[0] == b"<UNK>" else words[0].decode()
                if ids.setdefault(word, len(unigrams)) == len(unigrams):
                    unigrams.append((0.0, 0.0))
                unigrams[ids[word]] = (probability, backoff)
        elif count:
            known = {word.encode(): id_ for word, id_ in ids.items()} | {b"<UNK>": 0}
            grams, scores = _longer(rows, known, order)
            key = grams[:, -1]
            bigrams = grams.astype(np.int32) if order == 2 else bigrams
            for column in range(order - 2, -1, -1):
                key = combine(key, grams[:, column])
            keys.append(key)
            values.append(scores)
        else:
            list(rows)
        line = next(lines, (0, b""))
    _expect(line, rb"\end" + b"\\")
    longer = np.concatenate(values) if values else np.zeros((0, 2), np.float32)
    key = np.concatenate(keys) if keys else np.zeros(0, np.uint64)
    return NgramArrays(len(counts), list(ids), np.array(unigrams, np.float32), key, longer, bigrams)


def _longer(
    rows: Iterator[tuple[int, float, list[bytes], float]], known: dict[bytes, int], order: int
) -> tuple[np.ndarray[tuple[int, int], np.dtype[np.uint64]], np.ndarray[tuple[int, int], np.dtype[np.float32]]]:
    """Return the word ids [N, order] and the log10 probabilities and backoffs [N, 2] of one order's rows."""
    grams, scores = [], []
    for number, probability, words, backoff in rows:
        try:
            grams.append([known[word] for word in words])
        except KeyError as error:
            word = error.args[0].decode(errors="replace")
            raise ValueError(f"line {number}: the word '{word}' of a {order}-gram is no 1-gram") from error
        scores.append((probability, backoff))
    return np.array(grams, np.uint64), np.array(scores, np.float32)


def _counts(lines: Lines) -> tuple[list[int], tuple[int, bytes]]:
    """Return the number of n-grams of each order as the head states it, and the line after the head."""
    _expect(next(lines, (0, b"")), rb"\data" + b"\\")
    counts: list[int] = []
    for number, line in lines:
        found = _COUNT.match(line)
        if found is None:
            if not counts:
                break
            return counts, (number, line)
        if int(found[1]) != len(counts) + 1:
            raise ValueError(
                f"line {number} counts {found[1].decode()}-grams, needed is the count of {len(counts) + 1}"
            )
        counts.append(int(found[2]))
    raise ValueError("it has no sections, or no counts of n-grams in its head")


def _expect(line: tuple[int, bytes], wanted: bytes) -> None:
    if line[1] != wanted:
        at = f"line {line[0]} is '{line[1][:60].decode(errors='replace')}'" if line[0] else "the file ends"
        raise ValueError(f"{at}, needed is '{wanted.decode()}'")


def _section(lines: Lines, order: int, count: int) -> Iterator[tuple[int, float, list[bytes], float]]:
    """Yield (line, probability, words, backoff) of the ``count`` n-grams of one order."""
    for read in range(count):
        number, line = next(lines, (0, b""))
        if not number or line.startswith(b"\\"):
            at = f"line {number} ends them" if number else "the file ends"
            raise ValueError(f"its head counts {count:,} {order}-grams, {at} after {read:,}")
        parts = line.split()
        if len(parts) not in (order + 1, order + 2):
            raise ValueError(f"line {number} has {len(parts)} fields, an {order}-gram has {order + 1} or {order + 2}")
        probability, backoff = float(parts[0]), float(parts[order + 1]) if len(parts) == order + 2 else 0.0
        if not probability <= 0:
            raise ValueError(f"line {number} has the log probability {probability:g}, needed is at most 0")
        yield number, probability, parts[1 : order + 1], backoff
