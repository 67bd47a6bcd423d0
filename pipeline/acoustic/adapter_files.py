"""Which adapter belongs to a run: found and checked before any model is loaded, so without torch."""

import dataclasses
import json
from pathlib import Path
from typing import Any

from pipeline.acoustic.companion_files import by_letters, settled, with_vocabulary
from pipeline.config import AdapterConfig, RunConfig, absolute_paths
from pipeline.config.fingerprint import model_fingerprint
from pipeline.errors import ConfigError, ModelError

FORMAT = "rollcall-adapter-1"
CONFIG, WEIGHTS = "adapter.json", "adapter.safetensors"
BESIDE = "_adapter"
"""Ending of the directory beside a base model's that holds its adapter."""


def adapter_folder(config: RunConfig) -> Path | None:
    """Return where the adapter of ``config`` lies; None if there is none to run.

    Raises ConfigError if the base has none and the adapter is not optional.
    """
    if config.adapter is None:
        return None
    if config.adapter.model is not None:
        return Path(config.adapter.model)
    folder = Path(config.acoustic.model.rstrip("/") + BESIDE)
    if (folder / CONFIG).is_file():
        return folder
    if config.adapter.optional:
        return None
    raise ConfigError(
        f"{config.acoustic.model}: there is no adapter at {folder}; train one with `python -m jobs.train_adapter`, "
        "give its directory as adapter.model, or leave it out with --without adapter."
    )


def resolved(config: RunConfig) -> RunConfig:
    """Return ``config`` as a run uses it: paths absolute, whose phones are heard, the adapter's directory filled in.

    Without an adapter where an optional one is missing.
    Raises ConfigError if the adapter was trained on another base, ModelError if it or the base cannot be read.
    """
    config = with_vocabulary(by_letters(dataclasses.replace(config, acoustic=settled(config.acoustic))))
    config = absolute_paths(config)
    folder = adapter_folder(config)
    if config.adapter is None or folder is None:
        return dataclasses.replace(config, adapter=None)
    trained_on, base = base_of(folder), model_fingerprint(config.acoustic.model)
    if trained_on != base:
        if config.adapter.optional:
            return dataclasses.replace(config, adapter=None)
        raise ConfigError(
            f"{folder}: was trained on the base {trained_on}, this run's is {base}; train it again with "
            "`python -m jobs.train_adapter --init`, or leave it out with --without adapter."
        )
    return dataclasses.replace(config, adapter=dataclasses.replace(config.adapter, model=str(folder), optional=False))


def with_adapter(config: RunConfig) -> RunConfig:
    """Return ``config`` with the base's adapter, if it has one: a cached first pass is for runs of any preset."""
    return resolved(dataclasses.replace(config, adapter=config.adapter or AdapterConfig(optional=True)))


def read_settings(folder: Path) -> dict[str, Any]:
    """Return what ``adapter.json`` holds; raises ModelError."""
    try:
        settings: dict[str, Any] = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        if settings["format"] != FORMAT:
            raise ValueError(f"format '{settings['format']}', needed is '{FORMAT}'")
        return {"base": str(settings["base"]), "shape": dict(settings["shape"])}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(
            f"{folder}: not an adapter directory ({error}); `python -m jobs.train_adapter` writes one."
        ) from error


def base_of(folder: Path) -> str:
    """Return model_fingerprint of the base that the adapter of ``folder`` belongs to; raises ModelError."""
    return str(read_settings(folder)["base"])
