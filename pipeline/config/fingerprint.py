"""Content hashes that name what a run reads and writes.

Row identity = audio hash x model id x list version x config fingerprint. A run's output folder is named by the hash of
the same four for its whole corpus, so nothing is ever overwritten by a run with other inputs, and the same command
finds its own unfinished output again. No hash depends on where files lie or on which machine looks at them.
"""

import functools
import hashlib
import json
import os
from collections.abc import Mapping
from typing import Any

from pipeline.config.config import AUTO, PRONUNCIATIONS, WORDS, RunConfig, path_fields, pronounces, to_dict
from pipeline.errors import ModelError
from pipeline.schemas import TRANSCRIPTS_FORMAT

DIGITS = 16
"""Hex digits kept of each SHA-256: 64 bits, so a clash among a million runs has odds of one in 10**7."""
_NOT_IN_OUTPUT = (("acoustic", "model"), ("acoustic", "device"), ("acoustic", "batch_seconds"))
"""Config keys left out: the model has its own id, and device and packing decide speed and memory only."""
_LATER_PARTS = ("cut", "lexical", "memory", "policy", "tree", "session")
"""Parts that earlier versions had not: off, they leave the hash what it was."""
_LATER_KEYS = (
    ("acoustic", "language"), ("acoustic", "phones"), ("acoustic", "calibration"), ("guard", "cautious"),
    ("phone_fusion", "vocabulary"), ("guard", "doubts"),
)  # fmt: skip
"""Likewise, as long as they are None or off, or not settled yet."""
_PRONOUNCED_IN_FORMAT_1 = ("rescoring", "lexicon", "g2g", "guard")
_PRONUNCIATION_FILES = (".npz", ".gz")
"""The G2P model and the dictionary; what else lies beside them is named by the parts that read it."""
_MODEL_FILES = (".safetensors", ".json", ".model", ".txt")
"""What a model is made of; its card and licence may change without changing it."""
_CHUNK = 1 << 20


def fingerprint(content: Any) -> str:
    """Return the hash of a JSON-like value; the order of keys does not matter."""
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:DIGITS]


def content_hash(path: str) -> str:
    """Return the hash of a local file, or of the names and contents of all files of a folder.

    Raises ModelError if it cannot be read: what is hashed here are models and language models.
    """
    try:
        if os.path.isdir(path):
            parts = [(name, _file_hash(os.path.join(path, name))) for name in _files_below(path)]
            return fingerprint(parts)
        return _file_hash(path)
    except OSError as error:
        raise ModelError(
            f"{path}: cannot be read ({error.strerror or error}); check the path in the config."
        ) from error


def _files_below(folder: str) -> list[str]:
    found = []
    for root, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith((".", "__"))]
        found += [os.path.relpath(os.path.join(root, name), folder) for name in files if not name.startswith(".")]
    return sorted(found)


def _file_hash(path: str) -> str:
    status = os.stat(path)
    return _hash_unchanged(path, status.st_mtime_ns, status.st_size)


@functools.lru_cache(maxsize=256)
def _hash_unchanged(path: str, _modified: int, _size: int) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()[:DIGITS]


def model_fingerprint(model: str) -> str:
    """Return the hash of what decides a model's output in its folder (a hub id, which is no folder, stands for itself).

    Names a run before anything is loaded; the ``model_id`` of its rows comes from the loaded model. Raises ModelError.
    """
    if not os.path.isdir(model):
        if os.path.isabs(model) or model.startswith(".") or model.count("/") != 1:
            raise ModelError(
                f"model directory '{model}' does not exist; give a directory or a hub id such as 'org/name'."
            )
        return model
    names = [name for name in _files_below(model) if name.endswith(_MODEL_FILES)]
    if not names:
        raise ModelError(f"{model}: holds none of {list(_MODEL_FILES)}; needed is a model directory.")
    return fingerprint([(name, content_hash(os.path.join(model, name))) for name in names])


def config_fingerprint(config: RunConfig, transcripts_format: int = TRANSCRIPTS_FORMAT) -> str:
    """Return the hash of everything in ``config`` that decides what is written; raises ModelError for missing files.

    transcripts_format: of the rows. An earlier one tells whether a run of an earlier version is of this configuration.
    """
    content = to_dict(config)
    for part in _LATER_PARTS:
        if content[part] is None:
            del content[part]
    for part, key in _LATER_KEYS:
        if content[part] and content[part][key] in (None, AUTO, False):
            del content[part][key]
    if transcripts_format == 1:  # it had no number, and not all that read the pronunciations counted as doing so
        reads = any(content[part] for part in _PRONOUNCED_IN_FORMAT_1)
    else:
        reads, content["transcripts_format"] = pronounces(config), transcripts_format
    if reads:
        content["phonetic_data"] = phonetic_data()
    for part, key, kind in path_fields():
        if content.get(part) and content[part].get(key) is not None and (part, key) not in _NOT_IN_OUTPUT:
            named = content[part][key]  # preflight has filled in an adapter that lies beside its base
            if named not in WORDS:
                content[part][key] = model_fingerprint(named) if kind == "model" else content_hash(named)
    for part, key in _NOT_IN_OUTPUT:
        del content[part][key]
    return fingerprint(content)


def phones_fingerprint(phones: str | None) -> str | None:
    """Return what stands for ``acoustic.phones``: None, that they are letters, or the hash of the model."""
    return phones if phones is None or phones in WORDS else model_fingerprint(phones)


def phonetic_data() -> list[str]:
    """Return the hashes of the dictionary and the G2P model, which decide how anything is pronounced."""
    return [content_hash(path) for path in _pronunciation_files()]


def _pronunciation_files() -> list[str]:
    names = [name for name in _files_below(str(PRONUNCIATIONS)) if name.endswith(_PRONUNCIATION_FILES)]
    return [str(PRONUNCIATIONS / name) for name in names]


def run_fingerprint(audio: str, model: str, entities: str, config: str) -> str:
    """Return the name of the output folder of a run over one corpus."""
    return fingerprint({"audio": audio, "model": model, "entities": entities, "config": config})


def lists_fingerprint(versions: Mapping[str, str]) -> str:
    """Return the version of per-utterance lists: of every id with its list's version."""
    return fingerprint(dict(versions))
