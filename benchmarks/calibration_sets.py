"""The sets that the guard is fitted on: development sets, catalogs on parts of them, and speech of training speakers.

    is21-100, is21-1000, is21-pooled, names_dev, adversarial-100     the development sets (benchmarks.decoding_sets)
    words, words-10000             the 209,291 rare words of IS21 as one list, or 10,000 of them with all that are said
    directory, directory-10000     the same of names_dev_directory.txt, for names_dev
    STEM-100, STEM-1000            STEM.parquet of --speech with a list made for each utterance
    STEM-words, STEM-directory     the same with one of the large lists

Speech that a model was trained on is recognised too well to learn anything from, so it is made harder by speed and
noise (--noise), so that about as many words are wrong as in speech of strangers.
Speakers that are kept out of all training are left out.
"""

import argparse
import dataclasses
import functools
import random
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq

from benchmarks.altered import encode
from benchmarks.conditions import Spoken
from benchmarks.decoding_sets import load
from jobs.run.catalogs import build
from pipeline.acoustic.loading import load_tokens
from pipeline.audio.decode import Samples
from pipeline.config import AdapterConfig, RunConfig
from pipeline.entities.lists import load_entities
from pipeline.entities.loading import entity_of
from pipeline.lexicon.pronunciation import Pronouncer
from pipeline.recognition.recogniser import Recogniser
from pipeline.text import ENGLISH
from pipeline.training.adapter_states import Hardening
from pipeline.training.kept_out import KEPT_OUT
from pipeline.training.made_lists import ListMaker
from pipeline.tuning.evaluation import LabelledSet, load_labelled_set, sample, with_lists
from pipeline.types.entity import EntityList

SOUND_ALIKES = "adversarial-100"
DEVELOPMENT = ("is21-100", "is21-1000", "is21-pooled", "names_dev", SOUND_ALIKES)
CATALOGS = ("words", "words-10000", "directory", "directory-10000")
SIZES = (100, 1000)
"""Of the lists that are made for training speech."""
LARGE = {"words": "is21_deep_bias/all_rare_words.txt", "directory": "names_dev_directory.txt"}
_ON = {"words": ("is21-100", 160), "directory": ("names_dev", 320)}
"""The development set that each large list is for, and about how many utterances of it."""
_SPEEDS, _NOISY = (0.8, 0.9, 1.0, 1.1, 1.2), 0.8
_LONGEST = 28.0  # seconds of an utterance


@dataclasses.dataclass(frozen=True)
class Sets:
    """Loads sets by name.

    options: of the command line; config: of the recogniser; speech: files by their stems
    """

    options: argparse.Namespace
    config: RunConfig
    speech: dict[str, Path]

    @property
    def names(self) -> tuple[str, ...]:
        """All that there are; those of training speech last."""
        return (*DEVELOPMENT, *CATALOGS, *self.of_speech)

    @property
    def of_speech(self) -> tuple[str, ...]:
        return tuple(f"{stem}-{kind}" for stem in self.speech for kind in (*SIZES, *LARGE))

    def load(self, name: str, count: int | None = None) -> LabelledSet:
        """Return one set; its first pass is made where it is not kept. ``count``: utterances under a large list."""
        if name in DEVELOPMENT:
            return load(self.options, (name,)).sets[name]
        if name in CATALOGS:
            return self._with_catalog(name, count)
        stem, _, kind = name.rpartition("-")
        corpus = self._spoken(stem)
        if kind in LARGE:
            whole = self._catalog(kind, None)
            return with_lists(corpus, lambda _: whole)
        texts = {one.reference.utterance_id: one.reference.text.split() for one in corpus.utterances}
        maker, size = ListMaker(list(texts.values()), Pronouncer()), int(kind)
        lists = {name: maker.filled(name, words, size) for name, words in texts.items()}
        return with_lists(corpus, lists.__getitem__)

    def _with_catalog(self, name: str, most: int | None) -> LabelledSet:
        large, _, size = name.partition("-")
        on, count = _ON[large]
        corpus = load(self.options, (on,)).sets[on]
        said = frozenset(_said(corpus, self.options.data / "names_dev.parquet", large))
        catalog = self._catalog(large, int(size) if size else None, said)
        count = most or min(count, self.options.utterances or count)
        return with_lists(sample(corpus, count), lambda _: catalog)

    def _catalog(self, large: str, size: int | None, said: frozenset[str] = frozenset()) -> EntityList:
        """Return a large list, or so many of it, those in ``said`` and random others."""
        entities = load_entities(str(self.options.data / LARGE[large]), alphabet=ENGLISH).corpus
        if size is not None:
            wanted = [entity for entity in entities.entities if entity.text in said]
            others = [entity for entity in entities.entities if entity.text not in said]
            chosen = [*wanted, *random.Random(0).sample(others, max(0, size - len(wanted)))]
            entities = EntityList(tuple(sorted(chosen, key=lambda entity: entity.text)))
        folder = self.options.emissions / "catalogs"
        return build(entities, folder / entities.version, folder, load_tokens(self.config.acoustic))

    def _spoken(self, stem: str) -> LabelledSet:
        """Return the speech of a file, made harder."""
        audio, most = self.speech[stem], self.options.speech_utterances
        low, high = self.options.noise
        harder = Hardening(_SPEEDS, (low, high), _NOISY)
        emissions = self.options.emissions / f"{stem}.{harder.name}.{most}.parquet"
        if not emissions.is_file():
            emissions.parent.mkdir(parents=True, exist_ok=True)
            config = dataclasses.replace(self.config, adapter=AdapterConfig(optional=True))
            encoder = Recogniser.load(config, transcribes=False).encoder
            change = functools.partial(_hardened, harder)
            encode(_rows(audio, most), change, encoder, emissions)
        corpus = load_labelled_set(str(emissions), str(audio))
        return sample(corpus, self.options.utterances) if self.options.utterances else corpus


def _hardened(harder: Hardening, one: Spoken) -> Samples:
    return harder.apply(one.samples, one.utterance_id)


def _rows(audio: Path, most: int) -> list[dict[str, object]]:
    """Return rows of AUDIO spread over a file whose text says what is spoken."""
    columns = ["utterance_id", "speaker", "duration_seconds", "text", "audio"]
    with pq.ParquetFile(audio) as file:
        known = file.read(columns=columns[:-1]).to_pylist()
    fitting = [at for at, row in enumerate(known) if _usable(row)]
    chosen = [fitting[at * len(fitting) // most] for at in range(most)] if most < len(fitting) else fitting
    return pq.read_table(audio, columns=columns).take(chosen).to_pylist()


def _usable(row: dict[str, object]) -> bool:
    text, seconds = str(row["text"] or ""), row["duration_seconds"]
    spoken = bool(text) and not any(letter.isdigit() for letter in text)
    return spoken and row["speaker"] not in KEPT_OUT and (not isinstance(seconds, float) or seconds <= _LONGEST)


def _said(corpus: LabelledSet, names: Path, large: str) -> Iterator[str]:
    """Yield what a smaller list must have: what is spoken somewhere, and what the lists have beside it."""
    if large == "words":
        yield from frozenset().union(*(corpus.lists.spoken or {}).values())
        return
    for row in pq.read_table(names, columns=["entities"])["entities"].to_pylist():
        yield from (entity_of(one, ENGLISH).text for one in row or [])
