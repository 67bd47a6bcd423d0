"""Everything that can be found wrong, and everything that names a run, before any work starts. Needs no Ray."""

import argparse
import dataclasses

import numpy as np

from pipeline import config as configuration
from pipeline import storage
from pipeline.acoustic.adapter_files import resolved, with_adapter
from pipeline.config import RunConfig
from pipeline.config.config_file import with_file
from pipeline.config.fingerprint import config_fingerprint, lists_fingerprint, model_fingerprint, run_fingerprint
from pipeline.entities.lists import EntitySource, load_entities
from pipeline.entities.unmatched import ALL_MATCHED, Unmatched, check_unmatched, find_unmatched
from pipeline.errors import ConfigError
from pipeline.recognition.encode import NEEDED
from pipeline.runs.cache import Cache, find_cache, open_cache
from pipeline.runs.corpus import Corpus, column_names, id_hashes, scan_corpus, scan_emissions
from pipeline.runs.emission_cache import CacheIdentity, acoustic_identity
from pipeline.runs.folder import RunFolder
from pipeline.storage.s3_options import Options, parse_options
from pipeline.text import ENGLISH

CACHES = "emissions"
"""Folder below the output where the first passes are cached, if no other is named."""
OWN_LISTS = "entities"
"""Audio column with an utterance's own list, used if there is no --entities."""


@dataclasses.dataclass(frozen=True)
class Transcription:
    """All that a run is made of.

    source:      the entity lists of --entities
    list_column: column of the audio with each utterance's own entity list, or None
    block_rows:  utterances per block, which is one output file and one unit of resuming
    model:       hash of the acoustic model's folder
    cache:       the first pass on disk, or None if it goes straight to the decoders
    unmatched:   per-utterance lists that name no utterance
    """

    corpus: Corpus
    source: EntitySource
    list_column: str | None
    config: RunConfig
    config_fingerprint: str
    folder: RunFolder
    block_rows: int
    model: str
    cache: Cache | None = None
    unmatched: Unmatched = ALL_MATCHED

    @property
    def fingerprint(self) -> str:
        return self.folder.root.name

    @property
    def encodes(self) -> bool:
        """Whether the acoustic model has work to do: there is no first pass on disk yet."""
        return self.cache is None or not self.cache.is_complete

    @property
    def audio_columns(self) -> list[str]:
        """Columns of the audio that the first pass reads."""
        wanted = [*NEEDED, *([self.list_column] if self.list_column else [])]
        return [name for name in wanted if name in self.corpus.columns]


def prepare(arguments: argparse.Namespace) -> Transcription:
    """Check the command's inputs and make the run's folder; raises RollcallError with what to do."""
    check_counts(arguments)
    options = parse_options(arguments.storage_options)
    source = load_entities(arguments.entities, arguments.entities_column, options, ENGLISH, arguments.entities_format)
    cache = open_cache(storage.open_filesystem(arguments.emissions, options)) if arguments.emissions else None
    files = storage.list_parquet(arguments.audio, options) if cache is None else cache.folder.files()
    list_column = _list_column(arguments, files, source, cache)
    config = read_config(arguments, listed=arguments.entities is not None or list_column is not None)
    settled = config_fingerprint(config)  # reads the language model, so a missing one ends here
    model = model_fingerprint(config.acoustic.model)
    if cache is not None:
        acoustic = acoustic_identity(config.acoustic, config.adapter)
        wanted = CacheIdentity(cache.identity.audio, model, acoustic, list_column)
        cache.identity.check(wanted, cache.folder.root.uri)
    output = storage.open_filesystem(arguments.output, options)
    storage.check_writable(output)
    corpus = scan_corpus(files, list_column) if cache is None else scan_emissions(files, cache.identity.audio)
    unmatched = match_lists(source, corpus, str(arguments.entities), arguments.max_unmatched_lists)
    name = run_fingerprint(corpus.version, model, source_version(source), settled)
    folder = RunFolder(output.join(name))
    run = Transcription(
        corpus, source, list_column, config, settled, folder, arguments.block_rows, model, cache, unmatched
    )
    return run if arguments.cache_emissions is None else _caching(run, arguments.cache_emissions, output, options)


