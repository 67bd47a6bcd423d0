"""Public word vectors as small integers, and the public partition of their words into groups.

Distances are square roots of exact integers, so the triangle inequality, on which every proof here stands, holds to
the last digit.
"""

import dataclasses
import functools
import hashlib
import io
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pipeline.errors import ConfigError, InputError
from pipeline.privacy.partition import balanced_groups

Floats = npt.NDArray[np.float64]
Words = npt.NDArray[np.int32]
"""Word ids: places in ``Embeddings.words``."""

SHIPPED = Path(__file__).resolve().parent / "data" / "embeddings.npz"
"""20,000 words of GloVe 840B (public domain), as benchmarks/training_data/privacy_data.py makes them."""
_FIELDS = ("words", "vectors", "scale", "groups")


@dataclasses.dataclass(frozen=True, eq=False)
class Embeddings:
    """Word vectors [N, D] in steps of ``scale``, and the group of each word [N].

    words: lower case, each once
    """

    words: tuple[str, ...]
    vectors: npt.NDArray[np.int8]
    scale: float
    groups: npt.NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.words)

    @functools.cached_property
    def ids(self) -> dict[str, int]:
        """Every word and its id."""
        return {word: at for at, word in enumerate(self.words)}

    @functools.cached_property
    def content_hash(self) -> str:
        """Of words, vectors and groups; part of what a word's noise depends on."""
        digest = hashlib.sha256("\n".join(self.words).encode())
        for part in (self.vectors, np.float64(self.scale), self.groups):
            digest.update(np.ascontiguousarray(part).tobytes())
        return digest.hexdigest()

    @functools.cached_property
    def _floats(self) -> npt.NDArray[np.float32]:
        return self.vectors.astype(np.float32)

    @functools.cached_property
    def _squares(self) -> npt.NDArray[np.float32]:
        return np.asarray((self._floats**2).sum(axis=1))

    def _products(self, words: Words, others: Words | slice) -> npt.NDArray[np.float32]:
        return np.asarray(self._floats[words] @ self._floats[others].T)

    def alike(self, words: Words, others: range) -> Floats:
        """Return how far ``words`` point to ``others`` [B, M]: the cosine times a word's own length.

        By direction, as lengths say little of meaning: rare words have short vectors and are near everything by
        distance. Products are exact (see ``distances``), and one division rounds alike everywhere, so that orders are
        the same on any processor.
        """
        part = slice(others.start, others.stop)
        lengths = np.sqrt(np.maximum(self._squares[part].astype(np.float64), 1.0))
        return np.asarray(self._products(words, part) / lengths)

    def distances(self, words: Words, others: Words | slice = slice(None)) -> Floats:
        """Return the Euclidean distances [B, M] of ``words`` to ``others``; all words if not given.

        The products are of integers below 2**24 and so exact in float32, in whatever order they are added.
        """
        products = self._products(words, others)
        squares = self._squares[words][:, None] + self._squares[others][None, :] - 2 * products
        return np.sqrt(np.asarray(squares, np.float64)) * self.scale

    @functools.cached_property
    def members(self) -> list[Words]:
        """The word ids of each group, ascending."""
        order = np.argsort(self.groups, kind="stable").astype(np.int32)
        return np.split(order, np.cumsum(np.bincount(self.groups))[:-1])

    def nearest(self, words: Words, count: int) -> Words:
        """Return the ``count`` nearest words [B, count] of each, itself first; equal distances in the order of ids."""
        found = np.empty((len(words), count), np.int32)
        for at in range(0, len(words), _CHUNK):
            distances = self.distances(words[at : at + _CHUNK])
            distances[np.arange(len(distances)), words[at : at + _CHUNK]] = -1.0
            if count < len(self):
                # np.partition leaves ties at its edge in any order: everything up to the edge is sorted, then cut
                edges = np.partition(distances, count - 1, axis=1)[:, count - 1]
                for row, (line, edge) in enumerate(zip(distances, edges, strict=True)):
                    near = np.flatnonzero(line <= edge)
                    found[at + row] = near[np.argsort(line[near], kind="stable")][:count]
            else:
                found[at : at + _CHUNK] = np.argsort(distances, axis=1, kind="stable")
        return found

    def sparsity(self, words: Words) -> Floats:
        """Return the mean distance [B] of words to their ten nearest neighbours: small in dense regions."""
        near = min(11, len(self))
        found = np.empty(len(words))
        for at in range(0, len(words), _CHUNK):
            lines = self.distances(words[at : at + _CHUNK])
            found[at : at + _CHUNK] = np.partition(lines, near - 1, axis=1)[:, :near].sum(axis=1) / max(near - 1, 1)
        return found


