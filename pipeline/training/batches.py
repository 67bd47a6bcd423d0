"""Labels and batches: utterances of the cache to padded tensors."""

import dataclasses
from collections import defaultdict
from collections.abc import Callable, Sequence

import numpy as np
import torch

from pipeline.training.feature_cache import CachedUtterance, FeatureReader


@dataclasses.dataclass(frozen=True)
class Example:
    """One utterance at one speed with its labels."""

    utterance: CachedUtterance
    tokens: tuple[int, ...]
    phones: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Batch:
    """Padded tensors of B utterances.

    features [B, T, F] float32; lengths [B]; tokens, phones: concatenated targets; token_lengths, phone_lengths [B]
    """

    features: torch.Tensor
    lengths: torch.Tensor
    tokens: torch.Tensor
    token_lengths: torch.Tensor
    phones: torch.Tensor
    phone_lengths: torch.Tensor
    texts: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Source:
    """Examples of one training file and how often an epoch uses them: 0.3 draws 30% of them, 2 all of them twice."""

    examples: tuple[Example, ...]
    weight: float = 1.0


def label(
    utterances: Sequence[CachedUtterance],
    encode: Callable[[str], list[int]],
    pronounce: Callable[[str], Sequence[int]],
) -> tuple[Example, ...]:
    """Give every utterance its subword ids and the phone ids of its words, skipping what CTC cannot align."""
    examples = []
    for utterance in utterances:
        tokens = tuple(encode(utterance.text))
        phones = tuple(phone for word in utterance.text.split() for phone in pronounce(word))
        if tokens and phones and len(tokens) <= utterance.frames:
            examples.append(Example(utterance, tokens, phones))
    return tuple(examples)


def draw_epoch(sources: Sequence[Source], generator: np.random.Generator) -> list[Example]:
    """Return one epoch's examples: each utterance at one of its cached speeds, drawn at random."""
    chosen: list[Example] = []
    for source in sources:
        variants: dict[str, list[Example]] = defaultdict(list)
        for example in source.examples:
            variants[example.utterance.utterance_id].append(example)
        names = sorted(variants)
        whole, part = divmod(source.weight, 1)
        picked = names * int(whole) + [name for name in names if generator.random() < part]
        chosen += [variants[name][generator.integers(len(variants[name]))] for name in picked]
    return chosen


def pack(examples: Sequence[Example], frame_budget: int, generator: np.random.Generator) -> list[list[Example]]:
    """Group examples of like length into batches of at most ``frame_budget`` padded frames, in random order."""
    # A little noise on the lengths makes different neighbours every epoch.
    order = sorted(examples, key=lambda example: example.utterance.frames * generator.uniform(0.95, 1.05))
    batches: list[list[Example]] = []
    current: list[Example] = []
    longest = 0
    for example in order:
        longest = max(longest, example.utterance.frames)
        if current and longest * (len(current) + 1) > frame_budget:
            batches.append(current)
            current, longest = [], example.utterance.frames
        current.append(example)
    if current:
        batches.append(current)
    generator.shuffle(batches)  # type: ignore[arg-type]
    return batches


def collate(examples: Sequence[Example], reader: FeatureReader) -> Batch:
    """Read and pad one batch."""
    lengths = torch.tensor([example.utterance.frames for example in examples])
    features = torch.zeros(len(examples), int(lengths.max()), reader.width)
    for row, example in enumerate(examples):
        features[row, : example.utterance.frames] = torch.from_numpy(reader.read(example.utterance).astype(np.float32))
    return Batch(
        features=features,
        lengths=lengths,
        tokens=torch.tensor([token for example in examples for token in example.tokens]),
        token_lengths=torch.tensor([len(example.tokens) for example in examples]),
        phones=torch.tensor([phone for example in examples for phone in example.phones]),
        phone_lengths=torch.tensor([len(example.phones) for example in examples]),
        texts=tuple(example.utterance.text for example in examples),
    )


def mask_time(batch: Batch, generator: np.random.Generator, per_second: float, longest: int) -> None:
    """Zero random stretches of frames in place (SpecAugment, Park et al. 2019, on backbone features).

    ``per_second`` masks a second of audio at 25 Hz, each up to ``longest`` frames.
    """
    for row, frames in enumerate(batch.lengths.tolist()):
        for _ in range(generator.poisson(per_second * frames / 25)):
            width = int(generator.integers(1, longest + 1))
            start = int(generator.integers(0, max(1, frames - width)))
            batch.features[row, start : start + width] = 0.0
