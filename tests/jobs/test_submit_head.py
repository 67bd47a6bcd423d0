"""jobs.submit against a Ray head with token authentication, started for these tests."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.ports import free_port
from tests.support.transcribing import write_rows
from tests.support.workers import RAY

pytestmark = RAY
ROOT = Path(__file__).resolve().parents[2]
TOKEN = "0123456789abcdef" * 4
START_SECONDS = 240  # a loaded machine may take minutes to start the dashboard


@pytest.fixture(scope="module")
def head(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A Ray head with a dashboard; returns the variables with which commands reach it."""
    port, temporary = free_port(), tmp_path_factory.mktemp("ray")
    variables = {**os.environ, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": TOKEN}
    variables["RAY_API_SERVER_ADDRESS"] = f"http://127.0.0.1:{port}"
    variables["RAY_USAGE_STATS_ENABLED"] = "0"
    variables["PATH"] = f"{Path(sys.executable).parent}:{variables['PATH']}"  # jobs begin with `python`
    command = [sys.executable, "-m", "tests.support.local_cluster", "--dashboard-port", str(port)]
    with open(temporary / "log", "wb") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=variables, stdout=log, stderr=log)
    try:
        wait_for(variables["RAY_API_SERVER_ADDRESS"], process, temporary / "log")
        yield variables
    finally:
        process.terminate()
        process.wait(60)


def wait_for(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until the head answers questions about jobs."""
    request = urllib.request.Request(f"{address}/api/jobs/", headers={"Authorization": f"Bearer {TOKEN}"})
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError):
            urllib.request.urlopen(request, timeout=30)
            if address.encode() in log.read_bytes():  # the node is registered, too
                return
        time.sleep(0.5)
    raise RuntimeError(f"the Ray head did not start: {log.read_text()}")


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the job needs of this repository; without models it travels faster."""
    folder = tmp_path_factory.mktemp("repository")
    for name in ("jobs", "actors", "pipeline"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A finished run that jobs.verify, a quick job, can be pointed at."""
    from pipeline.runs.folder import RunFolder
    from pipeline.runs.manifest import write_manifest
    from pipeline.storage import open_filesystem

    write_rows(tmp_path / "f00d" / "transcripts" / "one.parquet", ["a", "b"])
    (tmp_path / "f00d" / "run.json").write_text(json.dumps({"counts": {"rows_out": 2}}))
    write_manifest(RunFolder(open_filesystem(str(tmp_path / "f00d"))))
    return tmp_path / "f00d"


def submitted(head: dict[str, str], repository: Path, *arguments: str) -> tuple[int, dict[str, Any], str]:
    """Run jobs.submit as a user does; return its exit code, what --json says, and its stderr."""
    command = [sys.executable, "-m", "jobs.submit", "--json", "--working-dir", str(repository), *arguments]
    done = subprocess.run(command, cwd=ROOT, env=head, capture_output=True, text=True, timeout=START_SECONDS)
    return done.returncode, json.loads(done.stdout or "null"), done.stderr


def test_submitted_followed_and_not_started_twice(head: dict[str, str], repository: Path, run: Path) -> None:
    job = ["--", "verify", str(run)]
    code, first, log = submitted(head, repository, "--no-follow", *job)
    assert (code, first.get("status")) == (0, "submitted"), (first, log)
    code, second, log = submitted(head, repository, *job)
    assert (code, second["status"]) == (0, "SUCCEEDED"), log
    assert second["submission_id"] == first["submission_id"]
    assert first["submission_id"].endswith("-1")
    assert "2 rows in 2 files, all as written" in log


def test_failures_are_tried_again_and_bad_input_is_not(head: dict[str, str], repository: Path, run: Path) -> None:
    (run / "transcripts" / "one.parquet").unlink()
    code, facts, log = submitted(head, repository, "--attempts", "2", "--", "verify", str(run))
    assert (code, facts["status"], facts["attempts"]) == (1, "FAILED", 2), log
    assert facts["submission_id"].endswith("-2")
    assert "one.parquet: is missing" in log
    (run / "_SUCCESS").unlink()
    code, facts, log = submitted(head, repository, "--", "verify", str(run))
    assert (code, facts["driver_exit_code"], facts["attempts"]) == (2, 2, 1), log


def test_without_the_token_the_cluster_refuses(head: dict[str, str], repository: Path, run: Path) -> None:
    stranger = head | {"RAY_AUTH_TOKEN": "f" * 64}
    code, facts, _ = submitted(stranger, repository, "--", "verify", str(run))
    assert code == 1, facts
    assert "token" in facts["error"].lower()
