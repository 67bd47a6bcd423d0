"""Features of the frozen backbone, computed once and read by every epoch.

One cache entry is a pair of files: ``NAME.features`` holds the stacked frames of all utterances one after another as
float16, ``NAME.index.parquet`` their rows. The index is written last, so a pair without it does not exist.
"""

import dataclasses
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import soxr
import torch

from pipeline.acoustic.backbone import FRAME_SAMPLES, WhisperBackbone
from pipeline.acoustic.features import log_mel
from pipeline.acoustic.interface import SAMPLE_RATE
from pipeline.acoustic.precision import autocast, choose_dtype
from pipeline.audio.decode import decode_audio
from pipeline.errors import InputError, RowError
from pipeline.text import ENGLISH, Alphabet, normalise

INDEX = pa.schema(
    [
        ("utterance_id", pa.string()),
        ("speaker", pa.string()),
        ("text", pa.string()),
        ("start", pa.int64()),  # first stacked frame in the features file
        ("frames", pa.int32()),
    ]
)


@dataclasses.dataclass(frozen=True)
class CachedUtterance:
    """One utterance of the cache; ``frames`` are stacked frames."""

    utterance_id: str
    speaker: str
    text: str
    file: Path
    start: int
    frames: int


def extract(
    backbone: WhisperBackbone, samples: npt.NDArray[np.float32], speed: float, stack: int, device: str
) -> npt.NDArray[np.float16]:
    """Return [T // stack, stack * taps * D] float16 backbone features of 16 kHz ``samples`` played at ``speed``."""
    if speed != 1.0:
        samples = soxr.resample(samples, SAMPLE_RATE * speed, SAMPLE_RATE)
    with torch.inference_mode(), autocast(torch.device(device), choose_dtype("auto", torch.device(device))):
        mel = log_mel(torch.from_numpy(samples).to(device))
        mel = mel[:, : mel.shape[1] // 2 * 2][None, :, : 2 * backbone.positions]
        frames = torch.tensor([mel.shape[2] // 2])
        features = backbone(mel, frames)[0].to(torch.float16)  # [T, taps * D]
    kept = features.shape[0] // stack * stack
    stacked: npt.NDArray[np.float16] = features[:kept].reshape(kept // stack, -1).cpu().numpy()
    return stacked


def _rows(
    parquet: Path, max_seconds: float, alphabet: Alphabet
) -> Iterator[tuple[str, str, str, npt.NDArray[np.float32]]]:
    for batch in pq.ParquetFile(parquet).iter_batches(batch_size=64):
        for row in batch.to_pylist():
            text = normalise(row["text"] or "", alphabet)
            if not text or any(character.isdigit() for character in text):
                continue  # what is spoken for a digit is not known
            try:
                samples = decode_audio(row["audio"]["bytes"], row["utterance_id"]).samples
            except RowError:
                continue
            if 0.5 < len(samples) / SAMPLE_RATE <= max_seconds:
                yield row["utterance_id"], row["speaker"] or "", text, samples


def build(
    parquet: Path, cache: Path, backbone: WhisperBackbone, speed: float, stack: int, device: str = "cpu",
    alphabet: Alphabet = ENGLISH,
) -> Path:  # fmt: skip
    """Write the cache entry of one parquet file at one speed unless it exists; return its index path.

    Rows without text, with digits, unreadable, or outside 0.5 s to 30 s are left out.
    """
    name = f"{parquet.stem}.speed{speed:g}"
    index, features = cache / f"{name}.index.parquet", cache / f"{name}.features"
    if index.exists():
        return index
    cache.mkdir(parents=True, exist_ok=True)
    rows, position = [], 0
    limit = backbone.positions * FRAME_SAMPLES / SAMPLE_RATE * min(speed, 1.0)
    with open(features, "wb") as sink:
        for utterance_id, speaker, text, samples in _rows(parquet, limit, alphabet):
            block = extract(backbone, samples, speed, stack, device)
            sink.write(block.tobytes())
            rows.append((utterance_id, speaker, text, position, len(block)))
            position += len(block)
    if not rows:
        raise InputError(f"{parquet}: no row can be trained on; rows need text without digits and readable audio.")
    table = pa.table([list(column) for column in zip(*rows, strict=True)], schema=INDEX)
    pq.write_table(table, f"{index}.part")
    os.replace(f"{index}.part", index)
    return index


def load_index(index: Path) -> list[CachedUtterance]:
    """Return the utterances of one cache entry."""
    features = index.with_name(index.name.removesuffix(".index.parquet") + ".features")
    return [
        CachedUtterance(row["utterance_id"], row["speaker"], row["text"], features, row["start"], row["frames"])
        for row in pq.read_table(index).to_pylist()
    ]


class FeatureReader:
    """Reads stacked frames of cached utterances; files are memory-mapped once."""

    def __init__(self, width: int) -> None:
        self.width = width
        self._maps: dict[Path, npt.NDArray[np.float16]] = {}

    def read(self, utterance: CachedUtterance) -> npt.NDArray[np.float16]:
        """Return [frames, width]."""
        if utterance.file not in self._maps:
            self._maps[utterance.file] = np.memmap(utterance.file, np.float16, "r").reshape(-1, self.width)
        return self._maps[utterance.file][utterance.start : utterance.start + utterance.frames]
