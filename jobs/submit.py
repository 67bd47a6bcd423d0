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
import asyncio
import dataclasses
import itertools
import os
import shlex
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from jobs.cli.command import BAD_INPUT, FAILED, OK, Result, job_parser, run_command
from jobs.cli.commands import commands
from pipeline.config.fingerprint import fingerprint
from pipeline.errors import ConfigError, RollcallError, StorageError

if TYPE_CHECKING:
    from ray.job_submission import JobStatus

Answer = TypeVar("Answer")

EXCLUDED = [".git", ".venv", "out", "tests", "benchmarks", "**/__pycache__"]
"""Below the working directory, what no job needs; .gitignore counts as well."""
_TRIES, _PAUSE = 4, 2.0  # of one request, seconds before the second try; doubles
_POLL_SECONDS = 1.0
_PASSED_ON = ("RAY_AUTH_MODE",)
"""Variables of this machine that the job needs too, where they are set."""


class SubmissionError(RollcallError):
    """The cluster cannot be reached, refuses the job, or lost it."""

    exit_code = FAILED


@dataclasses.dataclass(frozen=True)
class Submission:
    """A command for the cluster.

    entrypoint:  the command line, run in a copy of ``working_dir``
    """

    entrypoint: str
    working_dir: str
    environment: dict[str, str]
    requirements: str | None = None

    @property
    def name(self) -> str:
        """Hash of the command; where it is run from and with which variables does not matter."""
        return fingerprint(self.entrypoint)

    def runtime_env(self) -> dict[str, Any]:
        """Return what Ray sets up before the command runs."""
        passed = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        content: dict[str, Any] = {"working_dir": self.working_dir, "excludes": EXCLUDED}
        content["env_vars"] = {"PYTHONUNBUFFERED": "1", **passed, **self.environment}
        return content | ({"pip": self.requirements} if self.requirements else {})


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


class Cluster:
    """The job server of a Ray cluster; raises SubmissionError where it cannot be reached."""

    def __init__(self, address: str) -> None:
        from ray.job_submission import JobSubmissionClient  # imports Ray, which bad input does not need

        self._address = address
        self._client = self._ask(lambda: JobSubmissionClient(address))

    def start(self, submission: Submission) -> str:
        """Start the next attempt, unless one is running, and return the id of that which runs."""
        attempts = self._attempts(submission.name)
        running = [number for number, status in attempts.items() if not status.is_terminal()]
        number = running[-1] if running else max(attempts, default=0) + 1
        submission_id = f"{submission.name}-{number}"
        if not running:
            self._submit(submission, submission_id)
        return submission_id

    def _submit(self, submission: Submission, submission_id: str) -> None:
        def submit() -> None:
            if self._attempts(submission.name).get(int(submission_id.rpartition("-")[2])) is not None:
                return  # the answer to an earlier try was lost, or another submitter was faster
            self._client.submit_job(
                entrypoint=submission.entrypoint, submission_id=submission_id, runtime_env=submission.runtime_env()
            )

        self._ask(submit)

    def _attempts(self, name: str) -> dict[int, "JobStatus"]:
        """Return the status of each attempt of a command, by number."""
        found = {}
        for job in self._ask(lambda: self._client.list_jobs()):
            fingerprinted, _, number = (job.submission_id or "").rpartition("-")
            if fingerprinted == name and number.isdigit():
                found[int(number)] = job.status
        return dict(sorted(found.items()))

    def follow(self, submission_id: str) -> tuple[str, int | None]:
        """Print the job's log on stdout until it ends; return its status and the exit code of its command."""
        printed = 0
        while True:
            try:
                printed = asyncio.run(self._print_log(submission_id, printed))
            except Exception as error:  # websockets break in many ways, and the status says what is true
                print(f"{submission_id}: the log broke off ({error}); asking again", file=sys.stderr)
            info = self._ask(lambda: self._client.get_job_info(submission_id))
            if info.status.is_terminal():
                if info.status.value == "FAILED" and info.message:
                    print(f"{submission_id}: {info.message.strip().splitlines()[0]}", file=sys.stderr)
                return info.status.value, info.driver_exit_code
            time.sleep(_POLL_SECONDS)

    async def _print_log(self, submission_id: str, printed: int) -> int:
        """Print what comes after the first ``printed`` characters of the log; return how many there are now."""
        received = 0
        async for text in self._client.tail_job_logs(submission_id):
            fresh = text[max(0, printed - received) :]
            received += len(text)
            print(fresh, end="", flush=True)
        return max(received, printed)

    def _ask(self, request: Callable[[], Answer]) -> Answer:
        """Make a request, again where the cluster cannot be reached: a head that restarts takes a while."""
        attempt = 0
        while True:
            attempt += 1
            try:
                return request()
            except Exception as error:  # of requests, of Ray's client, of Ray's authentication: many kinds
                if attempt == _TRIES or not _is_passing(error):
                    raise SubmissionError(
                        f"{self._address}: {str(error).strip().splitlines()[0]} Check the address, that the head is "
                        "up, and RAY_AUTH_MODE and the token where token authentication is on."
                    ) from error
                time.sleep(_PAUSE * 2 ** (attempt - 1))


def _is_passing(error: Exception) -> bool:
    """Whether it is worth trying again: no connection, or the server itself is in trouble; not a refusal."""
    return isinstance(error, OSError) or "status code 5" in str(error)


if __name__ == "__main__":
    raise SystemExit(main())
