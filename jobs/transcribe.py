"""Transcribe a corpus with an entity list.

    python -m jobs.transcribe --audio corpus/ --entities names.txt --output out
    python -m jobs.transcribe --audio s3://bucket/corpus --entities names.csv --output s3://bucket/out --without lexicon
    python -m jobs.transcribe --audio corpus/ --output out --preset baseline
    python -m jobs.transcribe --audio recordings/ --names "Anna Kowalska, Gdynia" --output out

Audio is AUDIO parquet, or anything that jobs.ingest reads: a folder of sound files, one file, a manifest, a corpus in a
known layout. That is ingested first, into OUTPUT/audio/<hash of its content>, and not again while it stays the same.

Writes OUTPUT/<fingerprint>/transcripts/*.parquet and run.json. The fingerprint is a hash of the audio, the model, the
entity list and the configuration: the same command resumes its own unfinished output and does nothing when that is
complete; any other input gets a folder of its own. RAY_ADDRESS names a cluster; without it, this machine is used, and
up to ten minutes of audio without Ray (--executor): either executor finishes what the other began.
"""

import argparse
import json
from typing import Any

from rich.console import Console

from jobs.cli.command import (
    FAILED,
    OK,
    Result,
    add_calibration,
    add_entities_format,
    add_language,
    add_max_unmatched,
    add_storage_options,
    job_parser,
    leave,
    run_command,
)
from jobs.cli.policy import add_policy
from jobs.cli.summary import print_summary
from jobs.run.executor import LOCAL_SECONDS, Size, add_executor, choose
from jobs.run.preflight import Transcription, prepare
from jobs.run.retry import forget_errors
from pipeline import storage
from pipeline.config import PRESETS
from pipeline.errors import ConfigError
from pipeline.ingest.rows import CHANNELS
from pipeline.runs.audio_length import audio_length
from pipeline.runs.manifest import is_intact

