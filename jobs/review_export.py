"""Write what is worth a reviewer's time: the names that a run proposed, with their sound.

    python -m jobs.review_export out/1f3a... --format html --audio corpus --output tasks
    python -m jobs.review_export out/1f3a... --format label-studio --audio corpus --utterances 500 --output tasks

Utterances are chosen by what a look at them should teach, and a share of them by chance (--random-share); every task
carries the probability with which it was chosen. An utterance gives a task per proposed name, or one to listen for
names that were missed. The same seed chooses the same ones. `python -m jobs.review_import` reads the answers.
"""

import argparse
import sys
import tempfile

from rich.console import Console

from jobs.cli.command import OK, Result, add_storage_options, job_parser, run_command
from pipeline import storage
from pipeline.errors import StorageError
from pipeline.review.choice import RANDOM_SHARE
from pipeline.review.formats import FORMATS, Settings, write_tasks
from pipeline.review.tasks import draw_tasks, name_of
from pipeline.runs.reader import Run
from pipeline.storage.disk_table import temporary_database
from pipeline.storage.s3_options import parse_options

_UTTERANCES = 100
_RECORD = "_review.json"


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = job_parser("review_export", __doc__)
    formats = "; ".join(f"{name}: {form.about}" for name, form in FORMATS.items())
    parser.add_argument("run", metavar="RUN", help="run directory, or TRANSCRIPTS parquet; local or s3://")
    parser.add_argument("--format", choices=list(FORMATS), required=True, help=formats)
    parser.add_argument("--output", metavar="TASKS", required=True, help="new folder to write to; local or s3://")
    parser.add_argument(
        "--audio", metavar="A", help="AUDIO parquet with the sound; without it there is nothing to hear"
    )
    parser.add_argument(
        "--utterances", type=int, default=_UTTERANCES, metavar="N", help="how many to choose (default: %(default)s)"
    )
    parser.add_argument(
        "--random-share",
        type=float,
        default=RANDOM_SHARE,
        metavar="X",
        help="of the choice that is left to chance, from 0 to 1 (default: %(default)g)",
    )
    parser.add_argument("--seed", type=int, default=20, help="of the choice (default: %(default)s)")
    parser.add_argument(
        "--audio-url", default="", metavar="PREFIX", help="what stands before the path of a clip, such as https://host/"
    )
    add_storage_options(parser)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the command; exit code 0, or 2 for bad input."""
    arguments = build_parser().parse_args(argv)
    return run_command(lambda: _run(arguments), arguments.json)


def _run(arguments: argparse.Namespace) -> Result:
    options = parse_options(arguments.storage_options)
    run = Run(arguments.run, options)
    audio = storage.list_parquet(arguments.audio, options) if arguments.audio else []
    output = storage.open_filesystem(arguments.output, options)
    storage.check_writable(output)
    if any(files for _, files in storage.walk_files(output)):
        raise StorageError(f"{output.uri} is not empty; tasks go to a new folder, so that no answer is overwritten.")
    with tempfile.TemporaryDirectory(prefix="rollcall-review-") as scratch, temporary_database(scratch) as database:
        count, share, seed = arguments.utterances, arguments.random_share, arguments.seed
        drawn = draw_tasks(run, audio, count, share, seed, database)
    settings = Settings(name_of(run), arguments.audio_url)
    files = write_tasks(drawn.utterances, arguments.format, settings, output)
    silent = sum(one.clip is None for one in drawn.utterances)
    facts = {
        "run": settings.run,
        "format": arguments.format,
        "utterances": len(drawn.utterances),
        "of": drawn.rows,
        "with_error": drawn.failed,
        "tasks": drawn.tasks,
        "without_sound": silent,
        "random_share": share,
        "seed": seed,
        "files": files,
        "output": output.uri,
    }
    storage.write_json(output.join(_RECORD), facts)
    console = Console(highlight=False)
    console.print(f"{drawn.tasks:,} tasks in {len(drawn.utterances):,} of {drawn.rows:,} utterances")
    if drawn.failed:
        console.print(f"{drawn.failed:,} utterances have an error and are not reviewed")
    if silent:
        console.print(f"{silent:,} utterances have no sound")
    console.print(f"written: {output.uri} ({files:,} files)", soft_wrap=True)
    return Result(facts, OK)


if __name__ == "__main__":
    sys.exit(main())
