"""Word n-gram scores in compiled code, equal to KenLM's own.

A sentence's probability is the sum over its words of log10 p(w | h): the probability of the longest n-gram that the
model has, plus the backoff weights of the longer contexts that it has not (Katz backoff, as in the ARPA format).
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pipeline.compiled import array_kernel, kernel
from pipeline.decoding.arpa import read_arpa
from pipeline.decoding.kenlm_binary import MAGIC, NgramArrays, read_binary
from pipeline.errors import ModelError

UNKNOWN = 0
"""Word id of <unk>."""

_LOOKED_AT = 1000  # most frequent words whose case tells that of the model
_LEAST_WORDS = 3
_MOSTLY = 0.9
_LOAD_FACTOR = 0.6  # of the hash table; linear probing stays short
_COMBINE_OLD = np.uint64(8978948897894561157)
_COMBINE_NEW = np.uint64(17894857484156487943)
_ONE = np.uint64(1)


class Ngrams(NamedTuple):
    """The model as the kernels see it: unigram rows, and an open-addressing hash table of everything longer.

    unigrams: [V, 2] float32; slots: [2^b] uint64 keys, 0 is empty; values: [2^b, 2] float32; context: order - 1
    """

    unigrams: npt.NDArray[np.float32]
    slots: npt.NDArray[np.uint64]
    values: npt.NDArray[np.float32]
    context: int
    begin: int
    end: int


def read_ngrams(path: Path) -> NgramArrays:
    """Read any supported KenLM file; raises ModelError if it is missing, cannot be understood or is in capitals."""
    if not path.is_file():
        raise ModelError(f"language model {path} does not exist; set language_model.path, or null to decode without.")
    with path.open("rb") as file:
        binary = file.read(len(MAGIC)) == MAGIC
    arrays = read_binary(path) if binary else read_arpa(path)
    _check_case(path, arrays)
    return arrays


def _check_case(path: Path, arrays: NgramArrays) -> None:
    """Raise ModelError for a model in capitals: what we write is in lower case, so every word would be unknown."""
    common = [arrays.words[at] for at in np.argsort(-arrays.unigrams[:, 0], kind="stable")[:_LOOKED_AT]]
    words = [word for word in common if word.lower() != word.upper() and not word.startswith("<")]
    capitals = [word for word in words if word == word.upper() and word.lower() != word]
    if len(words) >= _LEAST_WORDS and len(capitals) > _MOSTLY * len(words):
        raise ModelError(
            f"language model {path} is in capitals ('{capitals[0]}', '{capitals[-1]}'), so every word that is written "
            "here, all in lower case, would be unknown to it; build it from text in lower case, or write the words of "
            "its ARPA file so."
        )


def load_ngrams(path: Path) -> tuple[Ngrams, NgramArrays]:
    """Read and hash a model; returns both forms. Raises ModelError as read_ngrams does."""
    arrays = read_ngrams(path)
    return build_ngrams(arrays), arrays


def no_ngrams() -> Ngrams:
    """A stand-in of the same type for a search without a language model."""
    return Ngrams(np.zeros((1, 2), np.float32), np.zeros(16, np.uint64), np.zeros((16, 2), np.float32), 1, 0, 0)


def class_scores(arrays: NgramArrays, common: int) -> npt.NDArray[np.float32]:
    """Return [V] log10 p(class | previous word), the class being all but the ``common`` most frequent words.

    The mass that the bigrams of the previous word give to members, plus its backoff weight times the unigram mass of
    the members that it has no bigram with. This is what tells "mr" from "of the": names follow the one. Where bigrams
    are only hashed (probing binaries) the backoff weight alone tells them apart.
    """
    probability = 10.0 ** arrays.unigrams[:, 0].astype(np.float64)
    backoff = 10.0 ** arrays.unigrams[:, 1].astype(np.float64)
    member = np.ones(len(probability), bool)
    member[np.argsort(-probability, kind="stable")[:common]] = False
    member[[index for index, word in enumerate(arrays.words) if word in ("<s>", "</s>")]] = False
    explicit = np.zeros(len(probability))
    seen = np.zeros(len(probability))
    if arrays.bigrams is not None:
        previous, last = arrays.bigrams.T
        mass = 10.0 ** arrays.values[: len(previous), 0].astype(np.float64) * member[last]
        np.add.at(explicit, previous, mass)
        np.add.at(seen, previous, probability[last] * member[last])
    total = explicit + backoff * np.maximum(probability[member].sum() - seen, 0.0)
    scores: npt.NDArray[np.float32] = np.log10(np.clip(total, 1e-10, 1.0)).astype(np.float32)
    return scores


def build_ngrams(arrays: NgramArrays) -> Ngrams:
    """Return the compiled form of ``arrays``; sentence markers that the model lacks count as unknown words."""
    bits = max(4, int(np.ceil(np.log2((len(arrays.keys) + 1) / _LOAD_FACTOR))))
    slots, values = np.zeros(1 << bits, np.uint64), np.zeros((1 << bits, 2), np.float32)
    _fill(arrays.keys, arrays.values, slots, values)
    ids = {word: index for index, word in enumerate(arrays.words)}
    begin, end = ids.get("<s>", UNKNOWN), ids.get("</s>", UNKNOWN)
    return Ngrams(arrays.unigrams, slots, values, max(arrays.order - 1, 1), begin, end)


@kernel
def _slot(key: np.uint64, size: int) -> int:
    mixed = (key ^ (key >> np.uint64(29))) * np.uint64(0x9E3779B97F4A7C15)
    return np.int64((mixed ^ (mixed >> np.uint64(32))) & np.uint64(size - 1))  # type: ignore[return-value]


@array_kernel
def _fill(keys, values, slots, slot_values):  # type: ignore[no-untyped-def]
    for row in range(len(keys)):
        at = _slot(keys[row], len(slots))
        while slots[at] != 0 and slots[at] != keys[row]:
            at = (at + 1) & (len(slots) - 1)
        slots[at] = keys[row]
        slot_values[at] = values[row]


@kernel
def find(ngrams, key):  # type: ignore[no-untyped-def]
    """Row of an n-gram's key in the hash table, -1 if the model has it not."""
    size = len(ngrams.slots)
    at = _slot(key, size)
    while ngrams.slots[at] != 0:
        if ngrams.slots[at] == key:
            return at
        at = (at + 1) & (size - 1)
    return -1


