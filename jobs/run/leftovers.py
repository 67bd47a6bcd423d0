"""Processes of a local Ray that outlive its session are found by a mark in their environment, and killed.

Ray 2.60 does not end every process that it started. An actor that its driver has released signs off from the raylet
and stops the thread that would notice the raylet's death. Only then does it wait for its own threads and exit hooks. If
one of these never ends, nobody knows of the process any more, and it keeps its memory for ever.

All that Ray starts inherits the environment in which Ray was started. So a mark there tells the processes of a session
from those of any other Ray on the machine, whatever has become of their parents.
"""

import contextlib
import os
import time
import uuid
from collections.abc import Iterator
from typing import Any

_VARIABLE = "ROLLCALL_SESSION"
_SECONDS = 10.0  # until a killed process is gone; the kernel takes milliseconds unless it waits for a disk
_POLL_SECONDS = 0.02


@contextlib.contextmanager
def marking() -> Iterator[str]:
    """Mark the processes that this one starts meanwhile, and all that those start at any time; yield the mark."""
    before, mark = os.environ.get(_VARIABLE), uuid.uuid4().hex
    os.environ[_VARIABLE] = mark
    try:
        yield mark
    finally:
        if before is None:
            del os.environ[_VARIABLE]
        else:
            os.environ[_VARIABLE] = before


def kill_marked(mark: str) -> int:
    """Kill the processes with the mark, and those that they start meanwhile; return how many there were."""
    import psutil  # comes with Ray, which puts it on the path

    killed: set[int] = set()
    end = time.monotonic() + _SECONDS
    while (alive := _marked(mark)) and time.monotonic() < end:
        for process in alive:
            with contextlib.suppress(psutil.NoSuchProcess):  # it has ended by itself since it was found
                process.kill()
            killed.add(process.pid)
        time.sleep(_POLL_SECONDS)
    return len(killed)


def _marked(mark: str) -> list[Any]:
    """Return the processes with the mark, as psutil has them; those that may not be looked at are not ours."""
    import psutil

    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.environ().get(_VARIABLE) == mark and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found
