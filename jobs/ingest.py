"""Bring any audio corpus into parquet shards of the AUDIO schema.

    python -m jobs.ingest recordings/ --output corpus
    python -m jobs.ingest manifest.jsonl --audio-root /data --output s3://bucket/corpus

The source is listed to a plan on disk, ids are checked, and Ray Data works the plan's units off, each into one shard
that appears whole. The same command resumes: shards that are there are kept.
"""

import argparse
import json
import sys
import time

from rich.console import Console
from rich.table import Table

from jobs.cli.command import FAILED, OK, Result, add_storage_options, job_parser, run_command
from jobs.run.ingest_run import run_ingest
from pipeline.audio.segmentation import MIN_MAX_SECONDS
from pipeline.errors import InputError
from pipeline.ingest.layouts import FORMATS, Source, detect
from pipeline.ingest.listing import Listing
from pipeline.ingest.plan import Plan, make_plan
from pipeline.ingest.rows import CHANNELS
from pipeline.ingest.shards import Counts, IngestJob
from pipeline.storage import Location, check_writable, open_filesystem, write_atomic
from pipeline.storage.s3_options import parse_options

_WITH_COLUMNS = ("parquet", "nemo", "common-voice")
MAX_SECONDS = 28.0
"""The default model takes 30 s; the rest is room for its own padding."""


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
    started = time.monotonic()
    _check(arguments)
    options = parse_options(arguments.storage_options)
    place = open_filesystem(arguments.source, options)
    output = open_filesystem(arguments.output, options)
    if f"{output.path}/".startswith(f"{place.path}/") and output.is_local == place.is_local:
        raise InputError(f"--output {output.uri} lies in the source {place.uri}; choose a folder outside it.")
    found = Listing()
    sources = detect(place, arguments.format, found)
    check_writable(output)
    if arguments.summary:
        check_writable(open_filesystem(arguments.summary).parent)
    root = open_filesystem(arguments.audio_root, options) if arguments.audio_root else None
    settings = {"format": sources[0].format, "max_seconds": arguments.max_seconds}
    if arguments.channels != "mix":
        settings["channels"] = arguments.channels
    if arguments.id_column is not None:
        _check_id_column(sources[0].format)
        settings["id_column"] = arguments.id_column
    plan, listing = make_plan(sources, place, root, output, settings)
    listing.said = [*found.said, *listing.said]
    names = ", ".join(source.location.uri for source in sources)
    print(f"{names}: {sources[0].format}, {plan.utterances} utterances in {plan.recordings} recordings")
    for line in listing.lines():
        print(f"note: {line}")
    job = IngestJob(place, output, arguments.max_seconds, arguments.id_column, root, arguments.channels)
    counts = run_ingest(job, plan, arguments.workers)
    return _finish(arguments, sources, output, plan, counts, listing, time.monotonic() - started)


def _check(arguments: argparse.Namespace) -> None:
    if not arguments.max_seconds >= MIN_MAX_SECONDS:
        raise InputError(f"--max-seconds must be at least {MIN_MAX_SECONDS:g}, got {arguments.max_seconds:g}.")
    if arguments.workers is not None and arguments.workers < 1:
        raise InputError(f"--workers must be at least 1, got {arguments.workers}.")


def _check_id_column(layout: str) -> None:
    if layout not in _WITH_COLUMNS:
        raise InputError(
            f"--id-column is for {', '.join(_WITH_COLUMNS)}; the source is '{layout}', which has no columns."
        )


def _finish(
    arguments: argparse.Namespace,
    sources: list[Source],
    output: Location,
    plan: Plan,
    counts: Counts,
    listing: Listing,
    wall: float,
) -> Result:
    hours = counts.audio_seconds / 3600
    summary = {
        "source": ", ".join(source.location.uri for source in sources),
        "format": sources[0].format,
        "output": output.uri,
        "shards": plan.units,
        "recordings": plan.recordings,
        "utterances_in": plan.utterances,
        "rows": counts.rows,
        "errors": counts.errors,
        "error_examples": counts.examples,
        "cut_rows": counts.pieces,
        "texts_left_out": counts.texts_left_out,
        "quiet_mixes": counts.quiet_mixes,
        "not_audio": listing.not_audio.count,
        "audio_without_manifest": listing.unnamed.count,
        "notes": listing.lines(),
        "audio_hours": hours,
        "wall_seconds": wall,
    }
    text = json.dumps(summary, indent=1)
    write_atomic(output.join("_SUCCESS"), text.encode())
    if arguments.summary:
        write_atomic(open_filesystem(arguments.summary), text.encode())
    _show(summary)
    return Result(summary, OK if counts.rows > counts.errors else FAILED)


def _show(summary: dict[str, object]) -> None:
    table = Table(title="ingest", show_header=False)
    for key, value in summary.items():
        if key not in ("error_examples", "notes"):
            table.add_row(key, f"{value:.3f}" if isinstance(value, float) else str(value))
    Console().print(table)
    examples = summary["error_examples"]
    for message in examples if isinstance(examples, list) else []:
        print(f"row error: {message}", file=sys.stderr)
    if summary["quiet_mixes"]:
        print(
            f"warning: in {summary['quiet_mixes']} files the mix of the channels is more than 12 dB quieter than "
            "one of them, as they cancel each other; --channels left, right or split takes them apart"
        )
    if summary["texts_left_out"]:
        print(
            f"note: the text of {summary['texts_left_out']} cut recordings was left out; --max-seconds keeps them whole"
        )


if __name__ == "__main__":
    sys.exit(main())
