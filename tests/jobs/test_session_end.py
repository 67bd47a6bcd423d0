"""The end of a session of a local Ray is the end of all its processes."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from jobs.run.leftovers import kill_marked, marking
from tests.support.busy_session import leftovers, run
from tests.support.workers import RAY

_SLEEP = [sys.executable, "-c", "import time; time.sleep(600)"]


@RAY
def test_nothing_is_alive_after_a_session_that_ended_in_the_middle_of_its_calls(tiny: Path) -> None:
    value = run(tiny, timeout=240)
    end = time.monotonic() + 10
    while leftovers(value) and time.monotonic() < end:
        time.sleep(0.5)
    assert leftovers(value) == {}


def test_only_what_was_started_under_the_mark_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROLLCALL_SESSION", "of somebody else")
    with subprocess.Popen(_SLEEP) as other:
        with marking() as mark:
            ours = subprocess.Popen(_SLEEP)
        later = subprocess.Popen(_SLEEP)
        try:
            assert kill_marked(mark) == 1
            assert ours.wait(10) == -9
            assert other.poll() is later.poll() is None
            assert kill_marked(mark) == 0
        finally:
            for process in (other, ours, later):
                process.kill()
                process.wait()