BLOCK_ROWS = 64
"""Utterances per output file: some 8 min of audio, seconds of work to redo after a crash."""


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = job_parser("transcribe", __doc__)
    heard = parser.add_mutually_exclusive_group(required=True)
    heard.add_argument(
        "--audio",
        metavar="A",
        help="sound files, a manifest or a corpus, ingested first; or AUDIO parquet: file, folder, glob; s3:// too",
    )
    heard.add_argument("--emissions", metavar="CACHE", help="decode only: the cached first pass of an earlier run")
    parser.add_argument(
        "--cache-emissions",
        metavar="FOLDER",
        nargs="?",
        const="",
        help="keep what the acoustic model heard, about 80 MB per audio hour (12 for a model without an adapter), for "
        "--emissions and jobs.reprocess (default FOLDER: OUTPUT/emissions)",
    )
    parser.add_argument(
        "--entities",
        metavar="E",
        help="entity list (text, CSV, TSV, JSON, JSONL, parquet) or lists per utterance (parquet, JSONL, TSV)",
    )
    parser.add_argument(
        "--names",
        metavar="NAMES",
        action="append",
        default=[],
        help="names themselves, separated by commas, alone or beside the list of --entities; can be repeated",
    )
    parser.add_argument(
        "--entities-column",
        metavar="NAME",
        help="column with per-utterance lists, in --entities if that has such lists, else in the audio "
        "(default: 'entities' of the audio if there is no --entities)",
    )
    add_entities_format(parser)
    add_max_unmatched(parser)
    parser.add_argument(
        "--channels", choices=CHANNELS, help="of audio that is ingested first: of several (default: mix)"
    )
    parser.add_argument(
        "--id-column",
        metavar="NAME",
        help="of audio that is ingested first: column or field that has the ids; rollcall ingest has more options",
    )
    parser.add_argument("--output", metavar="O", required=True, help="folder for runs; s3:// too")
    parser.add_argument("--preset", choices=sorted(PRESETS), help="default: joint with entity lists, baseline without")
    parser.add_argument("--without", metavar="NAME", action="append", default=[], help="one technique of it off")
    parser.add_argument(
        "--max-false-accepts-per-hour",
        type=float,
        metavar="X",
        help="of audio, on lists of sound-alikes, beyond what is written without a list; lower is more careful "
        "(default: 20)",
    )
    parser.add_argument(
        "--memory",
        metavar="FILE",
        help="what reviewers confirmed before: a snapshot of rollcall learn (default: none)",
    )
    add_policy(parser, "none: every strategy as it is configured")
    parser.add_argument("--config", metavar="YAML", help="overrides single fields of the preset")
    parser.add_argument("--model", metavar="DIR", help="acoustic model: a directory of ours or of transformers")
    add_language(parser)
    add_calibration(parser)
    parser.add_argument("--summary", metavar="JSON", help="write what run.json holds to this file too")
    add_executor(parser, f"up to {LOCAL_SECONDS / 60:g} minutes of audio")
    parser.add_argument("--num-encoders", type=int, metavar="N", help="default: one per GPU, else one per core")
    parser.add_argument("--num-decoders", type=int, metavar="N", help="default: the cores left, or one per four cores")
    parser.add_argument(
        "--gpus-per-encoder",
        type=float,
        metavar="N",
        help="default: 1 where the cluster has GPUs now, else 0; give it where GPU nodes start only when asked for",
    )
    parser.add_argument("--block-rows", type=int, metavar="N", default=BLOCK_ROWS, help="utterances per output file")
    parser.add_argument("--retry-errors", action="store_true", help="do the rows with an error again, and only those")
    parser.add_argument(
        "--max-error-rate",
        type=float,
        metavar="X",
        help="share of utterances with an error, from 0 to 1, above which the run ends early with exit code 1",
    )
    parser.add_argument(
        "--patience",
        type=float,
        metavar="MINUTES",
        default=15.0,
        help="begin again with what is left if no batch was done for so long; doubled each time (default: %(default)g)",
    )
    add_storage_options(parser)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the command; exit code 0, 1 if rows were lost or the run broke, 2 for bad input."""
    arguments = build_parser().parse_args(argv)
    return run_command(lambda: _run(arguments), arguments.json)


def _run(arguments: argparse.Namespace) -> Result:
    console = Console()
    if arguments.max_error_rate is not None and not 0 <= arguments.max_error_rate <= 1:
        raise ConfigError(f"--max-error-rate must be a share from 0 to 1, got {arguments.max_error_rate:g}.")
    if arguments.patience <= 0:
        raise ConfigError(f"--patience must be more than 0 minutes, got {arguments.patience:g}.")
    for name in ("channels", "id_column"):
        if arguments.emissions and getattr(arguments, name) is not None:
            raise ConfigError(f"--{name.replace('_', '-')} is for audio; --emissions reads what was heard before.")
    prepared = prepare(arguments, lambda line: console.print(line, markup=False, highlight=False, soft_wrap=True))
    run, forgotten = forget_errors(prepared, arguments.retry_errors)
    if arguments.retry_errors:
        console.print(f"{forgotten:,} utterances had an error and are done again", highlight=False)
    if run.unmatched.ids:
        console.print(f"{arguments.entities}: {run.unmatched}", markup=False, highlight=False, soft_wrap=True)
    record = _finished(run)
    if record is not None:
        console.print(f"complete already, nothing to do: {run.folder.root.uri}", soft_wrap=True)
    else:
        record = _execute(run, arguments, console)
    return _report(record, arguments, console)


def _execute(run: Transcription, arguments: argparse.Namespace, console: Console) -> dict[str, Any]:
    """Work on the run with the executor that is asked for, and say which it is."""
    choice = choose(arguments.executor, lambda: _size(run), _for_ray(arguments))
    console.print(f"working {choice}", soft_wrap=True, markup=False, highlight=False)
    # torch and Ray take seconds to import; finished runs and bad input need neither, local ones no Ray.
    from jobs.run.transcribe_run import execute

    if choice.is_local:
        from jobs.run.local_run import LocalExecutor

        return execute(run, LocalExecutor(console, arguments.num_encoders, arguments.max_error_rate).work)
    from jobs.run.ray_run import RayExecutor
    from jobs.run.session import Wishes

    wishes = Wishes(arguments.num_encoders, arguments.num_decoders, arguments.gpus_per_encoder)
    return execute(run, RayExecutor(wishes, console, 60 * arguments.patience, arguments.max_error_rate).work)


def _for_ray(arguments: argparse.Namespace) -> str | None:
    """Return what is asked for that a single process cannot do."""
    if arguments.gpus_per_encoder is not None:
        return "--gpus-per-encoder"
    several = arguments.num_decoders is not None and arguments.num_decoders > 1
    return f"--num-decoders {arguments.num_decoders}" if several else None


def _size(run: Transcription) -> Size:
    length = audio_length(run.corpus.files, run.corpus.columns, LOCAL_SECONDS)
    said = f"{length.seconds / 60:,.1f} min of audio"
    if length.at_least:
        said = f"more than {LOCAL_SECONDS / 60:g} min of audio"
    elif length.how is not None:
        said = f"about {said}, estimated {length.how}"
    return Size(said, length.seconds <= LOCAL_SECONDS)


def _finished(run: Transcription) -> dict[str, Any] | None:
    """Return the record of a complete run whose files are still all there."""
    to_be_cached = run.cache is not None and not run.cache.is_complete
    return run.folder.read_record() if not to_be_cached and is_intact(run.folder) else None


def _report(record: dict[str, Any], arguments: argparse.Namespace, console: Console) -> Result:
    print_summary(record, console)
    if arguments.summary:
        storage.write_atomic(storage.open_filesystem(arguments.summary), json.dumps(record, indent=2).encode())
    rows, errors = record["counts"]["rows_out"], sum(record["counts"]["errors"].values())
    failed = arguments.max_error_rate is not None and errors > arguments.max_error_rate * rows
    if failed:
        console.print(f"{errors:,} of {rows:,} utterances have an error, more than --max-error-rate allows")
    return Result(record, OK if record["status"] == "complete" and not failed else FAILED)


if __name__ == "__main__":
    leave(main())