_CHUNK = 256
"""Rows of distances at a time: 40 MB with 20,000 words."""


def regrouped(embeddings: Embeddings, size: int) -> Embeddings:
    """Return embeddings with groups of about ``size`` words, at most MOST_GROUP_WORDS; raises ConfigError.

    To be saved and used from that file: computed again on another processor, groups may come out otherwise.
    """
    if not 2 <= size <= MOST_GROUP_WORDS:
        raise ConfigError(f"groups of {size:,} words: needed are 2 to {MOST_GROUP_WORDS:,}.")
    return dataclasses.replace(embeddings, groups=balanced_groups(embeddings.vectors, size))


MOST_GROUP_WORDS = 1000
"""With 20,000 words the probabilities within groups take half a gigabyte then."""


def build(words: list[str], vectors: Floats) -> Embeddings:
    """Return embeddings of real vectors [N, D]: 64 directions at most, rounded to 127 steps, partitioned.

    Raises InputError where words come twice or fewer than two are there.
    """
    if len(words) < 2 or len(set(words)) < len(words):
        raise InputError(
            f"embeddings of {len(words)} words, {len(set(words))} different: needed are two or more, each once."
        )
    centred = vectors - vectors.mean(axis=0)
    if centred.shape[1] > _DIRECTIONS:
        _, directions = np.linalg.eigh(centred.T @ centred)
        centred = centred @ directions[:, ::-1][:, :_DIRECTIONS]
    scale = float(np.quantile(np.abs(centred), _UNCLIPPED)) / 127
    steps = np.clip(np.rint(centred / scale), -127, 127).astype(np.int8)
    return Embeddings(tuple(words), steps, scale, balanced_groups(steps))


_DIRECTIONS, _UNCLIPPED = 64, 0.9995


def save(embeddings: Embeddings, path: Path) -> None:
    """Write embeddings as ``load`` reads them: an .npz without pickles."""
    text = np.frombuffer("\n".join(embeddings.words).encode(), np.uint8)
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        words=text,
        vectors=embeddings.vectors,
        scale=np.float64(embeddings.scale),
        groups=embeddings.groups.astype(np.int16 if embeddings.groups.max() < 2**15 else np.int32),
    )
    path.write_bytes(buffer.getvalue())


@functools.lru_cache(maxsize=2)
def load(path: str | None = None) -> Embeddings:
    """Return the shipped embeddings, or those of an .npz that ``save`` wrote; raises InputError."""
    place = SHIPPED if path is None else Path(path)
    try:
        with np.load(place, allow_pickle=False) as arrays:
            text, vectors, scale, groups = (arrays[name] for name in _FIELDS)
        words = tuple(text.tobytes().decode().split("\n"))
    except (OSError, ValueError, KeyError, UnicodeDecodeError) as error:
        raise InputError(
            f"embeddings {place}: cannot be read ({error}); needed is an .npz with {list(_FIELDS)}, as "
            "`python -m jobs.privacy --build-embeddings` writes it."
        ) from error
    if vectors.ndim != 2 or vectors.dtype != np.int8 or not len(words) == len(vectors) == len(groups):
        raise InputError(
            f"embeddings {place}: {len(words)} words, vectors {vectors.dtype} {vectors.shape}, {len(groups)} groups; "
            "needed is one int8 vector and one group for each word."
        )
    return Embeddings(words, vectors, float(scale), groups.astype(np.int32))


def read_text(path: Path) -> tuple[list[str], Floats]:
    """Return words and vectors of a text file as GloVe and word2vec write them; raises InputError with the line."""
    words: list[str] = []
    rows: list[Floats] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        word, *numbers = line.rstrip().split(" ")
        if number == 1 and len(numbers) == 1:
            continue  # word2vec's head: how many words and directions
        try:
            row = np.array(numbers, np.float64)
        except ValueError as error:
            raise InputError(f"{path}, line {number}: {error}; needed is a word and its numbers.") from error
        if rows and len(row) != len(rows[0]):
            raise InputError(f"{path}, line {number}: {len(row)} numbers, the lines before have {len(rows[0])}.")
        words.append(word)
        rows.append(row)
    return words, np.array(rows)
