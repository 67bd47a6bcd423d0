"""Run any of the jobs on a Ray cluster: upload this repository, start the command there, follow its log.

    python -m jobs.submit --address http://head:8265 -- transcribe --audio s3://b/corpus --entities s3://b/names.csv \\
        --output s3://b/out
    python -m jobs.submit --address http://head:8265 --no-follow --env AWS_PROFILE=speech -- score --transcripts ...

The submission id is ``<fingerprint of the command>-<attempt>``. The same command given again while it runs follows
that run instead of starting a second one; after a failure, or later, it starts the next attempt, which resumes. An
attempt that failed is followed by another, up to --attempts, unless the command itself said that its input is bad.
RAY_AUTH_MODE=token with the cluster's token is needed where the cluster has token authentication on.
"""

import argparse
import itertools
import os
import shlex
import sys

from jobs.cli.command import BAD_INPUT, FAILED, OK, Result, job_parser, leave, run_command
from jobs.cli.commands import commands
from jobs.run.submission import Cluster, Submission
from pipeline.errors import ConfigError, StorageError


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = job_parser("submit", __doc__)
    address = os.environ.get("RAY_API_SERVER_ADDRESS", "http://127.0.0.1:8265")
    parser.add_argument(
        "--address", default=address, metavar="URL", help="of the head's dashboard (default: %(default)s)"
    )
    parser.add_argument("--working-dir", default=".", metavar="DIR", help="copied to the cluster (default: this one)")
    parser.add_argument("--env", action="append", default=[], metavar="NAME=VALUE", help="variable of the job; repeat")
    parser.add_argument("--requirements", metavar="FILE", help="pip installs this there first; images should have it")
    parser.add_argument("--attempts", type=int, default=3, metavar="N", help="default: %(default)s")
    parser.add_argument("--no-follow", action="store_true", help="return once the cluster has taken the job")
    parser.add_argument("command", nargs=argparse.REMAINDER, metavar="-- COMMAND ...", help="a job and its arguments")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the command; exit code 0 if the job succeeded, 1 if it failed, 2 for bad input, here or there."""
    arguments = build_parser().parse_args(argv)
    return run_command(lambda: _run(arguments), arguments.json)


def read_submission(arguments: argparse.Namespace) -> Submission:
    """Check the arguments; raises RollcallError."""
    command = arguments.command[1:] if arguments.command[:1] == ["--"] else arguments.command
    known = {name: module for name, module in commands().items() if module != "submit"}
    if not command or command[0].replace("_", "-") not in known:
        raise ConfigError(f"after -- comes a job, one of {list(known)}, and its arguments; got {command[:1]}.")
    if not os.path.isfile(os.path.join(arguments.working_dir, "jobs", "transcribe.py")):
        raise StorageError(f"{arguments.working_dir}: is not this repository; give its folder with --working-dir.")
    pairs = [pair.partition("=") for pair in arguments.env]
    for name, sign, _ in pairs:
        if not name or not sign:
            raise ConfigError(f"--env needs NAME=VALUE, got '{name}'.")
    if arguments.attempts < 1:
        raise ConfigError(f"--attempts must be at least 1, got {arguments.attempts}.")
    module = known[command[0].replace("_", "-")]
    entrypoint = shlex.join(["python", "-m", f"jobs.{module}", *command[1:]])
    environment = {name: value for name, _, value in pairs}
    return Submission(entrypoint, os.path.abspath(arguments.working_dir), environment, arguments.requirements)


def _run(arguments: argparse.Namespace) -> Result:
    submission = read_submission(arguments)
    cluster = Cluster(arguments.address)
    for tried in itertools.count(1):
        submission_id = cluster.start(submission)
        print(f"{submission_id}: {submission.entrypoint}", file=sys.stderr)
        facts = {"submission_id": submission_id, "address": arguments.address, "attempts": tried}
        if arguments.no_follow:
            return Result(facts | {"status": "submitted"}, OK)
        status, code = cluster.follow(submission_id)
        print(f"{submission_id}: {status}", file=sys.stderr)
        if status != "FAILED" or code == BAD_INPUT or tried == arguments.attempts:
            break
    return Result(facts | {"status": status, "driver_exit_code": code}, _exit_code(status, code))


def _exit_code(status: str, code: int | None) -> int:
    if status == "SUCCEEDED":
        return OK
    return BAD_INPUT if code == BAD_INPUT else FAILED


if __name__ == "__main__":
    leave(main())
