"""Rows of entity lists that are one JSON value: an array of texts or objects, or an object.

An object is read where it can mean one thing: ``{"entities": [...]}`` holds a list, ``{"London": 1.5}`` a weight per
entity and ``{"London": {"aliases": ["Londinium"]}}`` its fields. An object of lists could as well be a list for each
utterance, and is refused.
"""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from pipeline.errors import InputError

_HOLDERS = ("entities", "list", "phrases", "hotwords")
"""Keys under which an object holds its list."""
_FIELDS = {"aliases", "pronunciations", "weight", "tags"}
"""What an object may say of an entity; of one that says none of it nobody knows what it is."""


def json_rows(path: str, text: str, columns: Sequence[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (number of the entry, fields) of a .json file; raises InputError for what is no list of entities."""
    for row, entry in enumerate(json_entries(path, text), start=1):
        yield row, entry_fields(path, row, entry, columns)


def json_entries(path: str, text: str) -> list[Any]:
    """Return the entries of a .json file, texts or objects; raises InputError."""
    try:
        value = json.loads(text) if text.strip() else []
    except json.JSONDecodeError as error:
        raise InputError(f"{path}: line {error.lineno} is not JSON ({error.msg}); a file with an object on every line "
                         "is a .jsonl.") from error  # fmt: skip
    if isinstance(value, dict) and "entity" in value:
        return [value]
    if isinstance(value, dict):
        held = [key for key in _HOLDERS if isinstance(value.get(key), list)]
        value = value[held[0]] if len(held) == len(value) == 1 else _by_name(path, value)
    if not isinstance(value, list):
        raise InputError(f"{path}: needed is a JSON array of entities or an object, got {text.strip()[:100]}.")
    return value


def _by_name(path: str, value: dict[str, Any]) -> list[Any]:
    entries: list[Any] = []
    for name, said in value.items():
        if isinstance(said, dict) and (not said or _FIELDS & said.keys()):
            entries.append({**said, "entity": name})
        elif isinstance(said, int | float) and not isinstance(said, bool):
            entries.append({"entity": name, "weight": said})
        else:
            raise InputError(
                f"{path}: key '{name[:100]}' holds a {type(said).__name__}, needed is a weight, or an object with "
                '"weight" or "aliases". Lists per utterance are a .jsonl of {"utterance_id": ..., "entities": [...]}; '
                "phrase lists of Google and Azure want --entities-format google or azure."
            )
    return entries


def entry_fields(path: str, row: int, entry: Any, columns: Sequence[str]) -> dict[str, Any]:
    """Return the fields of one entry, a text or an object with ``entity``; raises InputError for any other."""
    if isinstance(entry, str):
        return {"entity": entry}
    if not isinstance(entry, dict) or "entity" not in entry:
        shown = json.dumps(entry, ensure_ascii=False)[:100]
        raise InputError(f"{path}: entry {row} must be a text or an object with a key 'entity', got {shown}.")
    return {name: entry[name] for name in columns if name in entry}
