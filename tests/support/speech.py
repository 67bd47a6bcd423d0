"""Phone emissions written by hand, and hypotheses over them."""

import numpy as np

from pipeline.lexicon.phones import PHONE_IDS
from pipeline.types.emissions import Emissions, SparseLogProbs
from pipeline.types.hypothesis import EntitySpan, Hypothesis, Word

SURE = 0.9  # probability of the phone that is said; the rest is spread evenly


def spoken(labels: str) -> np.ndarray:
    """[T, 40] log-probs that say the labels, one per frame, ``-`` for the blank."""
    names = labels.split()
    log_probs = np.full((len(names), len(PHONE_IDS) + 1), np.log((1 - SURE) / len(PHONE_IDS)), np.float32)
    for t, label in enumerate(names):
        log_probs[t, 0 if label == "-" else PHONE_IDS[label] + 1] = np.log(SURE)
    return log_probs


def said(labels: str) -> Emissions:
    """Emissions whose phone head says the labels; the subwords do not matter."""
    log_probs = spoken(labels).astype(np.float16)
    nothing = SparseLogProbs(np.zeros((len(log_probs), 1), np.int16), np.zeros((len(log_probs), 1), np.float16))
    return Emissions(nothing, log_probs)


def hypothesis(text: str, total: float, *entities: str, confidence: float = 0.5) -> Hypothesis:
    """A hypothesis of equally long words; ``entities`` are single or several words of it."""
    texts = text.split()
    words = tuple(Word(word, k * 4, k * 4 + 4, confidence) for k, word in enumerate(texts))
    spans = []
    for entity in entities:
        size = len(entity.split())
        start = next(k for k in range(len(texts)) if " ".join(texts[k : k + size]) == entity)
        spans.append(EntitySpan(entity, start, start + size, ("boosting",)))
    return Hypothesis(words, acoustic=total, lm=0.0, boost=0.0, total=total, entities=tuple(spans))
