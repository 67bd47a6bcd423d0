"""States of a frozen base model, computed once and read by every epoch of adapter training.

One cache entry is one Arrow file per audio file and base model, memory-mapped when it is read. The audio may be made
harder before the base hears it (another speed, noise): an adapter learns from the base's errors, and on speech that
the base was trained on there are too few.
"""

import dataclasses
import hashlib
import itertools
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import soxr

from pipeline.acoustic.interface import SAMPLE_RATE, CtcModel
from pipeline.audio.decode import Samples, decode_audio
from pipeline.errors import InputError, RowError
from pipeline.text import foreign_letters, normalise
from pipeline.types.emissions import Emissions

STATES = pa.schema(
    [
        ("utterance_id", pa.string()),
        ("speaker", pa.string()),
        ("text", pa.string()),
        ("frames", pa.int32()),
        ("states", pa.list_(pa.float16())),  # flat [L + 1, T, D]
        ("phones", pa.list_(pa.float16())),  # phone log-probs, flat [T, P]; empty for a base without a phone head
    ]
)
_ROWS_PER_BATCH = 64
_MIN_SECONDS, _MAX_SECONDS = 0.5, 28.0


@dataclasses.dataclass(frozen=True)
class Hardening:
    """How audio is made harder: each utterance draws one speed and, by chance, noise; fixed by its id.

    speeds:    factors of tempo and pitch together
    noise_snr: signal to noise in dB, drawn uniformly from this range; None for no noise
    noisy:     share of the utterances that get noise
    """

    speeds: tuple[float, ...] = (1.0,)
    noise_snr: tuple[float, float] | None = None
    noisy: float = 0.5

    @property
    def name(self) -> str:
        """Short text that names the setting in a file name."""
        speeds = "-".join(f"{speed:g}" for speed in self.speeds)
        noise = "" if self.noise_snr is None else f".noise{self.noise_snr[0]:g}-{self.noise_snr[1]:g}"
        return f"speed{speeds}{noise}" + ("" if self.noisy == Hardening.noisy else f".noisy{self.noisy:g}")

    def apply(self, samples: Samples, utterance_id: str) -> Samples:
        """Return the harder audio."""
        seed = int.from_bytes(hashlib.sha256(utterance_id.encode()).digest()[:8], "little")
        generator = np.random.default_rng(seed)
        speed = self.speeds[int(generator.integers(len(self.speeds)))]
        if speed != 1.0:
            samples = soxr.resample(samples, SAMPLE_RATE * speed, SAMPLE_RATE).astype(np.float32)
        if self.noise_snr is not None and generator.random() < self.noisy:
            samples = _with_noise(samples, generator.uniform(*self.noise_snr), generator)
        return samples


def _with_noise(samples: Samples, snr: float, generator: np.random.Generator) -> Samples:
    """Add pink noise (power falling with frequency, as most rooms sound) at ``snr`` dB."""
    spectrum = np.fft.rfft(generator.standard_normal(len(samples)))
    noise = np.fft.irfft(spectrum / np.sqrt(np.arange(len(spectrum)) + 20.0), len(samples))
    level = np.sqrt(np.mean(samples**2) / max(float(np.mean(noise**2)), 1e-12)) * 10 ** (-snr / 20)
    mixed: Samples = (samples + level * noise).astype(np.float32)
    return mixed


@dataclasses.dataclass(frozen=True)
class StateRow:
    """One utterance of the cache: ``states`` [L + 1, T, D] and ``phones`` [T, P] or None, not copied from the file."""

    utterance_id: str
    speaker: str
    text: str
    states: npt.NDArray[np.float16]
    phones: npt.NDArray[np.float16] | None = None

    @property
    def frames(self) -> int:
        return int(self.states.shape[1])


def entry_path(parquet: Path, cache: Path, model: CtcModel, hardening: Hardening) -> Path:
    """Return where the states of one audio file lie."""
    return cache / f"{parquet.stem}.{model.model_id[:16]}.{hardening.name}.arrow"


def build(parquet: Path, cache: Path, model: CtcModel, hardening: Hardening, most: int | None = None) -> Path:
    """Write the cache entry of one audio file unless it exists; return its path.

    Rows without text, with digits, unreadable or outside 0.5 s to 28 s are left out; ``most`` rows are taken at most.
    Raises InputError if nothing is left.
    """
    path = entry_path(parquet, cache, model, hardening)
    if path.exists():
        return path
    cache.mkdir(parents=True, exist_ok=True)
    partial, count = path.with_suffix(".part"), 0
    with pa.OSFile(str(partial), "wb") as sink:
        writer = None
        for rows in _groups(_encoded(parquet, model, hardening, most)):
            if writer is None:
                schema = STATES.with_metadata(_facts(rows[0][3], model))
                writer = pa.ipc.new_file(sink, schema)
            writer.write_batch(_batch(rows, schema))
            count += len(rows)
        if writer is not None:
            writer.close()
    if not count:
        partial.unlink()
        raise InputError(f"{parquet}: no row can be trained on; rows need text without digits and readable audio.")
    os.replace(partial, path)
    return path


