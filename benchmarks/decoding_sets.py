"""The labelled sets that the decoding benchmarks share: emissions made once per model, lists of several kinds."""

import argparse
import dataclasses
import functools
import os
import random
from pathlib import Path

from jobs.tune import encode
from pipeline.config import AdapterConfig, RunConfig, ShortlistConfig, baseline
from pipeline.config.config_file import with_file
from pipeline.recognition.recogniser import Recogniser
from pipeline.tuning.evaluation import LabelledSet, adapted, load_labelled_set, sample, with_lists
from pipeline.types.entity import Entity, EntityList

LIST_AS_GIVEN = 100  # words on the lists of the IS21 benchmark that are in the data; longer ones are filled up
_WITH_LISTS = ("names_dev", "twin")  # files that hold the lists of their utterances
_POOL = 4000  # rare words that the larger lists are filled from: pronouncing all 61,000 takes a minute and more


@dataclasses.dataclass(frozen=True)
class Bench:
    """What a decoding benchmark runs on."""

    config: RunConfig  # unbiased, the search alone with the shortlist on, the shipped or a given model
    sets: dict[str, LabelledSet]

    @functools.cached_property
    def adapted(self) -> dict[str, LabelledSet]:
        """The sets behind the model's contextual adapter; as they are if it has none."""
        config = dataclasses.replace(self.config, adapter=AdapterConfig(optional=True))
        adapter = Recogniser.load(config, encodes=False, transcribes=False).adapter
        return {name: adapted(corpus, adapter) if adapter else corpus for name, corpus in self.sets.items()}

    def heard_by(self, config: RunConfig) -> dict[str, LabelledSet]:
        """The sets as ``config`` hears them: with its adapter or without."""
        return self.sets if config.adapter is None else self.adapted


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="development data (default there)")
    parser.add_argument("--emissions", type=Path, default=Path("out/emissions"), help="kept here, made where missing")
    parser.add_argument("--config", help="YAML over the baseline preset, e.g. another model")
    parser.add_argument("--utterances", type=int, help="about this many of each set; default all")
    parser.add_argument("--width", type=int, default=32, help="beam of every system (default %(default)s)")
    parser.add_argument("--json", type=Path, help="write the rows here too")


def load(options: argparse.Namespace, names: tuple[str, ...]) -> Bench:
    """Return the sets ``names`` of is21-N (lists of N), is21-pooled, adversarial-100, names_dev and its twin."""
    config = base_config(options)
    sets = {name: _set(name, options, config) for name in names}
    if options.utterances:
        sets = {name: sample(corpus, options.utterances) for name, corpus in sets.items()}
    return Bench(config, sets)


def base_config(options: argparse.Namespace) -> RunConfig:
    """Return the unbiased search with the shortlist on, as the options have it."""
    searched = dataclasses.replace(baseline(), phone_fusion=None, shortlist=ShortlistConfig())
    config = with_file(searched, options.config)
    return dataclasses.replace(config, beam=dataclasses.replace(config.beam, width=options.width))


def encoded(stem: str, options: argparse.Namespace, config: RunConfig) -> tuple[Path, Path]:
    """Return audio and first pass of a file of the data, which is made where it is missing."""
    audio, emissions = options.data / f"{stem}.parquet", options.emissions / f"{stem}.parquet"
    first_pass(audio, emissions, config)
    return audio, emissions


def first_pass(audio: Path, emissions: Path, config: RunConfig) -> None:
    """Write the first pass of a file of speech where it is missing."""
    if not emissions.is_file():
        emissions.parent.mkdir(parents=True, exist_ok=True)
        new = emissions.with_name(f"{emissions.name}.{os.getpid()}")  # it appears whole: others may wait for it
        encode(str(audio), dataclasses.replace(config, adapter=AdapterConfig(optional=True)), new)
        new.replace(emissions)


def _set(name: str, options: argparse.Namespace, config: RunConfig) -> LabelledSet:
    data: Path = options.data
    stem = name if name in _WITH_LISTS else "librispeech_test_clean_dev"
    audio, emissions = encoded(stem, options, config)
    lists = {
        **dict.fromkeys(_WITH_LISTS),
        "adversarial-100": str(data / "adversarial_100.tsv"),
    }.get(name, str(data / "is21_deep_bias" / "test-clean-dev.biasing_100.tsv"))
    corpus = load_labelled_set(str(emissions), str(audio), lists)
    if name == "is21-pooled":
        return _pooled(corpus)
    size = int(name.partition("-")[2]) if name.startswith("is21-") else 0
    if 0 < size < LIST_AS_GIVEN:
        return shortened(corpus, size)
    return grown(corpus, data, size) if size > LIST_AS_GIVEN else corpus


def _pooled(corpus: LabelledSet) -> LabelledSet:
    """One list for all utterances, every rare word of the set: what a user with one list for a corpus has."""
    words = sorted(frozenset().union(*(corpus.lists.spoken or {}).values()))
    shared = EntityList(tuple(Entity(word, word) for word in words))
    return with_lists(corpus, lambda _: shared)


def shortened(corpus: LabelledSet, size: int) -> LabelledSet:
    """Keep of every list the words that are said, and others up to ``size``; the same others every time."""
    lists = {}
    for one in corpus.utterances:
        name, said = one.reference.utterance_id, set(one.reference.text.split())
        entities = list(corpus.lists.of(name).entities)
        random.Random(name).shuffle(entities)
        kept = sorted(entities, key=lambda entity: entity.text not in said)[:size]
        lists[name] = EntityList(tuple(sorted(kept, key=lambda entity: entity.text)))
    return with_lists(corpus, lambda name: lists[name])


def grown(corpus: LabelledSet, data: Path, size: int) -> LabelledSet:
    """Fill every list up to ``size`` with rare words that are not said, as IS21's larger lists are; fixed by id."""
    words = (data / "is21_deep_bias" / "all_rare_words.txt").read_text().split()
    pool = random.Random(0).sample(sorted(set(words)), _POOL)
    lists = {}
    for one in corpus.utterances:
        name = one.reference.utterance_id
        entities = {entity.text: entity for entity in corpus.lists.of(name).entities}
        for word in random.Random(name).sample(pool, min(2 * size, _POOL)):
            if len(entities) < size and word not in one.reference.text.split():
                entities.setdefault(word, Entity(word, word))
        lists[name] = EntityList(tuple(entities[text] for text in sorted(entities)))
    return with_lists(corpus, lambda name: lists[name])
