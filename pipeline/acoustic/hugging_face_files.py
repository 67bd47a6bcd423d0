"""A user's checkpoint on disk: where it lies, what must be in it, and one line for what is missing. No torch here."""

import contextlib
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from pipeline.errors import ModelError

_BESIDE = (
    (("vocab.json", "tokenizer.json", "tokenizer.model"), "which has the pieces that the model writes"),
    (("preprocessor_config.json", "processor_config.json"), "which says how the model hears"),
)
"""What lies beside config.json and the weights; one file of each."""
_INDEX = "model.safetensors.index.json"
_LANGUAGE = "adapter.{}.safetensors"
"""Weights of one language of a model of many, as MMS has them; they are no model alone."""
_IDENTITY_FILES = ("*.safetensors", "*.json", "*.model", "*.txt")
_AS_SAVED = "needed is a directory as save_pretrained of the model and of its processor writes it."


@contextlib.contextmanager
def explained(directory: Path) -> Iterator[None]:
    """Turn what transformers raises for broken files (OSError, KeyError, SafetensorError and more) into ModelError."""
    try:
        yield
    except ModelError:
        raise
    except Exception as error:
        reason = str(error).strip().splitlines()[:1]
        raise ModelError(f"{directory}: cannot be loaded ({type(error).__name__}: {''.join(reason)}).") from error


def locate(model: str) -> Path:
    """Return the directory of a model, from the hub where the name is no directory here; raises ModelError."""
    if Path(model).is_dir():
        return Path(model)
    if Path(model).is_absolute() or model.count("/") != 1 or model.startswith("."):
        raise ModelError(f"model directory '{model}' does not exist; give a directory or a hub id such as 'org/name'.")
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(model, allow_patterns=list(_IDENTITY_FILES)))
    except Exception as error:  # no network, unknown id, gated: the hub has an exception for each
        raise ModelError(
            f"'{model}' is neither a directory here nor a model that the hub gave ({type(error).__name__}); "
            "download it where there is a network and give the directory."
        ) from error


def check_files(directory: Path) -> None:
    """Raise ModelError, naming the file and where to get it, unless all that a checkpoint needs is there."""
    if not (directory / "config.json").is_file():
        raise ModelError(f"{directory}: config.json is missing; {_other_format(directory) or _AS_SAVED}")
    for names, what in _BESIDE:
        if not _has_any(directory, names):
            raise ModelError(f"{directory}: {' or '.join(names)} is missing, {what}; {_elsewhere(directory, names)}")
    _check_weights(directory)


def _has_any(directory: Path, names: tuple[str, ...]) -> bool:
    return any((directory / name).is_file() for name in names)


def _other_format(directory: Path) -> str | None:
    if any(directory.glob("*.nemo")):
        return (
            "a .nemo file is another format: transformers' convert_nemo_to_hf.py (models/parakeet) writes the "
            "directory that is needed."
        )
    if (directory / "adapter_config.json").is_file():
        return _MERGE
    below = sorted(path.parent.name for path in directory.glob("*/config.json"))
    return f"there is one in {', '.join(below[:3])}: give that directory." if below else None


_MERGE = (
    "this is only what PEFT trained on top of a model: load both, call merge_and_unload() and save_pretrained, and "
    "give the directory that this writes."
)


def _elsewhere(directory: Path, names: tuple[str, ...]) -> str:
    """Say where the trainer of transformers leaves what its checkpoints lack."""
    if _has_any(directory.parent, names):
        return f"{directory.parent} has it: copy it from there."
    return (
        "a checkpoint of a trainer lacks it: call processor.save_pretrained with this directory, or copy the file from "
        "the model that training began with if its letters are the same."
    )


def weight_files(directory: Path) -> list[Path]:
    """Return the files with the model's own weights, without those of other languages; raises ModelError."""
    if (directory / _INDEX).is_file():
        try:
            names = sorted(set(json.loads((directory / _INDEX).read_text(encoding="utf-8"))["weight_map"].values()))
        except (ValueError, KeyError, AttributeError) as error:
            raise ModelError(f"{directory}: {_INDEX} is broken ({error}); copy the model again.") from error
        return [directory / name for name in names]
    return sorted(set(directory.glob("*.safetensors")) - set(directory.glob(_LANGUAGE.format("*"))))


def _check_weights(directory: Path) -> None:
    found = weight_files(directory)
    missing = [path.name for path in found if not path.is_file()]
    if missing:
        raise ModelError(
            f"{directory}: {', '.join(missing[:3])} is missing, which {_INDEX} names; the copy is not whole: copy or "
            "download it again."
        )
    if found:
        return
    if any(directory.glob("pytorch_model*.bin")):
        raise ModelError(
            f"{directory}: the weights are a pickle (pytorch_model.bin), which can run code when it is read; needed "
            "is model.safetensors. Convert it where you trust it: AutoModelForCTC.from_pretrained(directory)"
            ".save_pretrained(new_directory), and copy the tokenizer files."
        )
    raise ModelError(
        f"{directory}: there is no *.safetensors file with the weights; {_other_format(directory) or _AS_SAVED}"
    )


def read_json(path: Path) -> dict[str, Any]:
    """Return a JSON object; raises ModelError naming the file."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{path}: cannot be read ({error}); copy it again.") from error
    if not isinstance(content, dict):
        raise ModelError(f"{path}: must hold a JSON object, got {type(content).__name__}.")
    return content


def languages(directory: Path) -> tuple[str, ...]:
    """Return the languages that a model of many has pieces for (MMS), in alphabetical order; none for others."""
    path = directory / "vocab.json"
    vocabulary = read_json(path) if path.is_file() else {}
    nested = bool(vocabulary) and all(isinstance(value, dict) for value in vocabulary.values())
    return tuple(sorted(vocabulary)) if nested else ()


def checkpoint_language(directory: Path) -> str | None:
    """Return the language that a checkpoint names: the one it is set to, or that of its card (README.md).

    None if it names none, or several.
    """
    settings = directory / "tokenizer_config.json"
    target = read_json(settings).get("target_lang") if settings.is_file() else None
    if isinstance(target, str):
        return target
    card = directory / "README.md"
    named = _card_languages(card.read_text(encoding="utf-8", errors="replace")) if card.is_file() else []
    return named[0] if len(named) == 1 else None


def _card_languages(card: str) -> list[str]:
    """Return the value of ``language`` in the YAML that a model card begins with."""
    if not card.startswith("---\n"):
        return []
    try:
        content = yaml.safe_load(card[4:].partition("\n---")[0])
    except yaml.YAMLError:
        return []
    named = content.get("language") if isinstance(content, dict) else None
    return [str(one) for one in (named if isinstance(named, list) else [named]) if one is not None]


def language_file(directory: Path, language: str) -> Path:
    """Return where the weights of one language of a model of many lie."""
    return directory / _LANGUAGE.format(language)


def content_hash(directory: Path) -> str:
    """sha256 over names and bytes of the weights, tokenizer and configuration files, 64 hex digits."""
    digest = hashlib.sha256()
    for path in sorted({path for pattern in _IDENTITY_FILES for path in directory.glob(pattern)}):
        digest.update(f"{path.name}\0{path.stat().st_size}\0".encode())
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()
