"""Rivals of what is said: names of a large list that retrieval finds in an utterance, and that nobody says there.

A list of sound-alikes from a dictionary is not what an adapter meets behind retrieval. There every entity fits, in
phones and in subwords, what the first pass heard: they are the hard negatives of contrastive training (Xiong et al.
2021, ANCE). Here they are found as a run finds them, in what the frozen base heard of the training speech.
"""

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np
import torch

from pipeline.acoustic.adapter import OutputLayer
from pipeline.acoustic.batching import rank
from pipeline.retrieval.ranked import Ranked
from pipeline.training.adapter_data import Utterance
from pipeline.training.adapter_states import StateRow
from pipeline.training.heard_names import phrases
from pipeline.types.emissions import Emissions, SparseLogProbs
from pipeline.types.entity import EntityList

FROM = -5.0
"""Log odds of a rival in a list of 2^18: a nat below what a run asks for, as its list may be longer in speech that is
heard less clearly."""


def with_rivals(
    utterances: Sequence[Utterance], entities: EntityList, ranked: Ranked, output: OutputLayer, top_k: int
) -> list[Utterance]:
    """Return the utterances with their rivals among ``entities``; none where the base has no phone head.

    top_k: candidates per frame that the first pass keeps (pipeline.config.AcousticConfig)
    """
    return [dataclasses.replace(one, rivals=tuple(_rivals(one, entities, ranked, output, top_k))) for one in utterances]


def _rivals(one: Utterance, entities: EntityList, ranked: Ranked, output: OutputLayer, top_k: int) -> Iterator[str]:
    found = ranked.select(first_pass(one.row, output, top_k), entities)
    if found is None:
        return
    said = phrases(one.words)
    for entity in entities.at(found.tolist()):
        if said.isdisjoint((entity.text, *entity.aliases)):
            yield entity.text


def first_pass(row: StateRow, output: OutputLayer, top_k: int) -> Emissions:
    """Return what the base made of an utterance by itself, from its cached states."""
    with torch.inference_mode():
        log_probs = output(torch.from_numpy(row.states[-1].astype(np.float32)))
        ids, values = rank(log_probs, top_k)
    return Emissions(SparseLogProbs(ids.numpy(), values.numpy()), row.phones)
