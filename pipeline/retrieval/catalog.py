"""What is known of the sound and the spelling of a catalog, each as an index in a part of its own.

The part of the sound is named by a hash of the list, of what pronounces it and of the form of the index, so that it is
found again by whoever has the same; that of the spelling by one of the list and the subwords. Pronunciations are kept
by the content of each entity: a changed list pays for what is new in it, and work that is broken off goes on from the
last thousands of entities.
"""

import collections
import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pipeline.config.fingerprint import content_hash, fingerprint, phonetic_data
from pipeline.entities.catalog import Catalog, write_part
from pipeline.lexicon.pronunciation import Pronouncer
from pipeline.lexicon.said import Keys, Said
from pipeline.retrieval.block_entries import BlockEntries, entries_of, open_entries
from pipeline.retrieval.sound_index import SoundIndex, encode, index_of, open_index
from pipeline.retrieval.spelling_index import SpellingIndex, build_spellings, open_spellings
from pipeline.retrieval.tree_model import TreeIndex, index_tree, open_tree_index, read_tree
from pipeline.types.entity import Entity
from pipeline.types.tokens import Tokens

INDEX_FORMAT = 1
"""Of the arrays of SoundIndex; to be raised when what they hold changes."""
SPELLING_FORMAT = 1
"""The same of SpellingIndex."""
BLOCKS_FORMAT = 4
"""The same of BlockEntries."""
TREE_FORMAT = 1
"""The same of TreeIndex."""
_PIECE = 2_000  # entities that are pronounced and kept together: about a second
_ALONE = 4 * _PIECE  # so few are pronounced here: another process takes seconds to start
Progress = Callable[[int], None]
"""Is told of how many entities more the sound is known."""


def sound_part(catalog: Catalog) -> Path:
    """Return the folder of the catalog's index of pronunciations, there or not."""
    return catalog.folder / f"sound-{catalog.version}-{fingerprint([phonetic_data(), INDEX_FORMAT])}"


def open_sound(catalog: Catalog) -> SoundIndex | None:
    """Return the index of a catalog, mapped into memory; None if it has none for these pronunciations."""
    part = sound_part(catalog)
    return open_index(part) if part.is_dir() else None


def spelling_part(catalog: Catalog, tokens: Tokens) -> Path:
    """Return the folder of the catalog's spellings in the subwords of a model, there or not."""
    return catalog.folder / f"spelling-{catalog.version}-{fingerprint([list(tokens.pieces), SPELLING_FORMAT])}"


def open_spelling(catalog: Catalog, tokens: Tokens) -> SpellingIndex | None:
    """Return the spellings of a catalog, mapped into memory; None if it has none in these subwords."""
    part = spelling_part(catalog, tokens)
    return open_spellings(part) if part.is_dir() else None


def build_spelling(catalog: Catalog, tokens: Tokens) -> None:
    """Write the spellings of a catalog in the subwords of a model, unless they are there."""
    write_part(spelling_part(catalog, tokens), lambda part: build_spellings(catalog.entities, tokens).save(part))


def blocks_part(catalog: Catalog, tokens: Tokens) -> Path:
    """Return the folder of where the blocks of a catalog's pronunciations stand, there or not."""
    depends = [phonetic_data(), INDEX_FORMAT, list(tokens.pieces), SPELLING_FORMAT, BLOCKS_FORMAT]
    return catalog.folder / f"blocks-{catalog.version}-{fingerprint(depends)}"


def open_blocks(catalog: Catalog, tokens: Tokens) -> BlockEntries | None:
    """Return where the blocks of a catalog's pronunciations stand, mapped into memory; None if that is not known."""
    part = blocks_part(catalog, tokens)
    return open_entries(part) if part.is_dir() else None


def build_blocks(catalog: Catalog, tokens: Tokens) -> None:
    """Write where the blocks of a catalog, whose sound and spelling are there, stand, unless that is known."""
    sound, spelling = open_sound(catalog), open_spelling(catalog, tokens)
    assert sound is not None
    assert spelling is not None
    write_part(blocks_part(catalog, tokens), lambda part: entries_of(sound, spelling).save(part))


def tree_part(catalog: Catalog, weights: Path) -> Path:
    """Return the folder of where a catalog's pronunciations lie in the tree of ``weights``, there or not."""
    depends = [phonetic_data(), INDEX_FORMAT, content_hash(str(weights)), TREE_FORMAT]
    return catalog.folder / f"tree-{catalog.version}-{fingerprint(depends)}"


def open_tree(catalog: Catalog, weights: Path) -> TreeIndex | None:
    """Return where a catalog's pronunciations lie in the tree, mapped into memory; None if that is not known."""
    part = tree_part(catalog, weights)
    return open_tree_index(part) if part.is_dir() else None


def build_tree(catalog: Catalog, weights: Path) -> None:
    """Write where the pronunciations of a catalog, whose sound is there, lie in the tree, unless that is known."""
    sound = open_sound(catalog)
    assert sound is not None
    write_part(tree_part(catalog, weights), lambda part: index_tree(sound, read_tree(weights)).save(part))


def build_sound(catalog: Catalog, kept: Path, workers: int, progress: Progress = lambda _: None) -> None:
    """Build the index of a catalog, unless it is there.

    kept: folder below which pronunciations are kept, whatever lists they are for
    workers: processes that pronounce
    """
    part = sound_part(catalog)
    if part.is_dir():
        return
    said = Said(kept / f"said-{fingerprint(phonetic_data())}")
    known, _ = said.find(catalog.digests)
    progress(int(known.sum()))
    new = np.flatnonzero(~known)
    for indices, values in _pronounced(catalog, new, workers):
        said.add(np.ascontiguousarray(catalog.digests[indices]), values)
        progress(len(indices))
    said.join()
    write_part(part, lambda folder: _index(catalog.digests, said).save(folder))


def _index(keys: Keys, said: Said) -> SoundIndex:
    _, values = said.find(keys)
    offsets = np.frombuffer(values.buffers()[1], np.int64)[values.offset : values.offset + len(values) + 1]
    data = values.buffers()[2]
    codes = np.frombuffer(data if data is not None else b"", np.uint8)[offsets[0] : offsets[-1]]
    return index_of(codes, np.diff(offsets))


def _pronounced(
    catalog: Catalog, new: npt.NDArray[np.int64], workers: int
) -> Iterator[tuple[npt.NDArray[np.int64], Sequence[bytes]]]:
    """Yield (indices, the pronunciations of each), piece by piece."""
    pieces = [new[at : at + _PIECE] for at in range(0, len(new), _PIECE)]
    if len(new) <= _ALONE or workers < 2:
        for piece in pieces:
            yield piece, _pronounce(catalog.at(piece.tolist()))
        return
    # Not forked: this process has threads (Arrow, numba), which a forked one would wait for without end.
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        waiting = collections.deque[tuple[npt.NDArray[np.int64], Future[list[bytes]]]]()
        for piece in pieces:
            waiting.append((piece, pool.submit(_pronounce, catalog.at(piece.tolist()))))
            if len(waiting) > 2 * workers:
                first, future = waiting.popleft()
                yield first, future.result()
        for rest, future in waiting:
            yield rest, future.result()


_OWN: list[Pronouncer] = []


def _pronounce(entities: Sequence[Entity]) -> list[bytes]:
    if not _OWN:
        _OWN.append(Pronouncer())
    return [encode(_OWN[0].entity(entity)) for entity in entities]
