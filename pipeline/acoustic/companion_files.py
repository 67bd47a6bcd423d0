"""Whose phones a run hears, or that it hears letters: settled before any model is loaded, so without torch."""

import dataclasses
from pathlib import Path

from pipeline.acoustic import model_files
from pipeline.acoustic.hugging_face_files import checkpoint_language
from pipeline.config import AUTO, LETTERS, AcousticConfig, G2gConfig, RunConfig
from pipeline.errors import ConfigError

_ENGLISH = ("en", "eng", "english")


def settled(config: AcousticConfig) -> AcousticConfig:
    """Return ``config`` with ``phones`` settled: None, LETTERS, or the directory of the model that hears them.

    By default the shipped model hears them beside one that is English and has no phone head; whether it is English
    says ``config.language``, else the checkpoint. Letters in their place are heard where they are asked for.
    """
    if config.phones != AUTO:
        return config
    return dataclasses.replace(config, phones=AcousticConfig().model if _is_english_without(config) else None)


def _is_english_without(config: AcousticConfig) -> bool:
    folder = Path(config.model)
    if not folder.is_dir() or model_files.is_model_directory(folder):
        return False
    language = (config.language or checkpoint_language(folder) or "").lower()
    return language.replace("_", "-").split("-")[0] in _ENGLISH


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


def with_vocabulary(config: RunConfig) -> RunConfig:
    """Return ``config`` with ``phone_fusion.vocabulary`` settled: on where another model hears the phones."""
    fusion = config.phone_fusion
    if fusion is None or fusion.vocabulary is not None or config.acoustic.phones in (None, AUTO, LETTERS):
        return config
    return dataclasses.replace(config, phone_fusion=dataclasses.replace(fusion, vocabulary=True))
