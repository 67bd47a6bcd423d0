"""Publish a run or a policy, which readers then find by ``latest.json``, or take the last publication back.

    python -m jobs.publish --run out/6bd1f2a0c3e4d5f6
    python -m jobs.publish --output out --rollback
    python -m jobs.publish --output out
    python -m jobs.publish --policy learnt/policy-5e1c7a90b2d3f486.json
    python -m jobs.publish --policies learnt --rollback

``OUTPUT/latest.json`` names the published run in its field ``run``, and those before it in ``history``; it is replaced
at once. A run is published only if the gates hold, in comparison with the one that is published now: rows, errors, the
share of changed rows, the words that changed outside of entities. Exit code 1, with the reasons, if they do not. With
neither --run nor --rollback the command says what is published. --name keeps several pointers apart, such as tenants.

``LEARNT/latest-policy.json`` names the published policy of a folder that `rollcall learn` wrote to, behind gates of its
own: it was held against the one that is published now, the lower bound of their difference is at least
--gate-difference, its effective sample is large enough, and decoding again found what was expected. No command follows
the pointer by itself: give the file that it names to transcribe --policy.
"""

import argparse

from jobs.cli.command import FAILED, OK, Result, add_storage_options, job_parser, leave, run_command
from jobs.cli.gates import add_gates, publish_or_say, read_gates
from pipeline import storage
from pipeline.errors import ConfigError
from pipeline.learning.gate import PolicyGates
from pipeline.learning.policies import PolicyPointer, publish
from pipeline.runs.folder import RunFolder
from pipeline.runs.pointer import Pointer
from pipeline.storage import Location
from pipeline.storage.s3_options import Options, parse_options


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = job_parser("publish", __doc__)
    parser.add_argument("--run", metavar="RUN", help="folder of a complete run, OUTPUT/<fingerprint>")
    parser.add_argument("--output", metavar="O", help="folder of runs; default: the one that --run lies in")
    parser.add_argument("--rollback", action="store_true", help="publish again what was published before")
    parser.add_argument("--name", metavar="NAME", help="of the pointer: latest-NAME.json in place of latest.json")
    parser.add_argument("--policy", metavar="FILE", help="policy of rollcall learn to publish in place of a run")
    parser.add_argument("--policies", metavar="LEARNT", help="folder of policies, in place of --output")
    add_gates(parser)
    policy = parser.add_argument_group("gates of a policy")
    policy.add_argument(
        "--gate-difference",
        type=float,
        metavar="X",
        default=PolicyGates.difference,
        help="least lower bound of the paired difference, names per decision (default %(default)s)",
    )
    policy.add_argument(
        "--gate-effective",
        type=float,
        metavar="N",
        default=PolicyGates.effective,
        help="least effective sample, in decisions (default %(default)g)",
    )
    add_storage_options(parser)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the command; exit code 0, 1 if a gate does not hold, 2 for bad input."""
    arguments = build_parser().parse_args(argv)
    return run_command(lambda: _run(arguments), arguments.json)


def _run(arguments: argparse.Namespace) -> Result:
    options = parse_options(arguments.storage_options)
    if arguments.policy is not None or arguments.policies is not None:
        return _policy(arguments, options)
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


def _policy(arguments: argparse.Namespace, options: Options) -> Result:
    """Publish a policy, take the last one back, or say which is published."""
    others = [name for name in ("run", "output", "name") if getattr(arguments, name) is not None]
    if others or (arguments.policy is not None and (arguments.policies is not None or arguments.rollback)):
        raise ConfigError("of policies give either --policy FILE, or --policies LEARNT alone or with --rollback.")
    found: list[str] = []
    if arguments.policy is not None:
        file = storage.open_filesystem(arguments.policy, options)
        pointer = PolicyPointer(file.parent)
        found = publish(file, PolicyGates(arguments.gate_difference, arguments.gate_effective))
        if found:
            print(f"not published, {pointer.location.uri} stays at {pointer.run or 'nothing'}: {'; '.join(found)}.")
            return Result({"published": pointer.run, "objections": found}, FAILED)
    else:
        pointer = PolicyPointer(storage.open_filesystem(arguments.policies, options))
        if arguments.rollback:
            pointer.roll_back()
    print(f"{pointer.location.uri}: {pointer.run or 'nothing is published'}")
    return Result({"published": pointer.run, "history": pointer.read().get("history", [])}, OK)


def _parent(run: RunFolder | None) -> Location:
    assert run is not None
    return run.root.parent


if __name__ == "__main__":
    leave(main())
