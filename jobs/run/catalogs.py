"""Large lists become catalogs before workers read them: an index is built once, and mapped by every worker."""

import dataclasses
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from jobs.cli.command import is_terminal
from jobs.run.executor import usable_cores
from pipeline.acoustic.loading import load_tokens
from pipeline.config import LETTERS, RunConfig
from pipeline.entities.catalog import Catalog, cache_folder, save_catalog, write_catalog
from pipeline.entities.lists import EntitySource
from pipeline.retrieval.catalog import Progress as Told
from pipeline.retrieval.catalog import (
    blocks_part,
    build_blocks,
    build_sound,
    build_spelling,
    build_tree,
    sound_part,
    spelling_part,
    tree_part,
)
from pipeline.storage import Location, open_filesystem
from pipeline.types.entity import EntityList
from pipeline.types.tokens import Tokens

LARGE = 5_000
"""Entities above which a list of the corpus becomes a catalog; below, every worker builds its index in a second."""
CATALOGS = "catalogs"
"""Folder below the output in which runs build those of their lists."""


def catalogued(source: EntitySource, output: Location, config: RunConfig) -> EntitySource:
    """Return ``source`` with its list as a catalog that has all that ``config`` reads, if it is large or one already.

    It is built below ``output``, where the next run with the same list finds it, and with another one the
    pronunciations of what both have. Raises StorageError or ModelError.
    """
    corpus = source.corpus
    if not isinstance(corpus, Catalog) and len(corpus) <= LARGE:
        return source
    if config.acoustic.phones == LETTERS:
        return source  # names are as they are spelled, which every worker reads off in seconds
    below = Path(output.path) / CATALOGS if output.is_local else cache_folder()
    built = corpus if isinstance(corpus, Catalog) else write_catalog(corpus, below / corpus.version)
    tokens = load_tokens(config.acoustic) if config.cut is not None else None
    weights = None if config.tree is None or config.cut is None else Path(config.tree.weights)
    if not is_built(built, tokens, weights):
        if not os.access(built.folder, os.W_OK):
            save_catalog(built, open_filesystem(str(below / built.version)))
            built = write_catalog(built, below / built.version)
        listen(built, below)
        if tokens is not None:
            build_spelling(built, tokens)
            build_blocks(built, tokens)
        if weights is not None:
            build_tree(built, weights)
    return dataclasses.replace(source, corpus=built)


def is_built(catalog: Catalog, tokens: Tokens | None, weights: Path | None = None) -> bool:
    """Whether a catalog has its sound; with ``tokens`` its spelling in them and its blocks; with ``weights`` a tree."""
    wanted = [sound_part(catalog)]
    wanted += [] if tokens is None else [spelling_part(catalog, tokens), blocks_part(catalog, tokens)]
    wanted += [] if weights is None else [tree_part(catalog, weights)]
    return all(part.is_dir() for part in wanted)


def build(entities: EntityList, folder: Path, kept: Path, tokens: Tokens) -> Catalog:
    """Return the catalog of a list in ``folder``, built as far as it is not there; see build_sound for ``kept``."""
    catalog = write_catalog(entities, folder)
    listen(catalog, kept)
    build_spelling(catalog, tokens)
    build_blocks(catalog, tokens)
    return catalog


def listen(catalog: Catalog, kept: Path) -> None:
    """Build the catalog's index of pronunciations with a progress bar, on all cores."""
    with _progress(len(catalog)) as told:
        build_sound(catalog, kept, usable_cores(), told)


@contextmanager
def _progress(entities: int) -> Iterator[Told]:
    columns = (TextColumn("pronounce"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, disable=not is_terminal()) as bars:
        task = bars.add_task("pronounce", total=entities)
        yield lambda more: bars.advance(task, more)
