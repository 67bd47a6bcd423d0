"""Any Hugging Face CTC vocabulary as our Tokens: lower case, in the letters of the vocabulary, no punctuation.

A cased or punctuated model is heard through ``fold``: ids whose pieces are equal after normalisation share one id, and
punctuation counts as the blank, so that every model writes text as pipeline.text.normalise does.
"""

import dataclasses
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.errors import ModelError, RowError
from pipeline.text import Alphabet, alphabet_of, normalise, unwritable, with_letters
from pipeline.types.tokens import WORD_START, Tokens

NEVER = -1
"""In ``fold``: an id that is never written (``<s>``, ``<unk>``, byte pieces, rows of the head without a piece)."""

_FOREIGN_SHARE = 0.05
_DELIMITERS = ("|", " ", "<space>")
_SPLITTING = frozenset(" -\u2010\u2011\u2013\u2014/_")
"""Signs in whose place a text, once normalised, has a space."""
MARKUP = re.compile(r"<.*>|\[.*\]")
"""Pieces that are no text, such as <pad> and [UNK]."""


@dataclasses.dataclass(frozen=True)
class FoldedTokens:
    """The inventory, for every id [V] the id that its probability goes to, or NEVER, and what stands between words.

    delimiter: None where pieces themselves begin words
    """

    tokens: Tokens
    fold: npt.NDArray[np.int64]
    delimiter: str | None


def fold_tokens(tokenizer: Any, vocabulary_size: int, blank: int | None) -> FoldedTokens:
    """Read the pieces of a transformers tokenizer; raises ModelError if it does not fit the head or has no words."""
    raw = {id_: piece for piece, id_ in tokenizer.get_vocab().items()}
    raw = _within_head(raw, vocabulary_size, getattr(tokenizer, "word_delimiter_token", None))
    delimiter = _delimiter(tokenizer, raw)
    _check_blank(tokenizer, raw, vocabulary_size, blank)
    special = set(tokenizer.all_special_ids) | {id_ for id_, piece in raw.items() if MARKUP.fullmatch(piece)}
    special = {id_ for id_ in special if id_ in raw and raw[id_] != delimiter} | {blank}
    spoken = {id_: piece for id_, piece in raw.items() if id_ not in special}
    alphabet = _alphabet([piece for piece in spoken.values() if piece != delimiter])
    written = {id_: _normalise_piece(piece, delimiter, alphabet) for id_, piece in spoken.items()}
    if not any(piece.startswith(WORD_START) for piece in written.values()):
        raise ModelError(_no_words(raw, getattr(tokenizer, "word_delimiter_token", None)))
    ids = _representatives(raw, written)
    fold = np.full(vocabulary_size, NEVER, np.int64)
    for id_, piece in written.items():
        fold[id_] = ids[piece] if piece else blank
    fold[blank] = blank
    pieces = tuple(written.get(id_, "") for id_ in range(vocabulary_size))
    segmenter = _Segmenter(ids, _piece_scores(tokenizer, ids), whole_words=delimiter is not None)
    encoder = segmenter if delimiter is not None else _Native(tokenizer, raw, fold, segmenter)
    return FoldedTokens(Tokens(pieces, int(fold[blank]), encoder.best, encoder.several, alphabet), fold, delimiter)


def _delimiter(tokenizer: Any, raw: Mapping[int, str]) -> str | None:
    """Return the piece that stands between words, as the tokenizer says or as vocabularies have it."""
    pieces = set(raw.values())
    for name in (getattr(tokenizer, "word_delimiter_token", None), *_DELIMITERS):
        if name in pieces:
            return str(name)
    return None


def _check_blank(tokenizer: Any, raw: Mapping[int, str], vocabulary_size: int, blank: int | None) -> None:
    """Raise ModelError for a blank that is no output, or a letter."""
    if blank is None or not 0 <= blank < vocabulary_size:
        raise ModelError(f"the CTC blank is config.pad_token_id, needed is 0 to {vocabulary_size - 1}, got {blank}.")
    padding = tokenizer.pad_token_id
    if raw.get(blank, "").isalpha() and padding is not None and padding != blank:
        raise ModelError(
            f"config.pad_token_id is {blank}, the letter '{raw[blank]}'; the CTC blank of this tokenizer is "
            f"{padding} ('{tokenizer.pad_token}'). Set it so in config.json if the model was trained with it."
        )


def _no_words(raw: Mapping[int, str], delimiter: str | None) -> str:
    pieces = list(raw.values())
    if any(piece.startswith("Ġ") for piece in pieces):
        return "the pieces are bytes (byte-level BPE, 'Ġ'); needed are SentencePiece's pieces ('▁') or letters."
    if any(piece.startswith("##") for piece in pieces):
        return "the pieces are WordPiece's ('##'); needed are SentencePiece's pieces ('▁') or letters."
    return (
        f"no piece begins a word: neither a delimiter ('{delimiter}') nor pieces with '{WORD_START}'. What the model "
        "writes has no words; give the tokenizer with the word delimiter that it was trained with."
    )


