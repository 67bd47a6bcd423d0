"""Work that stands still is broken off and begun again with what is left.

Ray mends workers and nodes that die. It does not see those that stop without dying: a worker that its machine has
frozen, a node whose disk hangs, a process that waits for what will never come. A run would wait with them for ever.
"""

import contextlib
import signal
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType

_POLL_SECONDS = 1.0
_RESTART_SECONDS = 120.0
"""Least patience with work that was begun again: Ray waits up to 60 s for a frozen worker at the end of a plan."""
_SIGNAL = signal.SIGUSR1  # SIGINT may be ignored, as by all that a script's shell starts in the background


def carry_through(
    work: Callable[[], None],
    done: Callable[[], int | None],
    patience: float,
    say: Callable[[str], None],
    restart: float = _RESTART_SECONDS,
) -> int:
    """Do ``work``, and begin it again each time that it stands still; return how often it was begun again.

    It stands still when ``done`` (how much is; None where it cannot be told now) has been the same for ``patience`` s.
    That doubles each time, to ``restart`` s at least, so that work whose single steps take longer comes to its end as
    well. Until something is done for the first time nothing is broken off: the nodes for it may still have to start.
    ``say`` gets a line each time. Only the main thread can be interrupted; in another, ``work`` is simply done.
    """
    if threading.current_thread() is not threading.main_thread():
        work()
        return 0
    before: int | None = 0
    again = 0
    while True:
        stood_still = threading.Event()
        try:
            with _interruptible(), _watched(done, before, patience, stood_still):
                work()
            return again
        except KeyboardInterrupt:
            if not stood_still.is_set():
                raise
        say(f"nothing was done for {patience / 60:,.3g} min; broken off, and begun again with what is left")
        before, again, patience = None, again + 1, max(2 * patience, restart)


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """Let ``_SIGNAL`` raise KeyboardInterrupt, which Ray passes on as it does no other exception of a signal."""
    working = True

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        if working:
            raise KeyboardInterrupt

    old = signal.signal(_SIGNAL, interrupt)
    try:
        yield
    finally:
        working = False  # what comes now comes too late: the work is done
        signal.signal(_SIGNAL, old)


@contextlib.contextmanager
def _watched(
    done: Callable[[], int | None], before: int | None, patience: float, stood_still: threading.Event
) -> Iterator[None]:
    """Interrupt the main thread when it has stood still; not for as long as what is done is ``before``."""
    left = threading.Event()

    def watch() -> None:
        last, since = before, time.monotonic()
        while not left.wait(_POLL_SECONDS):
            now = done()
            if now is not None and now != last:
                last, since = now, time.monotonic()
            elif last != before and time.monotonic() - since > patience:
                stood_still.set()
                signal.pthread_kill(threading.main_thread().ident or 0, _SIGNAL)
                return

    watcher = threading.Thread(target=watch, name="stall watch", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        left.set()
        watcher.join()
