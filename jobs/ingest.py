"""Bring any audio corpus into parquet shards of the AUDIO schema.

    python -m jobs.ingest recordings/ --output corpus
    python -m jobs.ingest manifest.jsonl --audio-root /data --output s3://bucket/corpus

The source is listed to a plan on disk, ids are checked, and Ray Data works the plan's units off, each into one shard
that appears whole. The same command resumes: shards that are there are kept.
"""

import argparse
import json
import sys
from typing import Any

from rich.console import Console
from rich.table import Table

from jobs.cli.command import FAILED, OK, Result, add_storage_options, job_parser, run_command
from jobs.cli.ingest_remarks import remarks
from jobs.run.ingest_run import MAX_SECONDS, Wanted, planned, refuse_inside
from pipeline.audio.segmentation import MIN_MAX_SECONDS
from pipeline.errors import InputError
from pipeline.ingest.layouts import FORMATS
from pipeline.ingest.rows import CHANNELS
from pipeline.storage import check_writable, open_filesystem, write_atomic
from pipeline.storage.s3_options import parse_options


def main(argv: list[str] | None = None) -> int:
    """Return 0, or 1 if no row could be read, or 2 for bad input."""
    arguments = build_parser().parse_args(argv)
    return run_command(lambda: _ingest(arguments), arguments.json)


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = job_parser("ingest", __doc__)
    parser.add_argument("source", help="folder, manifest or parquet; local or s3://")
    parser.add_argument("--output", required=True, help="folder for the parquet shards; local or s3://")
    parser.add_argument("--format", choices=sorted(FORMATS), help="layout of the source (default: detected)")
    parser.add_argument(
        "--max-seconds", type=float, default=MAX_SECONDS, help="cut longer audio (default: %(default)s)"
    )
    parser.add_argument("--channels", choices=CHANNELS, default="mix", help="of several (default: %(default)s)")
    parser.add_argument("--id-column", help="column of parquet or a table, or field of JSON, that has the ids")
    parser.add_argument("--audio-root", help="folder that audio paths in manifests start from and may not leave")
    add_storage_options(parser)
    parser.add_argument("--workers", type=int, help="shards worked on at a time (default: one per CPU)")
    parser.add_argument("--summary", help="write the summary as JSON to this file")
    return parser


def _ingest(arguments: argparse.Namespace) -> Result:
    _check(arguments)
    options = parse_options(arguments.storage_options)
    output = open_filesystem(arguments.output, options)
    root = open_filesystem(arguments.audio_root, options) if arguments.audio_root else None
    wanted = Wanted(
        open_filesystem(arguments.source, options),
        arguments.format,
        arguments.max_seconds,
        arguments.channels,
        arguments.id_column,
        root,
    )
    refuse_inside(output, wanted.place, "--output")
    with planned(wanted) as ingest:
        check_writable(output)
        if arguments.summary:
            check_writable(open_filesystem(arguments.summary).parent)
        print(ingest)
        for line in ingest.draft.listing.lines():
            print(f"note: {line}")
        summary = ingest.run(output, arguments.workers)
    if arguments.summary:
        write_atomic(open_filesystem(arguments.summary), json.dumps(summary, indent=1).encode())
    _show(summary)
    return Result(summary, OK if summary["rows"] > summary["errors"] else FAILED)


def _check(arguments: argparse.Namespace) -> None:
    if not arguments.max_seconds >= MIN_MAX_SECONDS:
        raise InputError(f"--max-seconds must be at least {MIN_MAX_SECONDS:g}, got {arguments.max_seconds:g}.")
    if arguments.workers is not None and arguments.workers < 1:
        raise InputError(f"--workers must be at least 1, got {arguments.workers}.")


def _show(summary: dict[str, Any]) -> None:
    table = Table(title="ingest", show_header=False)
    for key, value in summary.items():
        if key not in ("error_examples", "notes"):
            table.add_row(key, f"{value:.3f}" if isinstance(value, float) else str(value))
    Console().print(table)
    for message in summary["error_examples"]:
        print(f"row error: {message}", file=sys.stderr)
    for line in remarks(summary):
        print(line)


if __name__ == "__main__":
    sys.exit(main())
