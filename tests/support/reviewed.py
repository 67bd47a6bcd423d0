"""A small run with sound to review: two proposed names in one utterance, none in another, and one row with an error."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.schemas import AUDIO, TRANSCRIPTS
from tests.support.exported_runs import entity, row, words
from tests.support.reports import HOSTILE, tone

RUN = "f1"


def rows() -> list[dict[str, Any]]:
    spoken = words(("ask", 0.0, 0.5), ("anna", 0.5, 1.0), ("in", 1.0, 1.5), ("leeds", 1.5, 2.0))
    found = [entity("Anna", 1, 2, 0.5, 1.0) | {"alternative": "and a"}, entity(HOSTILE, 3, 4, 1.5, 2.0)]
    found[1]["entity"] = "leeds"
    return [
        row("a", spoken, 2.0, entities=found, audio_sha256="A"),
        row("b", words(("good", 0.0, 0.5), ("york", 0.5, 1.0)), 1.0, audio_sha256="B"),
        row("c", [], 1.0, words=None, entities=None, text=None, error="c: too short", audio_sha256="C"),
    ]


def write_reviewed_run(folder: Path) -> tuple[str, str]:
    """Write run and audio; returns both paths."""
    (folder / "run/transcripts").mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(rows(), schema=TRANSCRIPTS), folder / "run/transcripts/0.parquet")
    (folder / "run/run.json").write_text(json.dumps({"fingerprint": RUN}))
    sound = [
        {"utterance_id": one["utterance_id"], "audio": {"bytes": tone(one["duration_seconds"]), "path": None}}
        for one in rows()
    ]
    pq.write_table(pa.Table.from_pylist(sound, schema=AUDIO), folder / "audio.parquet")
    return str(folder / "run"), str(folder / "audio.parquet")
