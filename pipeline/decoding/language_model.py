"""KenLM language models: the file, its word list, and errors that say what is wrong with either."""

import dataclasses
import functools
import lzma
import shutil
import tempfile
import zlib
from pathlib import Path

import kenlm
import numpy as np

from pipeline.config import LanguageModelConfig
from pipeline.decoding.arpa import open_packed
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
    """Load any KenLM ARPA (plain, gzip, bzip2 or xz) or binary file and its words.

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
        with path.open("rb") as file:
            packed = file.read(3) in (b"BZh", b"\xfd7z")
        if not packed:
            return kenlm.Model(str(path), quiet)
        # Whether KenLM reads these depends on how it was built.
        with open_packed(path) as content, tempfile.NamedTemporaryFile(suffix=".arpa") as plain:
            shutil.copyfileobj(content, plain)
            plain.flush()
            return kenlm.Model(plain.name, quiet)
    except (OSError, RuntimeError, EOFError, lzma.LZMAError) as error:
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
    """Words of a list, one per line, plain or packed (gzip, bzip2, xz); raises ModelError if there is none."""
    if not path.is_file():
        raise ModelError(f"word list {path} does not exist; set language_model.unigrams, or null for an ARPA file.")
    try:
        with open_packed(path) as file:
            content = file.read()
        return content.decode().split()
    except (OSError, EOFError, zlib.error, lzma.LZMAError, UnicodeDecodeError) as error:
        raise ModelError(f"word list {path} is not UTF-8 text, plain or packed: {error}") from error
