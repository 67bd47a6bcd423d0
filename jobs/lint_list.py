"""Look for what is doubtful in an entity list, before a run.

    python -m jobs.lint_list names.csv
    python -m jobs.lint_list names.csv --strict --json > findings.json
    python -m jobs.lint_list names.csv --audio-run out/1f3a...

Finds entries that cannot be recognised, repeat or contain one another, are common words or sound like one, are too
short, or whose pronunciation is missing, odd or guessed; with a run, what each entry would cost in false accepts per
hour of that audio. Changes nothing. Exit code 1 if there are errors (with --strict: or warnings), 0 if not.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from jobs.cli.command import (
    FAILED,
    OK,
    Result,
    add_alphabet,
    add_entities_format,
    add_storage_options,
    job_parser,
    read_alphabet,
    run_command,
)
from pipeline import storage
from pipeline.config import joint
from pipeline.config.config_file import with_file
from pipeline.entities.catalog import is_catalog
from pipeline.entities.lists import is_per_utterance, load_entities
from pipeline.entities.loading import read_rows
from pipeline.errors import ConfigError
from pipeline.lint.check import lint
from pipeline.lint.findings import KINDS, SEVERITIES, Lint
from pipeline.lint.usage import check_usage
from pipeline.storage.s3_options import Options, parse_options
from pipeline.text import ENGLISH

_STYLES = {"error": "red", "warning": "yellow", "info": "dim"}


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = job_parser("lint_list", __doc__)
    parser.add_argument("list", metavar="LIST", help="entity list, or lists per utterance; local or s3://")
    parser.add_argument("--column", metavar="NAME", help="column of per-utterance lists in a parquet of lists")
    add_entities_format(parser)
    add_alphabet(parser)
    parser.add_argument("--audio-run", metavar="RUN", help="a run: what the entries would do to its audio")
    parser.add_argument("--config", metavar="YAML", help="configuration with another language model")
    parser.add_argument("--strict", action="store_true", help="warnings are errors: exit code 1")
    parser.add_argument("--shown", type=int, default=10, metavar="N", help="findings of a kind shown; default 10")
    parser.add_argument("--output", metavar="FILE", help="write all findings as JSON to this file")
    add_storage_options(parser)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the command; exit code 0, 1 for errors in the list, or 2 if it cannot be read."""
    arguments = build_parser().parse_args(argv)
    return run_command(lambda: _run(arguments), arguments.json)


def _run(arguments: argparse.Namespace) -> Result:
    if arguments.shown < 0:
        raise ConfigError(f"--shown must be 0 or more, got {arguments.shown}.")
    started = time.monotonic()
    options = parse_options(arguments.storage_options)
    alphabet = read_alphabet(arguments) or ENGLISH
    source = load_entities(arguments.list, arguments.column, options, alphabet, arguments.entities_format)
    config = with_file(joint(), arguments.config)
    found = lint(source, config, rows=_rows(arguments.list, options, arguments.entities_format))
    if arguments.audio_run:
        found = check_usage(found, source, config, arguments.audio_run, options)
    facts = found.facts() | {"wall_seconds": round(time.monotonic() - started, 2), "cpu_seconds": _cpu_seconds()}
    if arguments.output:
        location = storage.open_filesystem(arguments.output, options)
        storage.write_atomic(location, (json.dumps(facts, ensure_ascii=False, indent=1) + "\n").encode())
    _show(found, arguments.shown)
    failed = found.count("error") or (arguments.strict and found.count("warning"))
    return Result(facts, FAILED if failed else OK)


def _cpu_seconds() -> float:
    """Processor time of this process and of those that it had started and that have ended."""
    spent = os.times()
    return round(spent.user + spent.system + spent.children_user + spent.children_system, 2)


def _rows(path: str, options: Options, form: str | None) -> dict[str, int]:
    """Return the line of each entry as it is written; none for catalogs and for lists per utterance."""
    if form is None and is_catalog(storage.open_filesystem(path, options)):
        return {}
    if is_per_utterance(path, options, form):
        return {}
    rows: dict[str, int] = {}
    for row, fields in read_rows(path, options, form):
        rows.setdefault(str(fields.get("entity") or "").strip(), row)
    return rows


def _show(found: Lint, shown: int) -> None:
    console = Console()
    for kind, findings in found.by_kind.items():
        about = KINDS[kind]
        title = f"[{_STYLES[about.severity]}]{about.severity}[/] {kind}: {len(findings):,} x {about.about}"
        console.print(title, highlight=False, soft_wrap=True)
        table = Table(box=box.SIMPLE_HEAD)
        for column in ("line", "entry", "what", "suggestion"):
            table.add_column(column, overflow="fold")
        for one in findings[:shown]:
            table.add_row(*map(escape, (str(one.row or ""), one.entry, one.detail, one.suggestion)))
        if shown:
            console.print(table)
        if len(findings) > shown:
            console.print(f"  and {len(findings) - shown:,} more (--output FILE or --json has all)\n")
    for line in _closing(found):
        console.print(line, highlight=False)


def _closing(found: Lint) -> Iterator[str]:
    counts = ", ".join(f"{found.count(severity):,} {severity}s" for severity in SEVERITIES)
    yield f"{found.entities:,} entries: {counts}"
    for check, reason in found.skipped.items():
        yield f"not checked: {check} ({reason})"


if __name__ == "__main__":
    sys.exit(main())
