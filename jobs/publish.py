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

from jobs.cli.command import FAILED, OK, Result, add_storage_options, job_parser, run_command
from jobs.cli.gates import add_gates, publish_or_say, read_gates
from pipeline import storage
from pipeline.errors import ConfigError
from pipeline.runs.folder import RunFolder
from pipeline.runs.pointer import Pointer
from pipeline.storage import Location
from pipeline.storage.s3_options import parse_options


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
        found = publish_or_say(run, pointer, read_gates(arguments))
        if found:
            return Result({"published": pointer.run, "objections": found}, FAILED)
    content = pointer.read()
    print(f"{pointer.location.uri}: {content['run'] if content else 'nothing is published'}")
    return Result({"published": pointer.run, "history": content.get("history", [])}, OK)


def _parent(run: RunFolder | None) -> Location:
    assert run is not None
    return run.root.parent


if __name__ == "__main__":
    raise SystemExit(main())
