"""Short sessions of a local Ray that end while their actors are at work, and what is still alive after each.

    python -m benchmarks.session_ends [--model MODEL] [--sessions 50] [--wait 10] [--json FILE]

Every session is a process of its own; what it does stands in tests.support.busy_session. Without a model no encoder is
among its actors, and it takes a third of the time. What is left after --wait seconds is listed and killed.
"""

import argparse
import contextlib
import os
import signal
import time
from pathlib import Path

from benchmarks.table import show
from tests.support.busy_session import leftovers, run

_POLL_SECONDS = 0.5
_TIMEOUT_SECONDS = 300.0


def main(argv: list[str] | None = None) -> int:
    """Measure and print; exit code 0, 1 if anything was left."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, help="directory of an acoustic model; a small one will do")
    parser.add_argument("--sessions", type=int, default=50)
    parser.add_argument("--wait", type=float, default=10.0, help="seconds that processes have to end")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args(argv)
    rows: list[dict[str, object]] = []
    for number in range(1, arguments.sessions + 1):
        began = time.monotonic()
        value = run(arguments.model, _TIMEOUT_SECONDS)
        ended = time.monotonic()
        left = _left_after(value, arguments.wait)
        gone = time.monotonic() - ended
        rows.append({"session": number, "seconds": ended - began, "gone_after_seconds": gone, "left": len(left)})
        print(rows[-1], *left.values(), flush=True)
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    total = sum(row["left"] != 0 for row in rows)
    show(f"{total} of {len(rows)} sessions left processes behind", rows, arguments.json)
    return int(total > 0)


def _left_after(value: str, seconds: float) -> dict[int, str]:
    """Return what is alive after so many seconds, or nothing as soon as nothing is."""
    end = time.monotonic() + seconds
    while (left := leftovers(value)) and time.monotonic() < end:
        time.sleep(_POLL_SECONDS)
    return left


if __name__ == "__main__":
    raise SystemExit(main())
