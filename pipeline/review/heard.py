"""What reviews give to other commands: utterances that were heard whole, with their text, and the missed names."""

import collections
import csv
import io
import tempfile
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline import storage
from pipeline.review.folder import CONFLICT, Files, counting
from pipeline.review.overlay import NOT_FITTING, Overlay
from pipeline.runs.columns import rows_of
from pipeline.runs.reader import Run
from pipeline.schemas import AUDIO
from pipeline.storage import Location
from pipeline.text import Alphabet

_ROWS = 64  # of audio held at once
_NEEDED = ("utterance_id", "text", "words", "entities", "audio_sha256", "error")


def missed_names(files: Files) -> bytes | None:
    """Return an entity list (CSV) of the names that were missed, the most frequent first; None if there are none."""
    names = collections.Counter(one["correction"] for one in counting(files) if one["verdict"] == "missed")
    if not names:
        return None
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(("entity", "tags", "times_missed"))
    writer.writerows(
        (name, "missed", count) for name, count in sorted(names.items(), key=lambda one: (-one[1], one[0]))
    )
    return buffer.getvalue().encode()


def heard_texts(files: Files, run: Run, name: str, alphabet: Alphabet) -> dict[str, str]:
    """Return the text of every utterance of the run that was heard whole, with what the reviewers said laid over it.

    Where reviewers contradict each other, or a review no longer fits, nobody knows the text and it is left out.
    """
    own = {file: [one for one in rows if one["run"] == name] for file, rows in files.items()}
    whole = {one["utterance_id"] for one in counting(own) if one["whole"]}
    for one in (one for rows in own.values() for one in rows):
        if one["error"] is not None and one["error"].startswith(CONFLICT):
            whole.discard(one["utterance_id"])
    texts, overlay, before = {}, Overlay(own, alphabet), 0
    for row in run.rows(whole, _NEEDED):
        laid = overlay.row(row)
        after = sum(overlay.counts[one] for one in NOT_FITTING)
        if after == before:
            texts[row["utterance_id"]] = laid["text"] or ""
        before = after
    return texts


def write_heard(texts: dict[str, str], audio: Sequence[Location], target: Location) -> int:
    """Write AUDIO rows of the utterances with their texts, and return their number; raises InputError, StorageError."""
    if not texts:
        storage.remove(target)
        return 0
    written = 0
    with tempfile.NamedTemporaryFile(prefix="rollcall-heard-") as file:
        with pq.ParquetWriter(file.name, AUDIO, compression="none") as writer:
            for rows in _batches(audio, texts):
                writer.write_table(pa.Table.from_pylist(rows, schema=AUDIO))
                written += len(rows)
        storage.write_atomic(target, file.read())
    return written


def _batches(audio: Sequence[Location], texts: dict[str, str]) -> Iterator[list[dict[str, Any]]]:
    held: list[dict[str, Any]] = []
    for file in audio:
        names = pq.read_schema(file.path, filesystem=file.arrow()).names
        for row in rows_of([file], texts, [name for name in AUDIO.names if name in names]):
            held.append({name: row.get(name) for name in AUDIO.names} | {"text": texts[row["utterance_id"]]})
            if len(held) >= _ROWS:
                yield held
                held = []
    if held:
        yield held
