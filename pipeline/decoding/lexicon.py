"""What the search knows before it starts: characters of every token, words of the language model."""

from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pipeline.trie import build_trie
from pipeline.types.tokens import WORD_START, Tokens

HASH_BASE = np.uint64(0x9E3779B97F4A7C15)
"""Odd base of the polynomial text hash modulo 2^64."""


class TokenTable(NamedTuple):
    """codes: [V, L] int32 code points without the mark; lengths: [V] int32, -1 for the blank and unusable tokens;
    begins: [V] bool, begins a word; hashes, powers: [V] uint64 for the text hash h' = h * powers + hashes."""

    codes: npt.NDArray[np.int32]
    lengths: npt.NDArray[np.int32]
    begins: npt.NDArray[np.bool_]
    hashes: npt.NDArray[np.uint64]
    powers: npt.NDArray[np.uint64]
    blank: int


class Lexicon(NamedTuple):
    """The vocabulary as a trie (see Trie); word: [N] int32, id in the language model of the word that ends here or 0.

    An empty lexicon (a root with no children) means that there is no language model.
    """

    first: npt.NDArray[np.int32]
    label: npt.NDArray[np.int32]
    word: npt.NDArray[np.int32]


def token_table(tokens: Tokens) -> TokenTable:
    """Return the characters of every token.

    A token with a mark inside or at its end would finish a word in mid-token; such pieces (none in inventories that
    split at spaces) and special tokens without text are never written.
    """
    texts = [piece.removeprefix(WORD_START) for piece in tokens.pieces]
    size = len(texts)
    codes = np.zeros((size, max(1, *map(len, texts))), np.int32)
    lengths = np.full(size, -1, np.int32)
    for index, (piece, text) in enumerate(zip(tokens.pieces, texts, strict=True)):
        if index == tokens.blank or not piece or WORD_START in text or " " in text:
            continue
        lengths[index] = len(text)
        codes[index, : len(text)] = [ord(character) for character in text]
    begins = np.array([piece.startswith(WORD_START) for piece in tokens.pieces])
    hashes, powers = np.zeros(size, np.uint64), np.ones(size, np.uint64)
    with np.errstate(over="ignore"):
        for index in range(size):
            for code in codes[index, : max(0, lengths[index])]:
                hashes[index] = hashes[index] * HASH_BASE + np.uint64(code)
                powers[index] *= HASH_BASE
    return TokenTable(codes, lengths, begins, hashes, powers, tokens.blank)


def build_lexicon(words: Sequence[str], allowed: Collection[str] | None) -> Lexicon:
    """Return the trie of ``words`` (by language model id), without markers and those not in ``allowed``."""
    ids = {word: index for index, word in enumerate(words) if not (word.startswith("<") and word.endswith(">"))}
    kept = sorted(ids if allowed is None else ids.keys() & allowed)
    trie = build_trie(kept)
    of_terminal = np.array([*(ids[word] for word in kept), 0], np.int32)  # terminal -1 reads the last: no word
    return Lexicon(trie.first, trie.label, of_terminal[trie.terminal])
