"""Everything that can be found wrong, and everything that names a run, before any work starts. Needs no Ray."""

import argparse
import dataclasses
from collections.abc import Callable

import numpy as np

from jobs.cli.policy import with_policy
from jobs.run.audio_source import Audio, ingest_beside, needs_ingest, open_audio
from jobs.run.ingest_run import Wanted
from pipeline import config as configuration
from pipeline import storage
from pipeline.acoustic.adapter_files import resolved, with_adapter
from pipeline.acoustic.calibration_files import configured
from pipeline.acoustic.loading import load_tokens
from pipeline.config import RunConfig
from pipeline.config.config_file import with_file
from pipeline.config.fingerprint import config_fingerprint, lists_fingerprint, model_fingerprint, run_fingerprint
from pipeline.entities.catalog import Catalog
from pipeline.entities.lists import EntitySource, load_entities
from pipeline.entities.unmatched import ALL_MATCHED, Unmatched, check_unmatched, find_unmatched
from pipeline.errors import ConfigError, InputError
from pipeline.recognition.encode import NEEDED
from pipeline.runs.cache import Cache, find_cache, open_cache
from pipeline.runs.corpus import Corpus, column_names, id_hashes, scan_corpus, scan_emissions
from pipeline.runs.emission_cache import CacheIdentity, acoustic_identity
from pipeline.runs.folder import RunFolder
from pipeline.storage.s3_options import Options, parse_options
from pipeline.text import ENGLISH, Alphabet

CACHES = "emissions"
"""Folder below the output where the first passes are cached, if no other is named."""
CAUTIOUS = (
    "the guard was fitted on the default model; for this one it takes the stricter of its bounds. "
    "`rollcall calibrate` fits it."
)
"""Said where a model has no calibration."""
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
    audio:       where the audio lies; None if the first pass was cached before
    alphabet:    what the model writes, and the lists are read in
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
    audio: Audio | None = None
    alphabet: Alphabet = ENGLISH

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


def prepare(arguments: argparse.Namespace, say: Callable[[str], None]) -> Transcription:
    """Check the command's inputs and make the run's folder; raises RollcallError with what to do.

    Audio that is not parquet yet is ingested, once everything else was found fit; ``say`` gets a line about each step.
    """
    check_counts(arguments)
    options = parse_options(arguments.storage_options)
    named = configuration.override(
        with_file(configuration.joint(), arguments.config), {"acoustic": _acoustic(arguments)}
    )
    alphabet = load_tokens(named.acoustic).alphabet
    source = read_source(arguments, options, alphabet)
    cache = open_cache(storage.open_filesystem(arguments.emissions, options)) if arguments.emissions else None
    output = storage.open_filesystem(arguments.output, options)
    audio = None if cache is not None else _audio(arguments, output, options, say)
    files = cache.folder.files() if cache is not None else audio.files if audio is not None else []
    list_column = _list_column(arguments, files, source, cache)
    config = read_config(arguments, listed=_has_list(arguments) or list_column is not None)
    settled = config_fingerprint(config)  # reads the language model, so a missing one ends here
    model = model_fingerprint(config.acoustic.model)
    if cache is not None:
        acoustic = acoustic_identity(config.acoustic, config.adapter)
        wanted = CacheIdentity(cache.identity.audio, model, acoustic, list_column)
        cache.identity.check(wanted, cache.folder.root.uri)
    storage.check_writable(output)
    corpus = scan_corpus(files, list_column) if cache is None else scan_emissions(files, cache.identity.audio)
    if list_column is not None and isinstance(source.corpus, Catalog):
        raise InputError(f"{arguments.entities}: is a catalog, and the audio's column '{list_column}' has lists of its "
                         "own; a catalog is used alone, so leave out --entities-column.")  # fmt: skip
    unmatched = match_lists(source, corpus, str(arguments.entities), arguments.max_unmatched_lists)
    if config.guard is not None and config.guard.cautious:
        say(f"note: {CAUTIOUS}")
    name = run_fingerprint(corpus.version, model, source_version(source), settled)
    folder = RunFolder(output.join(name))
    run = Transcription(
        corpus, source, list_column, config, settled, folder, arguments.block_rows, model, cache, unmatched, audio,
        alphabet,
    )  # fmt: skip
    run = run if arguments.cache_emissions is None else _caching(run, arguments.cache_emissions, output, options)
    _check_session(run)
    return run