def _caching(run: Transcription, folder: str, output: storage.Location, options: Options) -> Transcription:
    """Return the run with its first pass cached in ``folder``, by default below the output."""
    if run.cache is not None:
        raise ConfigError("--emissions reads a cached first pass; --cache-emissions, which makes one, needs --audio.")
    caches = storage.open_filesystem(folder, options) if folder else output.join(CACHES)
    storage.check_writable(caches)
    first = with_adapter(run.config)
    identity = CacheIdentity(
        run.corpus.version, run.model, acoustic_identity(first.acoustic, first.adapter), run.list_column
    )
    return dataclasses.replace(run, cache=find_cache(caches, identity))


def _list_column(
    arguments: argparse.Namespace, files: list[storage.Location], source: EntitySource, cache: Cache | None
) -> str | None:
    """As choose_list_column; a cached first pass carries the lists of one column of its audio, or none."""
    if cache is None:
        return choose_list_column(arguments, files, source)
    if arguments.entities is None:
        return arguments.entities_column or cache.identity.list_column
    return None if source.lists is not None else arguments.entities_column


def check_counts(arguments: argparse.Namespace) -> None:
    """Raise ConfigError for counts below one."""
    for name in ("num_encoders", "num_decoders", "block_rows"):
        count = getattr(arguments, name)
        if count is not None and count < 1:
            raise ConfigError(f"--{name.replace('_', '-')} must be at least 1, got {count}.")


def read_config(arguments: argparse.Namespace, listed: bool) -> RunConfig:
    """Return the preset with --config and then --model put over it; raises ConfigError.

    Without --preset, all techniques are on where there are entity lists (``listed``), and none where there is nothing
    to bias towards.
    """
    config = configuration.PRESETS[arguments.preset or ("joint" if listed else "baseline")]()
    for technique in arguments.without:
        config = configuration.without(config, technique)
    config = with_file(config, arguments.config)
    if arguments.model:
        config = configuration.override(config, {"acoustic": {"model": arguments.model}})
    if arguments.max_false_accepts_per_hour is not None:
        config = configuration.at_most(config, arguments.max_false_accepts_per_hour)
    return resolved(config)


def choose_list_column(
    arguments: argparse.Namespace, files: list[storage.Location], source: EntitySource
) -> str | None:
    """Return the audio column with the utterances' own lists: as named, or ``entities`` if no list is given at all.

    With --entities the column counts only if it is named: it may hold something else, such as what was really said.
    """
    if arguments.entities is None:
        return arguments.entities_column or (OWN_LISTS if OWN_LISTS in column_names(files[0]) else None)
    if source.lists is not None or arguments.entities_column is None:
        return None  # the column, if named, was one of the list file
    return str(arguments.entities_column)


def match_lists(source: EntitySource, corpus: Corpus, path: str, limit: float) -> Unmatched:
    """Return which per-utterance lists name no utterance; raises InputError for too many (check_unmatched)."""
    if not 0 <= limit <= 1:
        raise ConfigError(f"--max-unmatched-lists must be a share from 0 to 1, got {limit:g}.")
    if source.lists is None or not len(source.lists):
        return ALL_MATCHED
    listed = list(source.lists.by_id)
    found = find_unmatched(listed, lambda ids: np.isin(id_hashes(ids), corpus.ids).tolist())
    check_unmatched(found, corpus.rows - (len(listed) - len(found.ids)), path, limit)
    return found


def source_version(source: EntitySource) -> str:
    """Return the content version of one list, or of all per-utterance lists."""
    if source.lists is None:
        return source.corpus.version
    return lists_fingerprint({name: entities.version for name, entities in source.lists.by_id.items()})
