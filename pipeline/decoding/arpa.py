"""ARPA files, plain or gzip, read into the same arrays as KenLM binaries."""

import gzip
import io
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from pipeline.decoding.kenlm_binary import NgramArrays, combine
from pipeline.errors import ModelError

_MISSING_UNKNOWN = -100.0  # what KenLM gives <unk> when the file has none


def read_arpa(path: Path) -> NgramArrays:
    """Read an ARPA file; raises ModelError naming the line that cannot be understood."""
    try:
        with path.open("rb") as raw, gzip.open(raw) if _is_gzip(path) else raw as file:
            return _read(enumerate(io.TextIOWrapper(file, "utf-8"), 1))
    except (ValueError, KeyError, IndexError, UnicodeDecodeError, OSError, EOFError, zlib.error) as error:
        raise ModelError(
            f"language model {path} is neither a KenLM binary nor a complete ARPA file: {error}"
        ) from error


def _is_gzip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == b"\x1f\x8b"


def _read(lines: Iterator[tuple[int, str]]) -> NgramArrays:
    ids = {"<unk>": 0}
    unigrams: list[tuple[float, float]] = [(_MISSING_UNKNOWN, 0.0)]
    keys, values, order, bigrams = [], [], 0, np.zeros((0, 2), np.int32)
    for _, line in lines:
        if not line.startswith("\\") or not line.rstrip().endswith("-grams:"):
            continue
        order = int(line[1 : line.index("-")])
        rows = list(_section(lines, order))
        if order == 1:
            for probability, words, backoff in rows:
                word = "<unk>" if words[0] == "<UNK>" else words[0]
                if ids.setdefault(word, len(unigrams)) == len(unigrams):
                    unigrams.append((0.0, 0.0))
                unigrams[ids[word]] = (probability, backoff)
        elif rows:
            grams = np.array([[ids[word] for word in words] for _, words, _ in rows], np.uint64)
            key = grams[:, -1]
            bigrams = grams.astype(np.int32) if order == 2 else bigrams
            for column in range(order - 2, -1, -1):
                key = combine(key, grams[:, column])
            keys.append(key)
            values.append(np.array([(probability, backoff) for probability, _, backoff in rows], np.float32))
    if order == 0:
        raise ValueError("it has no \\1-grams: section")
    longer = np.concatenate(values) if values else np.zeros((0, 2), np.float32)
    key = np.concatenate(keys) if keys else np.zeros(0, np.uint64)
    return NgramArrays(order, list(ids), np.array(unigrams, np.float32), key, longer, bigrams)


def _section(lines: Iterator[tuple[int, str]], order: int) -> Iterator[tuple[float, list[str], float]]:
    """Rows of one order until the empty line that ends it."""
    for number, line in lines:
        parts = line.split()
        if not parts:
            return
        if len(parts) not in (order + 1, order + 2):
            raise ValueError(f"line {number} has {len(parts)} fields, an {order}-gram has {order + 1} or {order + 2}")
        yield float(parts[0]), parts[1 : order + 1], float(parts[order + 1]) if len(parts) == order + 2 else 0.0
