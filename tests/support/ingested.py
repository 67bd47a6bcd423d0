"""Runs the ingest command in this process and reads what it wrote."""

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from jobs.ingest import main
from pipeline.schemas import AUDIO


def ingest(source: Path | str, output: Path, *more: str) -> dict[str, dict[str, Any]]:
    """Ingest, expect success, and return the rows by id; every id must be there once."""
    assert main([str(source), "--output", str(output), *more]) == 0
    return rows_of(output)


def rows_of(output: Path) -> dict[str, dict[str, Any]]:
    shards = sorted(output.glob("*.parquet"))
    assert all(pq.read_schema(shard).equals(AUDIO) for shard in shards)
    rows = [row for shard in shards for row in pq.read_table(shard).to_pylist()]
    by_id = {row["utterance_id"]: row for row in rows}
    assert len(by_id) == len(rows)
    return by_id


def refused(capsys: Any, *arguments: str) -> str:
    """Run the command, expect exit code 2 without output shards or stack trace, and return what it said."""
    assert main(list(arguments)) == 2
    said = capsys.readouterr().err
    assert "Traceback" not in said
    return said


def summary_of(output: Path) -> dict[str, Any]:
    values: dict[str, Any] = json.loads((output / "_SUCCESS").read_text())
    return values
