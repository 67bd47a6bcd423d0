"""Whose phones a run hears: settled before any model is loaded, so without torch."""

import dataclasses
from pathlib import Path

from pipeline.acoustic import model_files
from pipeline.acoustic.hugging_face_files import checkpoint_language
from pipeline.config import AUTO, AcousticConfig

_ENGLISH = ("en", "eng", "english")


def settled(config: AcousticConfig) -> AcousticConfig:
    """Return ``config`` with ``phones`` settled: None, or the directory of the model that hears them.

    By default the shipped model hears them beside one that is English and has no phone head; whether it is English
    says ``config.language``, else the checkpoint.
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
