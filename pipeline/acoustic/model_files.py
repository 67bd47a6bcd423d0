"""The files of a model directory of ours, and what can be read of it without torch: mark, hash and token inventory."""

import functools
import hashlib
import json
from pathlib import Path

import sentencepiece

from pipeline.errors import ModelError, RowError
from pipeline.text import ENGLISH, alphabet_of
from pipeline.types.tokens import WORD_START, Tokens

FORMAT = "rollcall-ctc-1"
CONFIG, WEIGHTS, TOKENISER = "config.json", "model.safetensors", "tokenizer.model"
SPELLING = "spelling.safetensors"
BLANK = 0
"""Id of the CTC blank: the tokeniser's <unk>, which text within its alphabet never uses."""


def is_model_directory(folder: Path) -> bool:
    """Say whether ``folder`` claims to be a model of ours."""
    try:
        return bool(json.loads((folder / CONFIG).read_text(encoding="utf-8")).get("format") == FORMAT)
    except (OSError, ValueError, AttributeError):
        return False


def load_tokens(tokeniser: Path) -> Tokens:
    """Return the Tokens of a SentencePiece unigram model whose id 0 is the blank."""
    processor = sentencepiece.SentencePieceProcessor()
    try:
        processor.load(str(tokeniser))
    except (OSError, RuntimeError) as error:
        raise ModelError(f"{tokeniser}: not a SentencePiece model ({error}).") from error
    pieces = ["" if i == BLANK else str(processor.id_to_piece(i)) for i in range(processor.get_piece_size())]
    return Tokens(
        pieces=tuple(pieces),
        blank=BLANK,
        encoder=functools.partial(_encode, processor),
        sampler=functools.partial(_sample, processor),
        alphabet=alphabet_of(pieces) or ENGLISH,
    )


def _encode(processor: sentencepiece.SentencePieceProcessor, text: str) -> list[int]:
    ids: list[int] = processor.encode(text)
    if BLANK in ids:
        alphabet = {c for i in range(processor.get_piece_size()) for c in processor.id_to_piece(i)} - {WORD_START}
        strange = sorted({character for character in text if character not in alphabet and character != " "})
        raise RowError(f"{text[:80]!r} cannot be written with the model's pieces: it has no {strange}.")
    return ids


def _sample(processor: sentencepiece.SentencePieceProcessor, text: str, count: int) -> list[list[int]]:
    best = _encode(processor, text)
    others = (list(ids) for ids in processor.nbest_encode_as_ids(text, count))
    unique = dict.fromkeys([tuple(best), *(tuple(ids) for ids in others if BLANK not in ids)])
    return [list(ids) for ids in unique][:count]


def content_hash(folder: Path) -> str:
    """Return the model id: a hash over everything that decides the model's output, 16 hex digits."""
    digest = hashlib.sha256()
    for name in (CONFIG, WEIGHTS, TOKENISER, SPELLING):
        if name == SPELLING and not (folder / name).exists():
            continue
        with open(folder / name, "rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:16]
