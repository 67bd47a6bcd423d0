"""A small run to export: two recordings cut into pieces, an utterance of its own, one error, odd ids and names."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from jobs.export import main
from pipeline.schemas import AUDIO, TRANSCRIPTS

ROWS = 5
FAILED = "talk 1/b"


def words(*spoken: tuple[str, float, float]) -> list[dict[str, Any]]:
    return [{"word": word, "start_seconds": a, "end_seconds": b, "confidence": 0.75} for word, a, b in spoken]


def row(utterance_id: str, spoken: list[dict[str, Any]], seconds: float, **more: Any) -> dict[str, Any]:
    text = " ".join(word["word"] for word in spoken)
    hypothesis = {"text": text, "acoustic": -1.5, "lm": -2.0, "boost": 0.5, "phone_cost": None, "total": -3.0}
    identity = {"audio_sha256": "ab", "model_id": "m1", "list_version": "l1", "config_fingerprint": "c1"}
    fields = {"utterance_id": utterance_id, "text": text, "words": spoken, "nbest": [hypothesis], "entities": []}
    return fields | {"duration_seconds": seconds, "error": None} | identity | more


def entity(shown: str, first: int, last: int, start: float, end: float) -> dict[str, Any]:
    place = {"start_word": first, "end_word": last, "start_seconds": start, "end_seconds": end}
    return {"entity": shown.lower(), "display_as": shown, "techniques": ["boosting"], "alternative": None} | place


def transcripts() -> list[dict[str, Any]]:
    """One row per utterance; talk 1 is cut into a, b and c, of which b failed and c comes first."""
    return [
        row("talk 1/c", words(("to", 0.0, 0.2), ("lodz", 0.2, 0.9)), 1.0, entities=[entity("Łódź", 1, 2, 0.2, 0.9)]),
        row("talk 1/a", words(("from", 0.1, 0.4), ("new", 0.4, 0.6), ("york", 0.6, 1.0)), 2.0,
            entities=[entity("New York", 1, 3, 0.4, 1.0)]),
        row(FAILED, [], 3.0, text=None, words=None, nbest=None, entities=None, error=f"{FAILED}: audio is truncated."),
        row("solo;2", words(("say", 0.0, 0.5), ("r", 0.5, 0.75), ("d", 0.75, 1.0)), 1.5,
            entities=[entity('R&D <"x">', 1, 3, 0.5, 1.0)]),
        row("silent", [], 0.5),
    ]  # fmt: skip


def audio() -> list[dict[str, Any]]:
    pieces = {"talk 1/a": (0.0, 2.0), FAILED: (2.0, 5.0), "talk 1/c": (5.0, 6.0)}
    found = []
    for one in transcripts():
        name = one["utterance_id"]
        start, end = pieces.get(name, (None, None))
        speaker, tenant = ("ann", "acme/eu") if name in pieces else ("bob", None)
        recording = "talk 1" if name in pieces else None
        sound = {"bytes": b"OggS", "path": None if name == "silent" else f"{name.split('/')[0]}.ogg"}
        fields = {"utterance_id": name, "speaker": speaker, "tenant": tenant, "recording_id": recording}
        found.append(fields | {"start_seconds": start, "end_seconds": end, "audio": sound})
    return found


def write_run(folder: Path, columns: Sequence[str] = tuple(TRANSCRIPTS.names)) -> tuple[Path, Path]:
    """Write the run, in two shards and with these columns, and its audio; returns both paths."""
    run, rows = folder / "run", transcripts()
    (run / "transcripts").mkdir(parents=True)
    for number, shard in enumerate((rows[:2], rows[2:])):
        table = pa.Table.from_pylist(shard, schema=TRANSCRIPTS).select(columns)
        pq.write_table(table, run / "transcripts" / f"{number}.parquet")
    record = {"fingerprint": "f1", "model_id": "m1", "started": "2026-11-20T10:00:00+00:00", "status": "complete"}
    (run / "run.json").write_text(json.dumps(record))
    pq.write_table(pa.Table.from_pylist(audio(), schema=AUDIO), folder / "audio.parquet")
    return run, folder / "audio.parquet"


def export(folder: Path, form: str, *more: str, audio: bool = True) -> tuple[Path, dict[str, Any]]:
    """Export the small run; returns the output and its record."""
    run, corpus = write_run(folder)
    output = folder / "out"
    arguments = [
        "--run",
        str(run),
        "--format",
        form,
        "--output",
        str(output),
        *(["--audio", str(corpus)] if audio else []),
    ]
    assert main([*arguments, *more]) == 0
    record = json.loads((output / "_export.json").read_text())
    assert record["rows_in"] == ROWS == record["rows_out"] + sum(record["rows_aside"].values())
    return output, record
