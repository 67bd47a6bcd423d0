"""A small finished run with a cached first pass, over made-up emissions."""

from pathlib import Path

import pyarrow as pa

from benchmarks.finished_run import Bench
from pipeline.acoustic.checkpoint import TOKENISER, load_tokens
from pipeline.config import override
from pipeline.schemas import TRANSCRIPTS
from pipeline.storage import Location
from tests.support.hearing import CONFIG, hear


def bench(model: Path, output: Location) -> Bench:
    """Four rows per file, and other ones in the cache's files."""
    return Bench(override(CONFIG, {"acoustic": {"model": str(model)}}), output, rows=4, cached_rows=5)


def heard(model: Path, texts: list[str | None], seed: int = 0) -> pa.Table:
    return hear(texts, seed, tokens=load_tokens(model / TOKENISER))


def in_order(table: pa.Table) -> pa.Table:
    return table.cast(TRANSCRIPTS).sort_by("utterance_id").combine_chunks()
