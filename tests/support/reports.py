"""Reports to look at: results whose every text is hostile, a run with sound, and what a browser would act on."""

import html.parser
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import soundfile

from pipeline import schemas
from pipeline.report import Attended, ReportInput
from pipeline.scoring.breakdowns import Knowledge
from pipeline.scoring.score import Lists, Reference, ScoreResult, Written, score
from pipeline.scoring.variants import Variant
from pipeline.types.entity import Entity, EntityList

HOSTILE = "</script><script>alert(\"1\")</script><img src=x onerror='alert(2)'>&amp;"


ENTITIES = EntityList((Entity("leeds", HOSTILE, tags=('"><b>city',)), Entity("new york", "New York", tags=("us",))))


def scored(**hypotheses: str) -> ScoreResult:
    texts = {"a": "from leeds to new york", "b": "leeds again", "c": "good day"}
    references = [Reference(name, text, 5.0, HOSTILE + ("x" if name == "b" else "")) for name, text in texts.items()]
    written = {name: Written(hypotheses.get(name, text)) for name, text in texts.items()}
    return score(references, written, Lists(lambda _: ENTITIES))


PLACES = EntityList((Entity("leeds", HOSTILE), Entity("york", "York")))


def in_turn(*hypotheses: str) -> ScoreResult:
    """Score texts against "to leeds", "to york", and so on in turn."""
    references = [Reference(f"u{at}", ("to leeds", "to york")[at % 2], 1.0) for at in range(len(hypotheses))]
    written = {f"u{at}": Written(text) for at, text in enumerate(hypotheses)}
    return score(references, written, Lists(lambda _: PLACES))


def full_report() -> ReportInput:
    """A report with everything in it, every text of it hostile."""
    result, baseline = scored(a="from leads to new york", c="good new york day"), scored()
    variants = [
        Variant("ablation", HOSTILE, None, baseline),
        *(Variant("list_size", HOSTILE, size, result) for size in (100.0, 1000.0)),
        *(Variant("boost_weight", HOSTILE, weight, part) for weight, part in ((1.0, result), (2.0, baseline))),
    ]
    knowledge = Knowledge({"new", "york"}, {"leeds": 3})
    attention = [Attended(HOSTILE, 0.04, [HOSTILE, "york"], [[0.0, 0.9, 0.01], [0.5, 0.0, 0.0]])]
    return ReportInput(
        result, baseline, HOSTILE, {HOSTILE: HOSTILE}, knowledge=knowledge, variants=variants, attention=attention
    )


class Structure(html.parser.HTMLParser):
    """Collects what a browser would act on, and checks that tags are closed in order."""

    def __init__(self, document: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text: list[str] = []
        self.feed(document)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in ("meta", "input", "br", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def tone(seconds: float, format: str = "WAV") -> bytes:
    """A 440 Hz tone at 16 kHz."""
    samples = 0.2 * np.sin(2 * np.pi * 440 * np.arange(int(16000 * seconds)) / 16000)
    buffer = io.BytesIO()
    soundfile.write(
        buffer, samples.astype(np.float32), 16000, format=format, subtype="OPUS" if format == "OGG" else None
    )
    return buffer.getvalue()


def words(text: str) -> list[dict[str, Any]]:
    """Half a second per word."""
    return [
        {"word": word, "start_seconds": at / 2, "end_seconds": at / 2 + 0.5, "confidence": 0.9}
        for at, word in enumerate(text.split())
    ]


def write(path: Path, schema: pa.Schema, rows: list[dict[str, Any]], **options: Any) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), path, **options)
    return str(path)


def run_with_sound(folder: Path) -> tuple[str, str]:
    """A run directory and its AUDIO parquet: leeds is missed in "a", and "b" is right."""
    texts = {"a": ("from leeds to york", "from leads to york"), "b": ("good day", "good day")}
    audio = [
        {"utterance_id": name, "text": said, "duration_seconds": 2.0, "audio": {"bytes": tone(2.0), "path": None}}
        for name, (said, _) in texts.items()
    ]
    transcripts = [
        {"utterance_id": name, "text": written, "words": words(written), "duration_seconds": 2.0}
        for name, (_, written) in texts.items()
    ]
    write(folder / "run/transcripts/0.parquet", schemas.TRANSCRIPTS, transcripts)
    (folder / "run/run.json").write_text(
        json.dumps({"model_id": "m-17", "wall_seconds": 3.2, "config": {"hotwords": {}}})
    )
    return str(folder / "run"), write(folder / "audio.parquet", schemas.AUDIO, audio, row_group_size=1)
