"""KenLM language models: the file, its word list, and errors that say what is wrong with either."""

import dataclasses
import functools
import gzip
import zlib
from pathlib import Path

import kenlm
import numpy as np

from pipeline.config import LanguageModelConfig
from pipeline.decoding.ngram import read_ngrams
from pipeline.errors import ModelError

_NOT_WORDS = frozenset({"<s>", "</s>", "<unk>", "<UNK>"})


@dataclasses.dataclass(frozen=True)
class LanguageModel:
    """A loaded KenLM model: ``model`` is the reference scorer, ``words`` its vocabulary without the markers."""

    path: Path
    model: kenlm.Model
    words: frozenset[str]


def load_language_model(config: LanguageModelConfig) -> LanguageModel:
    """Load any KenLM ARPA (plain or gzip) or binary file and its words.

    The words come from ``config.unigrams`` if it is set, otherwise from the model file itself.
    Raises ModelError if a file is missing or corrupt, or if the list and the model share no word.
    """
    path = Path(config.path)
    model = _open_kenlm(path)
    words = read_words(Path(config.unigrams)) if config.unigrams is not None else read_ngrams(path).words
    known = frozenset(word for word in words if word in model and word not in _NOT_WORDS)
    if not known:
        raise ModelError(f"{config.unigrams or path}: none of its {len(words)} words is in the language model {path}.")
    return LanguageModel(path, model, known)


def _open_kenlm(path: Path) -> kenlm.Model:
    if not path.is_file():
        raise ModelError(f"language model {path} does not exist; set language_model.path, or null to decode without.")
    quiet = kenlm.Config()
    quiet.show_progress = False
    try:
        return kenlm.Model(str(path), quiet)
    except (OSError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[-1]
        message = f"language model {path} is neither a KenLM ARPA nor a binary, or it is damaged: {reason}"
        raise ModelError(message) from error


@functools.lru_cache(maxsize=2)
def common_words(path: str, count: int) -> tuple[str, ...]:
    """Return the ``count`` most frequent words of the model at ``path``, most frequent first; raises ModelError."""
    arrays = read_ngrams(Path(path))
    order = np.argsort(-arrays.unigrams[:, 0], kind="stable")[: count + len(_NOT_WORDS)]
    return tuple(arrays.words[k] for k in order if arrays.words[k] not in _NOT_WORDS)[:count]


def read_words(path: Path) -> list[str]:
    """Words of a list, one per line, plain or gzip; raises ModelError if there is no such list."""
    if not path.is_file():
        raise ModelError(f"word list {path} does not exist; set language_model.unigrams, or null for an ARPA file.")
    try:
        content = path.read_bytes()
        return (gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content).decode().split()
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise ModelError(f"word list {path} is not UTF-8 text, plain or gzip: {error}") from error
