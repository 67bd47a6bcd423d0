"""Publish a run, which readers then find by ``latest.json``, or take the last publication back.

    python -m jobs.publish --run out/6bd1f2a0c3e4d5f6
    python -m jobs.publish --output out --rollback
    python -m jobs.publish --output out

``OUTPUT/latest.json`` names the published run in its field ``run``, and those before it in ``history``; it is replaced
at once. A run is published only if the gates hold, in comparison with the one that is published now: rows, errors, the
share of changed rows, the words that changed outside of entities. Exit code 1, with the reasons, if they do not. With
neither --run nor --rollback the command says what is published. --name keeps several pointers apart, such as tenants.
"""

import argparse
import json
from datetime import UTC, datetime
from typing import Any

import pyarrow.parquet as pq

from jobs.cli.command import FAILED, OK, Result, add_storage_options, job_parser, run_command
from pipeline import storage
from pipeline.errors import ConfigError, InputError
from pipeline.reprocess.changes import Totals, change_of
from pipeline.reprocess.gates import Gates, Published, objections
from pipeline.runs.folder import RunFolder
from pipeline.runs.manifest import is_intact
from pipeline.storage import Location
from pipeline.storage.s3_options import parse_options
from pipeline.types.entity import EMPTY

_HISTORY = 100  # publications that the pointer remembers
_COMPARED = ["utterance_id", "text", "entities", "error"]


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = job_parser("publish", __doc__)
    parser.add_argument("--run", metavar="RUN", help="folder of a complete run, OUTPUT/<fingerprint>")
    parser.add_argument("--output", metavar="O", help="folder of runs; default: the one that --run lies in")
    parser.add_argument("--rollback", action="store_true", help="publish again what was published before")
    parser.add_argument("--name", metavar="NAME", help="of the pointer: latest-NAME.json in place of latest.json")
    add_gates(parser)
    add_storage_options(parser)
    return parser


def add_gates(parser: argparse.ArgumentParser) -> None:
    """Add one option per gate."""
    gates = parser.add_argument_group("gates, shares from 0 to 1")
    for option, about in (
        ("error-rate", "most rows with an error"),
        ("error-rise", "most of them beyond the published version's"),
        ("changed", "most rows whose text or entities differ from the published version"),
        ("other-words", "most words that changed outside of entities"),
    ):
        default = getattr(Gates, option.replace("-", "_"))
        gates.add_argument(
            f"--gate-{option}", type=float, metavar="X", default=default, help=f"{about} (default %(default)s)"
        )


def read_gates(arguments: argparse.Namespace) -> Gates:
    """Return the gates of a command line; raises ConfigError for what is no share."""
    return Gates(
        arguments.gate_error_rate, arguments.gate_error_rise, arguments.gate_changed, arguments.gate_other_words
    )


def main(argv: list[str] | None = None) -> int:
    """Run the command; exit code 0, 1 if a gate does not hold, 2 for bad input."""
    arguments = build_parser().parse_args(argv)
    return run_command(lambda: _run(arguments), arguments.json)


def _run(arguments: argparse.Namespace) -> Result:
    options = parse_options(arguments.storage_options)
    if arguments.run is None and arguments.output is None:
        raise ConfigError("give --run RUN to publish it, or --output O with --rollback or to see what is published.")
    run = RunFolder(storage.open_filesystem(arguments.run, options)) if arguments.run else None
    output = storage.open_filesystem(arguments.output, options) if arguments.output else None
    pointer = Pointer(output or _parent(run), arguments.name)
    if arguments.rollback:
        pointer.roll_back()
    elif run is not None:
        found = publish(run, pointer, read_gates(arguments))
        if found:
            return Result({"published": pointer.run, "objections": found}, FAILED)
    content = pointer.read()
    print(f"{pointer.location.uri}: {content['run'] if content else 'nothing is published'}")
    return Result({"published": pointer.run, "history": content.get("history", [])}, OK)


def _parent(run: RunFolder | None) -> Location:
    assert run is not None
    return run.root.parent


class Pointer:
    """``latest.json`` of a folder of runs."""

    def __init__(self, output: Location, name: str | None = None) -> None:
        """Raises StorageError for a name that would leave the folder."""
        self.output = output
        self.location = output.join(f"latest-{name}.json" if name else "latest.json")
        if self.location.parent.path != output.path.rstrip("/"):
            raise ConfigError(f"--name {name!r} must be a plain name, without slashes.")

    @property
    def run(self) -> str | None:
        """Fingerprint of the published run, or None."""
        return self.read().get("run")

    def read(self) -> dict[str, Any]:
        """Return ``run``, ``since`` and ``history``, or nothing if nothing is published."""
        if not storage.exists(self.location):
            return {}
        try:
            content: dict[str, Any] = json.loads(storage.read_bytes(self.location))
            return {"run": content["run"], "since": content["since"], "history": content["history"]}
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"{self.location.uri}: is broken ({error}); restore it or remove it.") from error

    def move(self, run: str) -> None:
        """Point to ``run`` and remember what was published before."""
        content = self.read()
        history = [*content.get("history", []), *([{k: content[k] for k in ("run", "since")}] if content else [])]
        self._write(run, history[-_HISTORY:])

    def roll_back(self) -> None:
        """Point to the run before; raises InputError if there is none, or it is no longer whole."""
        history = self.read().get("history", [])
        if not history:
            raise InputError(f"{self.location.uri}: nothing was published before; there is nothing to go back to.")
        before = RunFolder(self.output.join(history[-1]["run"]))
        if not is_intact(before):
            raise InputError(f"{before.root.uri}: what was published before is no longer whole; publish another run.")
        self._write(before.root.name, history[:-1])

    def _write(self, run: str, history: list[dict[str, str]]) -> None:
        content = {"run": run, "since": datetime.now(UTC).isoformat(timespec="seconds"), "history": history}
        storage.write_atomic(self.location, (json.dumps(content, indent=1) + "\n").encode())


def publish(run: RunFolder, pointer: Pointer, gates: Gates) -> list[str]:
    """Move the pointer to ``run`` if the gates hold; else print and return what speaks against it.

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
    if found:
        print(f"not published, {pointer.location.uri} stays at {pointer.run or 'nothing'}: " + "; ".join(found) + ".")
    else:
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
        rows: list[dict[str, Any]] = pq.read_table(file.path, filesystem=file.arrow(), columns=_COMPARED).to_pylist()
        return rows

    return storage.attempt(read, file, "read")


if __name__ == "__main__":
    raise SystemExit(main())
