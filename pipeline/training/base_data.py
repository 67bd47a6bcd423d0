"""What the default model is trained on: audio in memory, labelled with tokens and phones."""

import dataclasses
import functools
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from pipeline.acoustic import model_files
from pipeline.acoustic.interface import SAMPLE_RATE
from pipeline.audio.decode import decode_audio
from pipeline.errors import InputError, RowError
from pipeline.lexicon.pronunciation import PHONES, Pronouncer
from pipeline.storage import matching
from pipeline.text import foreign_letters, normalise
from pipeline.training.kept_out import KEPT_OUT

MIN_SECONDS, MAX_SECONDS = 0.5, 24.0  # at 0.85 of its speed the longest still fits in Whisper's 30 s of positions
_FRAME = 640  # samples of an output frame
_FULL_SCALE = 32767


@dataclasses.dataclass(frozen=True)
class Example:
    """One utterance with its labels; ``samples`` [N] are 16-bit, as a day of speech then fits in 3 GB."""

    utterance_id: str
    speaker: str
    text: str
    samples: npt.NDArray[np.int16]
    tokens: tuple[int, ...]
    phones: tuple[int, ...]

    @property
    def seconds(self) -> float:
        return len(self.samples) / SAMPLE_RATE


@dataclasses.dataclass(frozen=True)
class Source:
    """Examples of one training file and how often an epoch uses them: 0.3 draws 30% of them, 2 all of them twice."""

    examples: tuple[Example, ...]
    weight: float = 1.0


class Labels:
    """The subwords and phones of a text; every word is pronounced once."""

    def __init__(self, tokeniser: Path) -> None:
        self.tokens = model_files.load_tokens(tokeniser)
        self._pronouncer = Pronouncer()
        self._numbers = {phone: number for number, phone in enumerate(PHONES, start=1)}
        self._phones = functools.cache(self._pronounce)

    def _pronounce(self, word: str) -> tuple[int, ...]:
        return tuple(self._numbers[phone] for phone in self._pronouncer.pronounce(word)[0])

    def text(self, text: str | None) -> str:
        """Return the text to train on, empty where what is spoken is not known: no text, digits, or foreign letters."""
        if text is not None and foreign_letters(text, self.tokens.alphabet):
            return ""
        normal = normalise(text or "", self.tokens.alphabet)
        return "" if any(character.isdigit() for character in normal) else normal

    def of(self, text: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Return the ids of the subwords and of the phones."""
        return tuple(self.tokens.encoder(text)), tuple(phone for word in text.split() for phone in self._phones(word))


def read_sources(patterns: Sequence[str], labels: Labels, workers: int) -> list[Source]:
    """Return what lies in ``patterns``, FILE[=WEIGHT] with globs allowed, decoded by ``workers`` threads.

    Raises InputError where a pattern names no file or a weight is no number.
    """
    sources = []
    for pattern in patterns:
        name, _, weight = pattern.partition("=")
        files = matching(name)
        if not files:
            raise InputError(f"--train {name}: no such file.")
        try:
            share = float(weight or 1.0)
        except ValueError as error:
            raise InputError(f"--train {pattern}: the weight must be a number, got {weight!r}.") from error
        sources += [Source(tuple(read_examples(Path(file), labels, workers)), share) for file in files]
    return sources


def read_examples(parquet: Path, labels: Labels, workers: int = 1) -> list[Example]:
    """Return the utterances of an AUDIO parquet file that can be trained on.

    Rows without text, with digits, unreadable, outside of 0.5 s to 24 s, or with more labels than CTC can align are
    left out. Raises InputError if nothing is left.
    """
    with ThreadPoolExecutor(workers) as pool:  # libsndfile decodes beside other threads
        found = [one for one in pool.map(lambda row: _example(row, labels), _rows(parquet)) if one is not None]
    if not found:
        raise InputError(f"{parquet}: no row can be trained on; rows need text without digits and readable audio.")
    return found


def _rows(parquet: Path) -> Iterator[dict[str, Any]]:
    columns = ["utterance_id", "speaker", "text", "audio"]
    for batch in pq.ParquetFile(parquet).iter_batches(batch_size=64, columns=columns):
        yield from batch.to_pylist()


def _example(row: dict[str, Any], labels: Labels) -> Example | None:
    text = labels.text(row["text"])
    if not text:
        return None
    try:
        samples = decode_audio(row["audio"]["bytes"], row["utterance_id"]).samples
    except RowError:
        return None
    tokens, phones = labels.of(text)
    fits = MIN_SECONDS <= len(samples) / SAMPLE_RATE <= MAX_SECONDS
    if not fits or not tokens or not phones or max(len(tokens), len(phones)) > 0.85 * len(samples) / _FRAME:
        return None  # played faster, there are fewer frames
    whole = (samples.clip(-1, 1) * _FULL_SCALE).round().astype(np.int16)
    return Example(row["utterance_id"], row["speaker"] or "", text, whole, tokens, phones)


def split(sources: Sequence[Source], validation_speakers: Sequence[str]) -> tuple[list[Source], list[Example]]:
    """Return what to train on, without the speakers that are kept out of all training, and what to validate on.

    Raises InputError if one of them is empty.
    """
    away = KEPT_OUT | set(validation_speakers)
    training = [
        Source(tuple(one for one in source.examples if one.speaker not in away), source.weight) for source in sources
    ]
    validation = [one for source in sources for one in source.examples if one.speaker in validation_speakers]
    count = sum(len(source.examples) for source in training)
    if not validation or not count:
        raise InputError(
            f"--validation-speakers {' '.join(validation_speakers)}: {len(validation)} utterances to validate on and "
            f"{count} to train on; both are needed."
        )
    return training, validation
