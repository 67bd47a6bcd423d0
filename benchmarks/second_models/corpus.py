"""Speech with its text, decoded once and kept as one file of samples, for the trainings of this folder."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from pipeline.acoustic.interface import SAMPLE_RATE
from pipeline.audio.decode import decode_audio
from pipeline.errors import InputError, RowError
from pipeline.text import Alphabet, foreign_letters, normalise
from pipeline.training.base_data import Example
from pipeline.training.kept_out import KEPT_OUT

SPECIAL = ("<pad>", "<s>", "</s>", "<unk>", "|")
"""The first outputs, as the tokenizers of wav2vec 2.0 have them: the blank, three that CTC never writes, the space."""
LEAST_SECONDS, MOST_SECONDS = 1.0, 20.0
_FULL_SCALE = 32767
_LETTERS_PER_FRAME = 0.8  # CTC needs a frame for each letter, and one between equal ones


class Letters:
    """The outputs of a model that writes letters: SPECIAL, the letters, the apostrophe."""

    def __init__(self, letters: str) -> None:
        self.alphabet = Alphabet(letters)
        self.outputs = (*SPECIAL, *letters, "'")
        self._ids = {letter: at for at, letter in enumerate(self.outputs)} | {" ": SPECIAL.index("|")}

    def encode(self, text: str | None) -> tuple[int, ...]:
        """Return the outputs that write ``text``; none where it is not known how it is spoken (digits, other letters).

        >>> Letters("abc").encode("A cab")
        (5, 4, 7, 5, 6)
        """
        if not text or foreign_letters(text, self.alphabet):
            return ()
        normal = normalise(text, self.alphabet)
        return () if any(one.isdigit() for one in normal) else tuple(self._ids[one] for one in normal)

    def decode(self, best: Sequence[int]) -> str:
        """Return what the best outputs of the frames write: repeats once, without blanks and SPECIAL.

        >>> Letters("abc").decode([0, 6, 6, 0, 6, 4, 4, 5])
        'bb a'
        """
        collapsed = [one for at, one in enumerate(best) if at == 0 or one != best[at - 1]]
        space = SPECIAL.index("|")
        written = (" " if one == space else self.outputs[one] for one in collapsed if one >= space)
        return " ".join("".join(written).split())


def read(patterns: Sequence[str], letters: Letters, cache: Path, workers: int = 1) -> list[Example]:
    """Return the utterances of parquet files that can be trained on; ``tokens`` are the letters.

    patterns: FILE, or FILE=WEIGHT, 0.3 for a fixed three tenths of its utterances
    cache:    folder for the decoded samples; a file that is there is not decoded again

    Speakers that this project never trains on are left out. Raises InputError if a file has no such utterance.
    """
    found: list[Example] = []
    for pattern in patterns:
        name, _, weight = pattern.partition("=")
        share = float(weight or 1.0)
        rows = [row for row in _cached(Path(name), cache, workers) if row[1] not in KEPT_OUT]
        examples = [one for one in (_example(*row, letters) for row in rows) if one is not None]
        if not examples:
            raise InputError(f"{name}: no row can be trained on; rows need text in the model's letters and audio.")
        order = np.random.default_rng(0).permutation(len(examples))[: round(share * len(examples))]
        found += [examples[at] for at in sorted(order)]
    return found


def _example(name: str, speaker: str, text: str, samples: Any, letters: Letters) -> Example | None:
    labels = letters.encode(text)
    seconds = len(samples) / SAMPLE_RATE
    if not labels or not LEAST_SECONDS <= seconds <= MOST_SECONDS or len(labels) > seconds * 50 * _LETTERS_PER_FRAME:
        return None
    return Example(name, speaker, normalise(text, letters.alphabet), samples, labels, ())


def _cached(parquet: Path, cache: Path, workers: int) -> Iterator[tuple[str, str, str, Any]]:
    """Yield id, speaker, text and int16 samples of every row that can be decoded."""
    rows, audio = cache / f"{parquet.stem}.json", cache / f"{parquet.stem}.npy"
    if not rows.is_file():
        cache.mkdir(parents=True, exist_ok=True)
        _decode(parquet, rows, audio, workers)
    samples = np.load(audio, mmap_mode="r")
    start = 0
    for name, speaker, text, count in json.loads(rows.read_text(encoding="utf-8")):
        yield name, speaker, text, samples[start : start + count]
        start += count


def _decode(parquet: Path, rows: Path, audio: Path, workers: int) -> None:
    heard, pieces = [], []
    with ThreadPoolExecutor(workers) as pool:
        for row, samples in pool.map(_samples, _rows(parquet)):
            if samples is not None:
                heard.append((row["utterance_id"], row["speaker"] or "", row["text"] or "", len(samples)))
                pieces.append(samples)
    np.save(audio, np.concatenate(pieces))
    rows.write_text(json.dumps(heard), encoding="utf-8")


def _rows(parquet: Path) -> Iterator[dict[str, Any]]:
    for batch in pq.ParquetFile(parquet).iter_batches(64, columns=["utterance_id", "speaker", "text", "audio"]):
        yield from batch.to_pylist()


def _samples(row: dict[str, Any]) -> tuple[dict[str, Any], Any]:
    try:
        samples = decode_audio(row["audio"]["bytes"], row["utterance_id"]).samples
    except RowError:
        return row, None
    return row, (samples.clip(-1, 1) * _FULL_SCALE).round().astype(np.int16)
