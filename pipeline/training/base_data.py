"""What the default model is trained on: cached features of the backbone, labelled with tokens and phones."""

import functools
import glob
from collections.abc import Sequence
from pathlib import Path

from pipeline.acoustic import checkpoint
from pipeline.acoustic.network import CtcNetwork
from pipeline.errors import InputError
from pipeline.lexicon.pronunciation import PHONES, Pronouncer
from pipeline.text import Alphabet
from pipeline.training import feature_cache
from pipeline.training.batches import Example, Source, label


def cache_entries(
    train: Sequence[str],
    speeds: Sequence[float],
    cache: Path,
    network: CtcNetwork,
    device: str | None,
    alphabet: Alphabet,
) -> list[tuple[Path, float]]:
    """Return the index paths of every training file at every speed, with weights, computing what is missing.

    train:  FILE[=WEIGHT], globs allowed
    device: to compute on; None to use what the cache holds, and compute nothing
    Raises InputError where a pattern names no file.
    """
    entries = []
    for pattern in train:
        name, _, weight = pattern.partition("=")
        files = sorted(glob.glob(name))
        if not files and device is not None:
            raise InputError(f"--train {name}: no such file.")
        for file in files:
            for speed in speeds:
                index = cache / f"{Path(file).stem}.speed{speed:g}.index.parquet"
                if device is not None:
                    stack = network.head.config.stack
                    feature_cache.build(Path(file), cache, network.backbone, speed, stack, device, alphabet)
                if index.exists():
                    entries.append((index, float(weight or 1.0)))
    return entries


class Labels:
    """Turns cache entries into labelled examples; every file is labelled once, every word pronounced once."""

    def __init__(self, tokeniser: Path) -> None:
        self.tokens = checkpoint.load_tokens(tokeniser)
        self._pronouncer = Pronouncer()
        self._numbers = {phone: number for number, phone in enumerate(PHONES, start=1)}
        self.examples = functools.cache(self._examples)
        self._phones = functools.cache(self._pronounce)

    def _pronounce(self, word: str) -> tuple[int, ...]:
        return tuple(self._numbers[phone] for phone in self._pronouncer.pronounce(word)[0])

    def _examples(self, index: Path) -> tuple[Example, ...]:
        return label(feature_cache.load_index(index), self.tokens.encoder, self._phones)


def training_sources(
    entries: Sequence[tuple[Path, float]], labels: Labels, validation_speakers: Sequence[str]
) -> Sequence[Source]:
    """Return what an epoch draws from, without the validation speakers; the speeds of a file are one source."""
    by_file: dict[tuple[str, float], list[Example]] = {}
    for index, weight in entries:
        kept = [one for one in labels.examples(index) if one.utterance.speaker not in validation_speakers]
        by_file.setdefault((index.name.partition(".speed")[0], weight), []).extend(kept)
    return [Source(tuple(examples), weight) for (_, weight), examples in sorted(by_file.items())]


def held_out(
    entries: Sequence[tuple[Path, float]], labels: Labels, validation_speakers: Sequence[str]
) -> list[Example]:
    """Return the examples of the validation speakers at their own speed; raises InputError if there are none."""
    found = [
        example
        for index, _ in entries
        if ".speed1." in index.name
        for example in labels.examples(index)
        if example.utterance.speaker in validation_speakers
    ]
    if not found:
        raise InputError("--validation-speakers: none of them is in the training files; early stopping needs some.")
    return found