def _within_head(raw: Mapping[int, str], vocabulary_size: int, delimiter: str | None) -> dict[int, str]:
    """Return the pieces that the head can write. Beyond it only markup may stand: tokenizers of fine-tuned models add
    ``<s>`` and ``</s>``, which CTC never writes, and a delimiter that the vocabulary lacks. Raises ModelError for any
    other piece."""
    above = [piece for id_, piece in sorted(raw.items()) if id_ >= vocabulary_size]
    beyond = [piece for piece in above if piece != delimiter and not MARKUP.fullmatch(piece)]
    if beyond:
        raise ModelError(
            f"the tokenizer has ids up to {max(raw)}, the CTC head only {vocabulary_size} outputs; beyond it are "
            f"{beyond[:4]}, which the model could never write. Give the tokenizer that it was trained with."
        )
    return {id_: piece for id_, piece in raw.items() if id_ < vocabulary_size}


def _alphabet(pieces: Sequence[str]) -> Alphabet:
    """Return the letters of ``pieces``; raises ModelError for a model of a script that cannot be written yet.

    A few pieces of such scripts, as large vocabularies have them, are no error: they count as silence.
    """
    whole = alphabet_of(pieces)
    if whole is None:
        raise ModelError(
            f"no piece of {list(pieces)[:6]} has a letter; needed are pieces with letters and a delimiter."
        )
    missing = unwritable(whole.letters)
    spoken = [piece for piece in pieces if any(character.isalpha() for character in piece)]
    foreign = [piece for piece in spoken if missing.keys() & set(piece)]
    if not missing:
        return whole
    if len(foreign) > _FOREIGN_SHARE * len(spoken):
        reasons = ", ".join(dict.fromkeys(missing.values()))
        raise ModelError(
            f"{len(foreign)} of the model's {len(spoken)} pieces have letters that cannot be written yet "
            f"('{''.join(missing)[:20]}'): missing is {reasons}. Needed is a model of a script from left to right with "
            "spaces between words."
        )
    return with_letters("".join(letter for letter in whole.letters if letter not in missing))


def _normalise_piece(piece: str, delimiter: str | None, alphabet: Alphabet) -> str:
    if delimiter is not None and (piece == delimiter or piece in _SPLITTING):
        return WORD_START
    start = piece.startswith(WORD_START)
    # The leading letter keeps an apostrophe that stands inside a word: pieces such as "'s".
    normalised = normalise(alphabet.letters[0] + piece.removeprefix(WORD_START), alphabet)
    body = normalised[1:].strip().replace(" ", WORD_START)
    return WORD_START + body.lstrip("'") if start else body


def _representatives(raw: Mapping[int, str], written: Mapping[int, str]) -> dict[str, int]:
    """One id per normalised piece: the one that is already written so, or else the lowest."""
    ids: dict[str, int] = {}
    for id_ in sorted(written, key=lambda id_: (raw[id_] != written[id_], id_)):
        if written[id_]:
            ids.setdefault(written[id_], id_)
    return ids


def _piece_scores(tokenizer: Any, ids: Mapping[str, int]) -> dict[str, float]:
    """Unigram log-probabilities where the tokenizer has them; otherwise -1 each, so that fewer pieces win."""
    scores = dict.fromkeys(ids, -1.0)
    backend = getattr(tokenizer, "backend_tokenizer", None)
    model = json.loads(backend.to_str())["model"] if backend is not None else {}
    if model.get("type") == "Unigram":
        scores |= {piece: score for piece, score in model["vocab"] if piece in ids}
    return scores


class _Segmenter:
    """The best segmentations of a text by the sum of piece scores (Viterbi over text positions)."""

    def __init__(self, ids: Mapping[str, int], scores: Mapping[str, float], whole_words: bool) -> None:
        self._ids, self._scores = ids, scores
        self._longest = max(map(len, ids))
        self._prefix = "" if whole_words else WORD_START  # a delimiter stands between words, not before the first

    def several(self, text: str, count: int) -> list[list[int]]:
        marked = (self._prefix + text).replace(" ", WORD_START) if text else ""
        best: list[list[tuple[float, list[int]]]] = [[] for _ in range(len(marked) + 1)]
        best[0] = [(0.0, [])]
        for end in range(1, len(marked) + 1):
            found = []
            for start in range(max(0, end - self._longest), end):
                piece = marked[start:end]
                if piece in self._ids:
                    score, id_ = self._scores[piece], self._ids[piece]
                    found += [(total + score, [*path, id_]) for total, path in best[start]]
            best[end] = sorted(found, key=lambda item: (-item[0], item[1]))[:count]
        if not best[-1]:
            raise RowError(f"the model's vocabulary cannot spell '{text}'; leave the entry out or respell it.")
        return [path for _, path in best[-1]]

    def best(self, text: str) -> list[int]:
        return self.several(text, 1)[0]


class _Native:
    """The tokenizer's own segmentation, as the model saw it in training; the segmenter where that one fails."""

    def __init__(self, tokenizer: Any, raw: Mapping[int, str], fold: npt.NDArray[np.int64], rest: _Segmenter) -> None:
        self._tokenizer, self._fold, self._rest = tokenizer, fold, rest
        letters = "".join(piece for piece in raw.values() if not MARKUP.fullmatch(piece))
        self._upper = not any(character.islower() for character in letters)

    def best(self, text: str) -> list[int]:
        came = self._tokenizer(text.upper() if self._upper else text, add_special_tokens=False)["input_ids"]
        ids = [int(self._fold[id_]) for id_ in came]
        return self._rest.best(text) if NEVER in ids else ids

    def several(self, text: str, count: int) -> list[list[int]]:
        first = self.best(text)
        others = [path for path in self._rest.several(text, count) if path != first]
        return [first, *others][:count]