def _check_session(run: Transcription) -> None:
    """Raise ConfigError for a session that could not act."""
    if run.config.session is None:
        return
    if run.config.cut is None or run.config.shortlist is None:
        raise ConfigError("session adds to the log odds of the cut, and there is none; set shortlist and cut, or leave "
                          "session out.")  # fmt: skip
    if run.cache is None:
        raise ConfigError("session looks at whole recordings before it decodes, so it needs a first pass on disk; add "
                          "--cache-emissions, or give one with --emissions.")  # fmt: skip


def read_source(arguments: argparse.Namespace, options: Options, alphabet: Alphabet) -> EntitySource:
    """Return the lists of --entities and --names in the letters of the model; raises RollcallError."""
    names = read_names(arguments.names)
    given, form = arguments.entities, arguments.entities_format
    if given is not None and _is_no_path(given) and not storage.exists(storage.open_filesystem(given, options)):
        raise InputError(f"--entities {given}: there is no such file; names themselves go with --names.")
    return load_entities(given, arguments.entities_column, options, alphabet, form, names)


def read_names(given: list[str]) -> list[str]:
    """Return the names of --names, which are separated by commas; raises InputError for none, and for a file."""
    for text in given:
        if storage.exists(storage.open_filesystem(text)) if text.strip() else False:
            raise InputError(f"--names {text}: is a file, and --names takes the names themselves; give --entities.")
    names = [name.strip() for text in given for name in text.split(",") if name.strip()]
    if given and not names:
        raise InputError("--names holds no name; needed are names separated by commas.")
    return names


def _is_no_path(given: str) -> bool:
    return " " in given.strip() and "/" not in given and "." not in given


def _has_list(arguments: argparse.Namespace) -> bool:
    return arguments.entities is not None or bool(arguments.names)


def _audio(
    arguments: argparse.Namespace, output: storage.Location, options: Options, say: Callable[[str], None]
) -> Audio:
    """Return the AUDIO parquet that --audio is, or becomes; what else could be wrong is looked at before it does."""
    wanted = Wanted(
        storage.open_filesystem(arguments.audio, options),
        channels=arguments.channels or "mix",
        id_column=arguments.id_column,
    )
    if not needs_ingest(wanted.place, wanted):
        audio = open_audio(arguments.audio, options)
        if audio.left_out:
            say(f"note: {audio.left_out} sound files beside the parquet are left out; ingest them by themselves")
        return audio
    config = read_config(arguments, listed=True)
    config_fingerprint(config)
    model_fingerprint(config.acoustic.model)
    storage.check_writable(output)
    return ingest_beside(arguments.audio, wanted, output, arguments.executor, say)


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
    if not _has_list(arguments):
        return arguments.entities_column or cache.identity.list_column
    return None if source.lists is not None else arguments.entities_column


def check_counts(arguments: argparse.Namespace) -> None:
    """Raise ConfigError for counts below one."""
    for name in ("num_encoders", "num_decoders", "block_rows"):
        count = getattr(arguments, name)
        if count is not None and count < 1:
            raise ConfigError(f"--{name.replace('_', '-')} must be at least 1, got {count}.")


def read_config(arguments: argparse.Namespace, listed: bool) -> RunConfig:
    """Return the preset with the model's calibration, --config and then --model put over it; raises ConfigError.

    Without --preset, all techniques are on where there are entity lists (``listed``), and none where there is nothing
    to bias towards.
    """
    config = configuration.PRESETS[arguments.preset or ("joint" if listed else "baseline")]()
    for technique in arguments.without:
        config = configuration.without(config, technique)
    config = configured(config, arguments.config, _acoustic(arguments))
    if arguments.max_false_accepts_per_hour is not None:
        config = configuration.at_most(config, arguments.max_false_accepts_per_hour)
    if arguments.memory is not None:
        config = configuration.with_memory(config, arguments.memory)
    config = with_policy(config, arguments.policy, arguments.explore)
    return resolved(config)


def calibration_facts(config: RunConfig) -> dict[str, str] | None:
    """Return what the run's weights were fitted by, other than the shipped ones; None where these are of this model."""
    named, guard = config.acoustic.calibration, config.guard
    if named is not None and named != configuration.AUTO:
        return {"of": named, "calibration": model_fingerprint(named)}
    return {"note": CAUTIOUS} if guard is not None and guard.cautious else None


def _acoustic(arguments: argparse.Namespace) -> dict[str, str]:
    """Return what --model, --language and --calibration set."""
    return {name: value for name in ("model", "language", "calibration") if (value := getattr(arguments, name))}


def choose_list_column(
    arguments: argparse.Namespace, files: list[storage.Location], source: EntitySource
) -> str | None:
    """Return the audio column with the utterances' own lists: as named, or ``entities`` if no list is given at all.

    With a list the column counts only if it is named: it may hold something else, such as what was really said.
    """
    if not _has_list(arguments):
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