@kernel
def extend(ngrams, word, words, backoffs, new_words, new_backoffs):  # type: ignore[no-untyped-def]
    """Return log10 p(word | context) and write the context after it.

    words, backoffs: [order - 1] the context's words, latest first, -1 where there is none, and the backoff of the
    n-gram that reaches back to each of them. The same layout is written into new_words, new_backoffs.
    """
    context = ngrams.context
    probability = ngrams.unigrams[word, 0]
    new_words[:] = -1
    new_backoffs[:] = 0.0
    new_words[0] = word
    new_backoffs[0] = ngrams.unigrams[word, 1]
    key = np.uint64(word)
    penalty = np.float32(0.0)
    for index in range(context):
        if words[index] < 0:
            break
        key = (key * _COMBINE_OLD) ^ ((np.uint64(words[index]) + _ONE) * _COMBINE_NEW)
        row = find(ngrams, key)
        penalty += backoffs[index]
        if row >= 0:
            probability = ngrams.values[row, 0]
            penalty = np.float32(0.0)
        if index + 1 < context:
            new_words[index + 1] = words[index]
            new_backoffs[index + 1] = ngrams.values[row, 1] if row >= 0 else np.float32(0.0)
    return probability + penalty


@kernel
def begin_context(ngrams, words, backoffs):  # type: ignore[no-untyped-def]
    """Write the context at the beginning of a sentence."""
    words[:] = -1
    backoffs[:] = 0.0
    words[0] = ngrams.begin
    backoffs[0] = ngrams.unigrams[ngrams.begin, 1]


@array_kernel
def score_sentence(ngrams, sentence):  # type: ignore[no-untyped-def]
    """log10 probability of word ids between sentence markers: what KenLM's Model.score returns."""
    words, backoffs = np.empty(ngrams.context, np.int32), np.empty(ngrams.context, np.float32)
    new_words, new_backoffs = np.empty_like(words), np.empty_like(backoffs)
    begin_context(ngrams, words, backoffs)
    total = 0.0
    for word in sentence:
        total += extend(ngrams, word, words, backoffs, new_words, new_backoffs)
        words, new_words = new_words, words
        backoffs, new_backoffs = new_backoffs, backoffs
    return total + extend(ngrams, ngrams.end, words, backoffs, new_words, new_backoffs)
