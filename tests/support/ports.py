"""Ports of this machine that are free, for servers and clusters of tests."""

import contextlib
import socket


def free_ports(count: int) -> list[int]:
    """Return different ports that nothing listens on now.

    All are held until the last is found, as the system may give one that is let go again.
    """
    with contextlib.ExitStack() as held:
        probes = [held.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]


def free_port() -> int:
    """Return a port that nothing listens on now."""
    return free_ports(1)[0]
