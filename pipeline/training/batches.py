"""Batches of audio: utterances of like length, padded to whole seconds."""

import dataclasses
from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import torch

from pipeline.acoustic.interface import SAMPLE_RATE
from pipeline.training.base_data import Example, Source

_FULL_SCALE = 32767


@dataclasses.dataclass(frozen=True)
class Targets:
    """What B utterances say: ids one utterance after the other, and how many each has [B]."""

    tokens: torch.Tensor
    token_lengths: torch.Tensor
    phones: torch.Tensor
    phone_lengths: torch.Tensor


def draw_epoch(sources: Sequence[Source], generator: np.random.Generator) -> list[Example]:
    """Return one epoch's examples, each source by its weight."""
    chosen: list[Example] = []
    for source in sources:
        whole, part = divmod(source.weight, 1)
        chosen += list(source.examples) * int(whole)
        chosen += [one for one in source.examples if generator.random() < part]
    return chosen


def whole_seconds(example: Example, bucket: int) -> int:
    """Return the seconds that an utterance takes in a batch, a multiple of ``bucket``."""
    unit = bucket * SAMPLE_RATE
    return -(-len(example.samples) // unit) * bucket


def pack(
    examples: Sequence[Example], seconds: float, bucket: int, generator: np.random.Generator
) -> list[list[Example]]:
    """Group examples into batches of at most ``seconds`` of padded audio, in random order.

    All batches of one length have the same number of utterances, so that few shapes are ever compiled: what is left of
    a length joins the next longer one.
    """
    by_length: dict[int, list[Example]] = defaultdict(list)
    for example in examples:
        by_length[whole_seconds(example, bucket)].append(example)
    batches: list[list[Example]] = []
    left: list[Example] = []
    for length in sorted(by_length):
        group = [by_length[length][at] for at in generator.permutation(len(by_length[length]))] + left
        size = max(1, int(seconds / length))
        count = len(group) // size
        batches += [group[first : count * size : count] for first in range(count)]  # each has one of this length
        left = group[count * size :]
    if left:
        batches.append(left)
    return [batches[at] for at in generator.permutation(len(batches))]


def waveforms(examples: Sequence[Example], bucket: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return samples [B, N] float32, N whole buckets, and lengths [B]."""
    size = max(whole_seconds(example, bucket) for example in examples) * SAMPLE_RATE
    padded = np.zeros((len(examples), size), np.int16)
    for row, example in enumerate(examples):
        padded[row, : len(example.samples)] = example.samples
    return torch.from_numpy(padded).float() / _FULL_SCALE, torch.tensor([len(one.samples) for one in examples])


def targets(examples: Sequence[Example]) -> Targets:
    """Return the labels of a batch."""
    return Targets(
        tokens=torch.tensor([token for example in examples for token in example.tokens]),
        token_lengths=torch.tensor([len(example.tokens) for example in examples]),
        phones=torch.tensor([phone for example in examples for phone in example.phones]),
        phone_lengths=torch.tensor([len(example.phones) for example in examples]),
    )


def draw_voices(examples: Sequence[Example], count: int, size: int, generator: np.random.Generator) -> torch.Tensor:
    """Return [count, size] float32 of utterances drawn at random, short ones repeated, for babble."""
    chosen = generator.integers(len(examples), size=count)
    return torch.from_numpy(np.stack([np.resize(examples[at].samples, size) for at in chosen])).float() / _FULL_SCALE
