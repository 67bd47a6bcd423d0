"""Snapshots of what reviewers confirmed, written by hand."""

from pathlib import Path
from typing import Any

from pipeline.config import MemoryConfig
from pipeline.retrieval.remembered import file_name, snapshot_bytes, version_of


def known(entity: str, heard: str, tenant: str = "", lower: float = 0.35, upper: float = 0.99) -> dict[str, Any]:
    """A MEMORY row; by its bounds it was accepted once."""
    row = {"tenant": tenant, "entity": entity, "heard": heard, "accepted": 1, "rejected": 0, "predicted": None}
    return row | {"lower": lower, "upper": upper}


def write_memory(folder: Path, *rows: dict[str, Any]) -> str:
    """Write the snapshot; returns its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / file_name(version_of(rows))
    path.write_bytes(snapshot_bytes(rows))
    return str(path)


def memory(folder: Path, *rows: dict[str, Any], **fields: Any) -> MemoryConfig:
    return MemoryConfig(write_memory(folder, *rows), **fields)