_Encoded = tuple[str, str, str, Emissions]


def _facts(heard: Emissions, model: CtcModel) -> dict[str, str]:
    levels, _, width = _states(heard).shape
    phones = 0 if heard.phone_log_probs is None else heard.phone_log_probs.shape[1]
    return {"levels": str(levels), "width": str(width), "phones": str(phones), "model_id": model.model_id}


def _states(heard: Emissions) -> npt.NDArray[np.float16]:
    if heard.states is None:
        raise ValueError("emissions without states; ask encode for them")
    return heard.states


def _encoded(parquet: Path, model: CtcModel, hardening: Hardening, most: int | None) -> Iterator[_Encoded]:
    taken = 0
    for batch in pq.ParquetFile(parquet).iter_batches(batch_size=16):
        for row in batch.to_pylist():
            if most is not None and taken >= most:
                return
            heard = _hear(row, model, hardening)
            if heard is not None:
                taken += 1
                yield (
                    row["utterance_id"],
                    row.get("speaker") or "",
                    normalise(row["text"], model.tokens.alphabet),
                    heard,
                )


def _hear(row: dict[str, Any], model: CtcModel, hardening: Hardening) -> Emissions | None:
    text = normalise(row["text"] or "", model.tokens.alphabet)
    if not text or any(character.isdigit() for character in text):
        return None  # what is spoken for a digit is not known
    if foreign_letters(row["text"], model.tokens.alphabet):
        return None  # a word of what is said would be missing
    try:
        samples = decode_audio(row["audio"]["bytes"], row["utterance_id"]).samples
    except RowError:
        return None
    samples = hardening.apply(samples, row["utterance_id"])
    if not _MIN_SECONDS < len(samples) / SAMPLE_RATE <= min(_MAX_SECONDS, model.max_seconds):
        return None
    return model.encode([samples], with_states=True)[0]


def _groups(rows: Iterator[_Encoded]) -> Iterator[list[_Encoded]]:
    group: list[_Encoded] = []
    for row in rows:
        group.append(row)
        if len(group) == _ROWS_PER_BATCH:
            yield group
            group = []
    if group:
        yield group


def _batch(rows: Sequence[_Encoded], schema: pa.Schema) -> pa.RecordBatch:
    ids, speakers, texts, heard = zip(*rows, strict=True)
    states = [_states(one) for one in heard]
    empty = np.zeros(0, np.float16)
    phones = [empty if one.phone_log_probs is None else one.phone_log_probs for one in heard]
    frames = pa.array([one.shape[1] for one in states], pa.int32())
    columns = [pa.array(ids), pa.array(speakers), pa.array(texts), frames, _lists(states), _lists(phones)]
    return pa.record_batch(columns, schema=schema)


def _lists(arrays: Sequence[npt.NDArray[np.float16]]) -> pa.ListArray:
    offsets = pa.array(np.cumsum([0, *(one.size for one in arrays)]), pa.int32())
    return pa.ListArray.from_arrays(offsets, pa.array(np.concatenate([one.ravel() for one in arrays]), pa.float16()))


def read(path: Path) -> list[StateRow]:
    """Return the utterances of one cache entry; arrays are views of the memory-mapped file."""
    rows = []
    with pa.ipc.open_file(pa.memory_map(str(path))) as file:
        levels, width, phones = (int(file.schema.metadata[name]) for name in (b"levels", b"width", b"phones"))
        for number in range(file.num_record_batches):
            batch = file.get_batch(number)
            states, sounds = _views(batch["states"]), _views(batch["phones"])
            names = zip(*(batch[name].to_pylist() for name in ("utterance_id", "speaker", "text")), strict=True)
            for index, (utterance_id, speaker, text) in enumerate(names):
                heard = sounds[index].reshape(-1, phones) if phones else None
                rows.append(StateRow(utterance_id, speaker, text, states[index].reshape(levels, -1, width), heard))
    return rows


def _views(lists: pa.ListArray) -> list[npt.NDArray[np.float16]]:
    offsets, values = lists.offsets.to_numpy(), lists.values.to_numpy()
    return [values[start:end] for start, end in itertools.pairwise(offsets)]
