"""Bring a finished run to new lists, another memory, policy or calibration, transcribing again only what that touches.

    python -m jobs.reprocess --run out/6bd1f2a0c3e4d5f6 --entities new_names.csv --publish
    python -m jobs.reprocess --run out/6bd1f2a0c3e4d5f6 --entities north=north.csv --entities south=south.csv
    python -m jobs.reprocess --run out/6bd1f2a0c3e4d5f6 --memory learnt/memory-5e1c7a90b2d3f486.parquet

The run must have cached its first pass (`python -m jobs.transcribe --cache-emissions`). The new version is a complete
run, equal to what jobs.transcribe would write with the new list and named as it would name it; beside its transcripts
lie changes.parquet and changes.html: per entity, which utterances changed, before and after. Running it again does
nothing. Several lists (NAME=LIST for tenants) make several new versions from one reading of the first pass; several
runs are paired with as many lists. --publish moves OUTPUT/latest.json, or latest-NAME.json, if the gates hold.
"""

import argparse
import dataclasses
import json
import time
from typing import Any

from rich.console import Console

from jobs.cli.command import (
    FAILED,
    OK,
    Result,
    add_entities_format,
    add_max_unmatched,
    add_storage_options,
    job_parser,
    leave,
    run_command,
)
from jobs.cli.gates import add_gates, publish_or_say, read_gates
from jobs.cli.policy import add_policy
from jobs.run.executor import AUTO, LOCAL, Choice, Size, add_executor, choose
from jobs.run.preflight import match_lists
from jobs.run.reprocess_run import (
    LOCAL_ROWS,
    NONE,
    Learnt,
    NewRun,
    OldRun,
    is_done,
    open_run,
    plan_new,
    reprocess,
    spread_on_ray,
)
from pipeline import storage
from pipeline.acoustic.loading import load_tokens
from pipeline.entities import snapshot
from pipeline.entities.lists import EntitySource, load_entities
from pipeline.errors import ConfigError
from pipeline.runs.pointer import Pointer
from pipeline.storage.s3_options import Options, parse_options
from pipeline.text import Alphabet


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = job_parser("reprocess", __doc__)
    parser.add_argument(
        "--run",
        metavar="RUN",
        action="append",
        required=True,
        help="folder of a finished run, or a folder of runs: the one that latest.json names",
    )
    parser.add_argument(
        "--entities",
        metavar="[NAME=]LIST",
        action="append",
        default=[],
        help="new list, or per-utterance lists; without one, the run's own",
    )
    parser.add_argument(
        "--memory",
        metavar="FILE",
        help=f"another snapshot of rollcall learn, or '{NONE}' (default: what the run was made with)",
    )
    add_policy(parser, f"what the run was made with; '{NONE}' is none")
    parser.add_argument(
        "--calibration",
        metavar="DIR",
        help="another calibration that rollcall learn wrote: the same as the run's but for guard and cut; "
        f"or '{NONE}' (default: what the run was made with)",
    )
    parser.add_argument("--entities-column", metavar="NAME", help="column with per-utterance lists in --entities")
    add_entities_format(parser)
    add_max_unmatched(parser)
    parser.add_argument("--output", metavar="O", help="folder for runs (default: the one that RUN lies in)")
    parser.add_argument("--emissions", metavar="CACHE", help="cached first pass (default: where the run put it)")
    parser.add_argument("--model", metavar="DIR", help="acoustic model, should it lie elsewhere by now")
    add_executor(parser, f"up to {LOCAL_ROWS:,} utterances and with --num-workers 1")
    parser.add_argument("--num-workers", type=int, metavar="N", help="with Ray (default: a core each); without it, 1")
    parser.add_argument("--publish", action="store_true", help="move latest.json to the new version if the gates hold")
    parser.add_argument("--summary", metavar="JSON", help="write what the new versions' run.json hold to this file too")
    add_gates(parser)
    add_storage_options(parser)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the command; exit code 0, 1 if a gate held a new version back or rows were lost, 2 for bad input."""
    arguments = build_parser().parse_args(argv)
    return run_command(lambda: _run(arguments), arguments.json)


def _run(arguments: argparse.Namespace) -> Result:
    if arguments.num_workers is not None and arguments.num_workers < 1:
        raise ConfigError(f"--num-workers must be at least 1, got {arguments.num_workers}.")
    gates, console = read_gates(arguments), Console()
    jobs = _prepare(arguments)
    began = time.time()
    for old, news in jobs:
        left = [new for new in news if not is_done(new)]
        if left:
            choice = _executor(arguments, old)
            console.print(f"working {choice}", soft_wrap=True, markup=False, highlight=False)
            reprocess(old, left, None if choice.is_local else spread_on_ray(arguments.num_workers))
    records, code = [], OK
    for old, news in jobs:
        for new in news:
            record = new.folder.read_record() or {}
            objections = publish_or_say(new.folder, Pointer(new.output, new.name), gates) if arguments.publish else []
            code = FAILED if objections or record.get("status") != "complete" else code
            records.append({"name": new.name, "objections": objections, **record})
            _print(console, old, new, record)
    if arguments.summary:
        storage.write_atomic(storage.open_filesystem(arguments.summary), json.dumps(records, indent=2).encode())
    return Result({"versions": records, "wall_seconds": time.time() - began}, code)


def _executor(arguments: argparse.Namespace, old: OldRun) -> Choice:
    """Return where the work is done: one worker needs no Ray, several do."""
    workers, rows = arguments.num_workers, old.corpus.rows
    if workers == 1 and arguments.executor == AUTO:
        return Choice(LOCAL, "--num-workers 1")
    several = f"--num-workers {workers}" if workers is not None and workers > 1 else None
    return choose(arguments.executor, lambda: Size(f"{rows:,} utterances", rows <= LOCAL_ROWS), several)


def _prepare(arguments: argparse.Namespace) -> list[tuple[OldRun, list[NewRun]]]:
    """Check every input before any work starts; raises RollcallError."""
    options = parse_options(arguments.storage_options)
    learnt = Learnt(arguments.memory, arguments.policy, arguments.explore, arguments.calibration)
    if not arguments.entities and not learnt.changes:
        raise ConfigError(
            "nothing is to change: give a new list (--entities), or another --memory, --policy or --calibration."
        )
    lists: list[tuple[str | None, str | None]] = [_named(text) for text in arguments.entities]
    lists = lists or [(None, None)] * len(arguments.run)
    if len(arguments.run) not in (1, len(lists)):
        raise ConfigError(
            f"{len(arguments.run)} runs and {len(lists)} lists: give one run, or as many runs as lists, in their order."
        )
    jobs = []
    for at, path in enumerate(arguments.run):
        place = storage.open_filesystem(path, options)
        old = open_run(place, arguments.emissions, arguments.model, options, learnt)
        output = storage.open_filesystem(arguments.output, options) if arguments.output else old.folder.root.parent
        storage.check_writable(output)
        wanted = lists if len(arguments.run) == 1 else [lists[at]]
        alphabet = load_tokens(old.config.acoustic).alphabet
        sources = [(name, _read(given, old, arguments, options, alphabet)) for name, given in wanted]
        news = [plan_new(old, output, name, source) for name, source in sources]
        unmatched = [
            match_lists(source, old.corpus, given or old.folder.lists.uri, arguments.max_unmatched_lists)
            for (_, given), (_, source) in zip(wanted, sources, strict=True)
        ]
        jobs.append((old, [dataclasses.replace(new, unmatched=one) for new, one in zip(news, unmatched, strict=True)]))
    return jobs


def _read(
    path: str | None, old: OldRun, arguments: argparse.Namespace, options: Options, alphabet: Alphabet
) -> EntitySource:
    if path is None:
        return snapshot.load(old.folder.lists, alphabet)
    return load_entities(path, arguments.entities_column, options, alphabet, arguments.entities_format)


def _named(text: str) -> tuple[str | None, str]:
    """Split NAME=LIST; a path may hold an equals sign behind a slash."""
    name, sign, path = text.partition("=")
    return (name, path) if sign and "/" not in name and name else (None, text)


def _print(console: Console, old: OldRun, new: NewRun, record: dict[str, Any]) -> None:
    facts = record.get("reprocess")
    title = f"{new.name}: " if new.name else ""
    if new.unmatched.ids:
        console.print(f"{title}{new.unmatched}", soft_wrap=True, markup=False, highlight=False)
    if new.folder.root.path == old.folder.root.path:
        said = "nothing is new in it, nothing to do"
    elif facts is None:
        said = "there already, from a full run"
    else:
        totals = facts["totals"]
        said = (
            f"{totals['recomputed']:,} of {totals['rows']:,} utterances transcribed again, "
            f"{totals['changed']:,} changed, {totals['gained']:,} entities gained, {totals['lost']:,} lost "
            f"({facts['work_seconds']:.1f} s)"
        )
    console.print(f"{title}{new.folder.root.uri}: {said}", soft_wrap=True, markup=False, highlight=False)


if __name__ == "__main__":
    leave(main())
