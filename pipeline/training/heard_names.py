"""What the first pass makes of words that are said: pairs of a word and how it was heard, from labelled speech.

The words of a reference are aligned with those that the first pass writes by itself. What stands for one of the
reference, with what is written on top after it, is how that one was heard.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from pipeline.lexicon.phones import PHONES
from pipeline.retrieval.windows import heard_words
from pipeline.scoring.alignment import DELETION, INSERTION, MATCH, align
from pipeline.training.tree_fit import Confusions
from pipeline.types.emissions import Emissions
from pipeline.types.tokens import Tokens

Heard = tuple[str, tuple[int, ...], str]
"""A word of the reference, the phones that were heard of it as indices into PHONES, and what was written."""
_WORDS = 5  # of the longest name that is looked for in what is said
_LEAST = 1.0  # times that anything is counted as heard for anything, so that no chance is 0


def phrases(words: Sequence[str]) -> set[str]:
    """Return everything of up to _WORDS words that stands in a text: names may have several."""
    spans = ((at, end) for at in range(len(words)) for end in range(at + 1, min(len(words), at + _WORDS) + 1))
    return {" ".join(words[at:end]) for at, end in spans}


def heard_as(heard: Emissions, text: str, tokens: Tokens) -> Iterator[Heard]:
    """Yield each word of the reference ``text`` that something stands for in the first pass."""
    phones, edges, words = heard_words(heard, tokens)
    reference = text.split()
    spans: dict[int, list[int]] = {}
    last = None
    for step in align(reference, words):
        if step.operation == DELETION:
            last = None
        elif step.operation == INSERTION:
            if last is not None and step.hypothesis is not None:
                spans[last].append(step.hypothesis)
        elif step.reference is not None and step.hypothesis is not None:
            spans[step.reference] = [step.hypothesis]
            last = None if step.operation == MATCH else step.reference
    for at, written in spans.items():
        said = phones[edges[written[0]] : edges[written[-1] + 1]]
        if len(said) >= 2:
            yield reference[at], tuple(said.tolist()), "".join(words[one] for one in written)


def count_confusions(pairs: Sequence[tuple[Sequence[int], Sequence[int]]]) -> Confusions:
    """Return how phones are misheard, from pairs of what is said and what is heard.

    Each pair is aligned at one for everything that is not the same; the rest is counting.
    """
    size = len(PHONES)
    said, more, total = np.full((size, size + 1), _LEAST / size), np.zeros(size), 0
    said[np.arange(size), np.arange(size)] += _LEAST
    for one, other in pairs:
        for phone, heard in _aligned(one, other):
            if phone is None and heard is not None:
                more[heard] += 1
            elif phone is not None:
                said[phone, size if heard is None else heard] += 1
        total += len(one)
    said /= said.sum(1, keepdims=True)
    return Confusions(said.astype(np.float32), (more / max(1, total)).astype(np.float32))


def _aligned(said: Sequence[int], heard: Sequence[int]) -> list[tuple[int | None, int | None]]:
    costs = np.zeros((len(said) + 1, len(heard) + 1))
    costs[:, 0], costs[0, :] = np.arange(len(said) + 1), np.arange(len(heard) + 1)
    for i, phone in enumerate(said, 1):
        for j, other in enumerate(heard, 1):
            costs[i, j] = min(costs[i - 1, j] + 1, costs[i, j - 1] + 1, costs[i - 1, j - 1] + (phone != other))
    pairs: list[tuple[int | None, int | None]] = []
    i, j = len(said), len(heard)
    while i or j:
        if i and j and costs[i, j] == costs[i - 1, j - 1] + (said[i - 1] != heard[j - 1]):
            i, j = i - 1, j - 1
            pairs.append((said[i], heard[j]))
        elif i and costs[i, j] == costs[i - 1, j] + 1:
            i -= 1
            pairs.append((said[i], None))
        else:
            j -= 1
            pairs.append((None, heard[j]))
    return pairs
