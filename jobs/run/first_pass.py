"""A first pass without Ray, for a file of labelled speech that is searched over many times."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from rich.progress import track

from jobs.cli.command import is_terminal
from pipeline.config import RunConfig
from pipeline.errors import InputError
from pipeline.recognition.recogniser import Recogniser

_ENCODE_ROWS = 64  # utterances decoded to samples at a time


def encode(path: str, config: RunConfig, target: Path) -> str:
    """Encode an AUDIO file once, with what the adapter needs if there is one; the result is kept beside the others."""
    encoder = Recogniser.load(config, transcribes=False).encoder
    try:
        with pq.ParquetFile(path) as file:
            batches = track(file.iter_batches(_ENCODE_ROWS), "encode", disable=not is_terminal())
            tables = [encoder.encode(pa.Table.from_batches([batch])) for batch in batches]
    except (pa.ArrowInvalid, OSError, KeyError) as error:
        raise InputError(f"{path} cannot be read as AUDIO parquet: {error}; `jobs.ingest` writes it.") from error
    pq.write_table(pa.concat_tables(tables), target)
    return str(target)
