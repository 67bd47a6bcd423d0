"""Write a run's transcripts in the formats that other tools read.

    python -m jobs.export --run out/1f3a... --format csv --output table
    python -m jobs.export --run out/1f3a... --format srt --output subtitles
    python -m jobs.export --run s3://bucket/out/1f3a... --format parquet --partition-by tenant \\
        --output s3://bucket/tables
    python -m jobs.export --run out/1f3a... --private privacy.yaml --key KEY --format jsonl --output released
    python -m jobs.export --run out/1f3a... --reviews reviews --format vtt --output subtitles
    python -m jobs.export --data-dictionary docs/data_dictionary.md

Subtitles, CTM, STM, TextGrid and manifests are one file per recording, with the recording's times; --per utterance
leaves the pieces that ingest cut apart. Runs of earlier versions do not say what their utterances were cut from; there
--audio tells. Every row goes out or is set aside in OUTPUT/_errors.jsonl; OUTPUT/_export.json has the schema with its
version and the counts of rows in, out and aside, and is written last.

--reviews lays what people said over the run's words, by audio and time; the run itself stays as it is. parquet, hf and
jsonl keep the original text in columns; beside the other formats OUTPUT/_reviewed.jsonl has it.

--private replaces names and draws every other word by a mechanism that privacy.yaml states ("{}" for the default), into
a folder below OUTPUT that is named by what it is. OUTPUT/_ledger counts what all releases there have told, and is
charged before anything is written; `jobs.verify` holds a release against it.
"""

import argparse
import sys
import time

from rich.console import Console

from jobs.cli.command import OK, Result, add_storage_options, job_parser, run_command
from jobs.run.executor import Size, add_executor, choose
from jobs.run.private_export import export_private, prepare
from pipeline import storage
from pipeline.errors import ConfigError
from pipeline.export.dictionary import data_dictionary
from pipeline.export.export import PARTITIONS, PER, ROWS_PER_FILE, Settings, export
from pipeline.export.formats import FORMATS
from pipeline.privacy.config_file import read_config
from pipeline.privacy.noise import VARIABLE, read_key
from pipeline.review.overlay import summary
from pipeline.runs.reader import Run
from pipeline.storage.s3_options import Options, parse_options

_FEW_FILES = 64


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = job_parser("export", __doc__)
    formats = "; ".join(f"{name}: {form.about}" for name, form in FORMATS.items())
    parser.add_argument("--run", metavar="RUN", help="run directory, or TRANSCRIPTS parquet; local or s3://")
    parser.add_argument("--format", choices=list(FORMATS), help=formats)
    parser.add_argument("--output", metavar="O", help="new folder to write to; local or s3://")
    parser.add_argument(
        "--audio", metavar="A", help="AUDIO parquet that tells what the run does not: dates, or all of an earlier one"
    )
    parser.add_argument(
        "--per",
        choices=PER,
        default="recording",
        help="one file per recording, with its times (default), or each utterance on its own, from zero",
    )
    parser.add_argument(
        "--partition-by",
        choices=list(PARTITIONS),
        help="folders such as by_tenant=acme/; the date is that of the audio (a column date, recorded_at or timestamp) "
        "or, without one, the day of the run",
    )
    parser.add_argument(
        "--errors",
        choices=("keep", "aside"),
        default="keep",
        help="rows with an error: where the format has a place for them (default), or all in _errors.jsonl",
    )
    parser.add_argument("--reviews", metavar="REVIEWS", help="folder that review-import wrote: reviewed text wins")
    parser.add_argument("--rows-per-file", type=int, default=ROWS_PER_FILE, metavar="N", help="default: %(default)s")
    parser.add_argument(
        "--private", metavar="YAML", help="privacy.yaml: release texts that may leave (docs/privacy.md)"
    )
    parser.add_argument("--key", metavar="FILE", help=f"base64 key of a private export; default: {VARIABLE}")
    add_executor(parser, "up to 64 files of a private export")
    parser.add_argument("--data-dictionary", metavar="FILE", help="write the description of all datasets, and end")
    add_storage_options(parser)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the command; exit code 0, or 2 for bad input."""
    arguments = build_parser().parse_args(argv)
    return run_command(lambda: _run(arguments), arguments.json)


def _run(arguments: argparse.Namespace) -> Result:
    options = parse_options(arguments.storage_options)
    if arguments.data_dictionary:
        location = storage.open_filesystem(arguments.data_dictionary, options)
        storage.write_atomic(location, data_dictionary().encode())
        return Result({"data_dictionary": location.uri}, OK)
    missing = [f"--{name}" for name in ("run", "format", "output") if getattr(arguments, name) is None]
    if missing:
        raise ConfigError(f"needed are --run, --format and --output; {' and '.join(missing)} is missing.")
    if arguments.private is not None:
        return _private(arguments, options)
    if arguments.key is not None:
        raise ConfigError("--key is for private exports; add --private privacy.yaml or leave it out.")
    started = time.monotonic()
    run = Run(arguments.run, options)
    aside = arguments.errors == "aside"
    settings = Settings(
        arguments.format,
        arguments.audio,
        arguments.partition_by,
        aside,
        arguments.rows_per_file,
        arguments.per,
        arguments.reviews,
    )
    record = export(run, settings, storage.open_filesystem(arguments.output, options), options)
    reasons = ", ".join(f"{count:,} aside ({kind})" for kind, count in record["rows_aside"].items())
    console = Console(highlight=False)
    console.print(f"{record['rows_in']:,} rows in, {record['rows_out']:,} out{', ' if reasons else ''}{reasons}")
    if "reviewed" in record:
        console.print(summary(record["reviewed"]), soft_wrap=True)
    wall = time.monotonic() - started
    console.print(f"written: {arguments.output} ({record['files']:,} files, {wall:.1f} s)", soft_wrap=True)
    return Result(record | {"output": arguments.output, "wall_seconds": wall}, OK)


def _private(arguments: argparse.Namespace, options: Options) -> Result:
    if arguments.reviews is not None:
        raise ConfigError("--reviews is not for private exports: what people corrected is not counted in their ledger.")
    defaults = build_parser()
    for name in ("audio", "per", "partition_by", "errors", "rows_per_file"):
        if getattr(arguments, name) != defaults.get_default(name):
            raise ConfigError(
                f"--{name.replace('_', '-')} is not for private exports: ids, audio and order stay inside."
            )
    key, config = read_key(arguments.key), read_config(arguments.private)
    root = storage.open_filesystem(arguments.output, options)
    release = prepare(Run(arguments.run, options), config, arguments.format, root, key)
    choice = choose(arguments.executor, lambda: Size(f"{len(release.files)} files", len(release.files) <= _FEW_FILES))
    record = export_private(release, not choice.is_local)
    console = Console(highlight=False, soft_wrap=True)
    console.print(
        f"{record['rows']:,} rows, {record['words']:,} words, {record['replaced']:,} replaced as names or numbers"
    )
    if record["audit_exceeds_claim"]:
        console.print(f"warning: {config.mechanism} tells more than it claims ({record['claim']}); see PRIVACY.md")
    console.print(f"written: {release.folder.uri}")
    return Result(record | {"output": release.folder.uri}, OK)


if __name__ == "__main__":
    sys.exit(main())
