"""Drop the n-grams of a language model whose loss changes it least (Stolcke's entropy pruning), in ARPA files.

An n-gram is dropped if the model without it is closer to the model with it than a threshold: by relative entropy, times
how often its history occurs. How often is counted in the corpus: the probabilities of short histories by Kneser-Ney
are those of a new context, not of the history, and would mislead. What is kept keeps its probability; the back-off
weights are computed anew, so that every distribution still sums to one.
"""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Iterator
from typing import Any

import numpy as np

Ints = np.ndarray[Any, np.dtype[np.int64]]
Floats = np.ndarray[Any, np.dtype[np.float64]]
Bools = np.ndarray[Any, np.dtype[np.bool_]]
START = "<s>"
_LOG10 = float(np.log(10.0))
_ZERO = -60.0  # natural logarithm; the start of a sentence is never predicted, and ARPA has no zero


@dataclasses.dataclass
class Order:
    """The n-grams of one length N, sorted by ``key``: words [rows, N], logarithms of probability and back-off."""

    words: Ints
    key: Ints
    probability: Floats
    backoff: Floats

    def only(self, keep: Bools) -> Order:
        """Return the rows to keep."""
        return Order(self.words[keep], self.key[keep], self.probability[keep], self.backoff[keep])


class Model:
    """A back-off model: ``orders[n - 1]`` holds the n-grams. The key of an n-gram is its history's row and its word."""

    def __init__(self, vocabulary: list[str], orders: list[Order]) -> None:
        self.vocabulary, self.orders = vocabulary, orders

    def rows(self, words: Ints) -> Ints:
        """Return the row of every n-gram [n-grams, N], -1 where the model has none."""
        if words.shape[1] == 1:
            return words[:, 0]
        history = self.rows(words[:, :-1])
        wanted = history * len(self.vocabulary) + words[:, -1]
        key = self.orders[words.shape[1] - 1].key
        found = np.searchsorted(key, wanted).clip(max=max(0, len(key) - 1))
        return np.where((history >= 0) & (key[found] == wanted), found, -1) if len(key) else np.full(len(words), -1)

    def log_probability(self, words: Ints) -> Floats:
        """Return the natural logarithm of the probability of each n-gram's last word after the others."""
        order, rows = self.orders[words.shape[1] - 1], self.rows(words)
        values = order.probability[rows]
        missing = np.flatnonzero(rows < 0)
        if len(missing):
            history = self.rows(words[missing, :-1])
            backoff = np.where(history >= 0, self.orders[words.shape[1] - 2].backoff[history], 0.0)
            values[missing] = backoff + self.log_probability(words[missing, 1:])
        return values

    def renew_keys(self) -> None:
        """Compute keys and rows anew after n-grams were dropped; shorter ones come first."""
        for number, order in enumerate(self.orders[1:], 2):
            order.key = self.rows(order.words[:, :-1]) * len(self.vocabulary) + order.words[:, -1]
            ranking = np.argsort(order.key, kind="stable")
            self.orders[number - 1] = Order(*(part[ranking] for part in dataclasses.astuple(order)))

    def renew_backoff(self, number: int) -> None:
        """Compute the back-off weights of the histories of the n-grams of length ``number``."""
        order, below = self.orders[number - 1], self.orders[number - 2]
        history = order.key // len(self.vocabulary)
        low = np.exp(self.log_probability(order.words[:, 1:]))
        left, left_low = _left(history, np.exp(order.probability), low, len(below.key))
        below.backoff = np.log(left / left_low)


def _left(history: Ints, high: Floats, low: Floats, count: int) -> tuple[Floats, Floats]:
    """Return what the n-grams of each history leave of its distribution, and of the shorter one."""
    left = 1.0 - np.bincount(history, high, count)
    left_low = 1.0 - np.bincount(history, low, count)
    return left.clip(min=1e-9), left_low.clip(min=1e-9)


def read_arpa(path: pathlib.Path) -> Model:
    """Return the model of an ARPA file."""
    vocabulary: list[str] = []
    number_of: dict[str, int] = {}
    orders: list[Order] = []
    for size, lines in _sections(path):
        words, values = [], []
        for line in lines:
            probability, gram, *backoff = line.rstrip("\n").split("\t")
            split = gram.split(" ")
            if size == 1:
                number_of[gram] = len(vocabulary)
                vocabulary.append(gram)
            words.append([number_of[word] for word in split])
            values.append((float(probability), float(backoff[0]) if backoff else 0.0))
        table = np.array(values, np.float64).reshape(-1, 2) * _LOG10
        ids = np.array(words, np.int64).reshape(-1, size)
        table[(ids == number_of[START])[:, -1], 0] = _ZERO  # lmplz writes 0.0, as it means nothing
        orders.append(Order(ids, ids[:, 0], table[:, 0].clip(min=_ZERO), table[:, 1]))
    model = Model(vocabulary, orders)
    model.renew_keys()
    return model


