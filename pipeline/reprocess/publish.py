"""Publishing a run: it is compared with the one that is published now, and takes its place if the gates hold."""

from typing import Any

import pyarrow.parquet as pq

from pipeline import storage
from pipeline.errors import InputError
from pipeline.reprocess.changes import Totals, change_of
from pipeline.reprocess.gates import Gates, Published, objections
from pipeline.runs.folder import RunFolder
from pipeline.runs.manifest import is_intact
from pipeline.runs.pointer import Pointer
from pipeline.storage import Location
from pipeline.types.entity import EMPTY

_COMPARED = ["utterance_id", "text", "entities", "error"]


def publish(run: RunFolder, pointer: Pointer, gates: Gates) -> list[str]:
    """Move the pointer to ``run`` if the gates hold; else return what speaks against it, and leave the pointer.

    Raises InputError for a run that is not complete.
    """
    record = run.read_record()
    if record is None or not is_intact(run):
        raise InputError(f"{run.root.uri}: is no complete run; only what jobs.verify finds whole can be published.")
    if pointer.run == run.root.name:
        return []
    before = RunFolder(pointer.output.join(pointer.run)) if pointer.run else None
    totals, published = _compared(run, record, before)
    found = objections(totals, record["counts"]["rows_in"], published, gates)
    if not record["counts"]["reconciled"]:
        found.append("its rows are not those that went in")
    if not found:
        pointer.move(run.root.name)
    return found


def _compared(run: RunFolder, record: dict[str, Any], before: RunFolder | None) -> tuple[Totals, Published | None]:
    """Return the totals of ``run`` against what is published; those of reprocessing, if that began there."""
    errors = sum(record["counts"]["errors"].values())
    if before is None:
        return Totals(rows=record["counts"]["rows_out"], errors=errors), None
    known = (before.read_record() or {}).get("counts", {"rows_out": 0, "errors": {}})
    published = Published(known["rows_out"], sum(known["errors"].values()))
    reprocessed = record.get("reprocess") or {}
    if reprocessed.get("from") == before.root.name:
        return Totals(**reprocessed["totals"]), published
    return _differences(before, run), published


def _differences(before: RunFolder, after: RunFolder) -> Totals:
    """Compare two runs row by row. Memory: texts and entities of one of them, some 300 bytes per utterance."""
    totals = Totals()
    old = {row["utterance_id"]: row for file in before.files() for row in _rows(file)}
    totals.words = sum(len((row["text"] or "").split()) for row in old.values())
    for file in after.files():
        for row in _rows(file):
            totals.rows += 1
            totals.errors += row["error"] is not None
            known = old.get(row["utterance_id"])
            change = None if known is None else change_of(known, row, EMPTY)
            totals.changed += known is None or (change is not None and change.is_visible)
            totals.other_words += 0 if change is None else change.other_words
    return totals


def _rows(file: Location) -> list[dict[str, Any]]:
    def read() -> list[dict[str, Any]]:
        table = pq.read_table(file.path, filesystem=file.arrow(), partitioning=None, columns=_COMPARED)
        rows: list[dict[str, Any]] = table.to_pylist()
        return rows

    return storage.attempt(read, file, "read")
