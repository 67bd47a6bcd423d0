"""Whose phones a run hears, or that it hears letters: settled before any model is loaded, so without torch."""

import dataclasses
from pathlib import Path

from pipeline.acoustic import model_files
from pipeline.acoustic.hugging_face_files import checkpoint_language, read_json
from pipeline.acoustic.hugging_face_tokens import MARKUP
from pipeline.config import AUTO, LETTERS, AcousticConfig, G2gConfig, RunConfig
from pipeline.errors import ConfigError
from pipeline.lexicon.phones import MOST_UNITS

_VOCABULARY = "vocab.json"
_ENGLISH = ("en", "eng", "english")


def settled(config: AcousticConfig) -> AcousticConfig:
    """Return ``config`` with ``phones`` settled: None, LETTERS, or the directory of the model that hears them.

    By default the shipped model hears them beside one that is English and has no phone head. One of another language,
    for which there are no pronunciations, takes its own letters for them if that is what it writes. The language says
    ``config.language``, else the checkpoint; where neither does there are none.
    """
    if config.phones != AUTO:
        return config
    return dataclasses.replace(config, phones=_by_language(config))


def _by_language(config: AcousticConfig) -> str | None:
    folder = Path(config.model)
    if not folder.is_dir() or model_files.is_model_directory(folder):
        return None
    named = config.language or checkpoint_language(folder)
    if named is None:
        return None
    if named.lower().replace("_", "-").split("-")[0] in _ENGLISH:
        return AcousticConfig().model
    return LETTERS if _writes_letters(folder, named) else None


def _writes_letters(folder: Path, language: str) -> bool:
    """Whether the vocabulary is a list of letters, beside markup such as <pad> and what stands between words."""
    if not (folder / _VOCABULARY).is_file():
        return False
    vocabulary = read_json(folder / _VOCABULARY)
    pieces = vocabulary.get(language, vocabulary)
    if not isinstance(pieces, dict) or any(isinstance(value, dict) for value in pieces.values()):
        return False
    letters = [piece for piece in pieces if not MARKUP.fullmatch(piece)]
    return all(len(piece) == 1 for piece in letters) and len(letters) <= MOST_UNITS


def by_letters(config: RunConfig) -> RunConfig:
    """Return ``config`` without what letters say nothing new to, where they are heard in place of phones.

    Fusion and rescoring would count the model's own output twice; confusions of the shipped model are of English.
    Raises ConfigError for a memory, which holds phones.
    """
    if config.acoustic.phones != LETTERS:
        return config
    if config.memory is not None:
        raise ConfigError(
            "memory: holds names as phones heard them, and this model hears letters; leave it out, or do without "
            "letters (acoustic.phones: null)."
        )
    g2g = config.g2g
    if g2g is not None and g2g.confusions == G2gConfig().confusions:
        g2g = dataclasses.replace(g2g, confusions=None)
    return dataclasses.replace(config, phone_fusion=None, rescoring=None, g2g=g2g)