def _sections(path: pathlib.Path) -> Iterator[tuple[int, Iterator[str]]]:
    """Yield the length and the lines of each section of n-grams."""
    with path.open(encoding="utf-8") as file:
        for line in file:
            if line.endswith("-grams:\n"):
                yield int(line[1 : line.index("-")]), iter(lambda: file.readline().strip("\n"), "")


def count_histories(corpus: pathlib.Path, model: Model) -> list[Floats]:
    """Return, for each length but the longest, the share of the corpus that each n-gram has."""
    number_of = {word: number for number, word in enumerate(model.vocabulary)}
    start, end, unknown = number_of[START], number_of["</s>"], number_of["<unk>"]
    with corpus.open(encoding="utf-8") as file:
        lines = ([start, *(number_of.get(word, unknown) for word in line.split()), end] for line in file)
        stream = np.fromiter((word for line in lines for word in line), np.int64)
    counts = []
    for size in range(1, len(model.orders)):
        grams = np.stack([stream[at : len(stream) - size + 1 + at] for at in range(size)], axis=1)
        rows = model.rows(grams[~(grams[:, 1:] == start).any(axis=1)])
        counts.append(np.bincount(rows[rows >= 0], minlength=len(model.orders[size - 1].key)) / len(stream))
    return counts


def loss(model: Model, number: int, counts: Floats) -> Floats:
    """Return how far the model moves when an n-gram of length ``number`` is dropped, for each of them alone."""
    order = model.orders[number - 1]
    history = order.key // len(model.vocabulary)
    low = model.log_probability(order.words[:, 1:])
    high_share, low_share = np.exp(order.probability), np.exp(low)
    left, left_low = _left(history, high_share, low_share, len(counts))
    before = np.log(left / left_low)[history]
    after = np.log((left[history] + high_share) / (left_low[history] + low_share))
    change = high_share * (low + after - order.probability) + left[history] * (after - before)
    return -counts[history] * change


def prune(model: Model, counts: list[Floats], threshold: float) -> None:
    """Drop n-grams with a loss below ``threshold``, but none that a longer one which is kept starts or ends with."""
    needed = np.zeros(0, np.bool_)
    for number in range(len(model.orders), 1, -1):
        order = model.orders[number - 1]
        keep = loss(model, number, counts[number - 2]) >= threshold
        if len(needed):
            keep |= needed
        words, below = order.words[keep], len(model.orders[number - 2].key)
        needed = np.zeros(below, np.bool_)
        if number > 2:
            for rows in (model.rows(words[:, :-1]), model.rows(words[:, 1:])):
                needed[rows[rows >= 0]] = True
        model.orders[number - 1] = order.only(keep)
    model.renew_keys()
    for number in range(2, len(model.orders) + 1):
        model.renew_backoff(number)


def write_arpa(model: Model, path: pathlib.Path) -> None:
    """Write an ARPA file."""
    with path.open("w", encoding="utf-8") as file:
        file.write("\\data\\\n")
        file.writelines(f"ngram {size}={len(order.key)}\n" for size, order in enumerate(model.orders, 1))
        for size, order in enumerate(model.orders, 1):
            file.write(f"\n\\{size}-grams:\n")
            tail = size == len(model.orders)
            for words, probability, backoff in zip(
                order.words.tolist(), order.probability / _LOG10, order.backoff / _LOG10, strict=True
            ):
                gram = " ".join(model.vocabulary[word] for word in words)
                file.write(f"{probability:.6f}\t{gram}" + ("\n" if tail else f"\t{backoff:.6f}\n"))
        file.write("\n\\end\\\n")


def prune_file(arpa: pathlib.Path, corpus: pathlib.Path, out: pathlib.Path, threshold: float) -> None:
    """Write a pruned copy of an ARPA file that was estimated from ``corpus``."""
    model = read_arpa(arpa)
    prune(model, count_histories(corpus, model), threshold)
    write_arpa(model, out)
