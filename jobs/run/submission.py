"""A command for a Ray cluster, and the cluster's job server, which runs it and tells how it went."""

import asyncio
import dataclasses
import os
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from jobs.cli.command import FAILED
from pipeline.config.fingerprint import fingerprint
from pipeline.errors import RollcallError

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
