"""Memory and processor time of a process and all its descendants, from /proc (Linux)."""

import os
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def family(pid: int) -> list[int]:
    """Return the process and all its descendants."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (fields := _status(int(entry.name))):
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found = [pid]
    for one in found:  # grows while it is read
        found += children.get(one, [])
    return found


def set_size(pid: int, kind: str = "Pss") -> int:
    """Return the proportional set size in bytes: a page that n processes share counts 1/n for each.

    ``kind`` names a part of it as /proc does, such as ``Pss_Shmem`` for shared memory.
    """
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0  # it has just ended
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith(f"{kind}:")), 0)


def cpu_seconds(pid: int) -> float:
    """Return the processor time of one process, all threads, user and system."""
    fields = _status(pid)
    return (int(fields[11]) + int(fields[12])) / _TICKS if fields else 0.0


def title(pid: int) -> str:
    """Return the command line of a process, or what it calls itself; empty if it has just ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""


PARTS = ("driver", "encoders", "decoders", "tasks", "ray")
"""The driver, the actors of both stages, all other workers of Ray, and Ray's own processes."""


def part(pid: int, driver: int) -> str:
    """Return which part of a job, whose driver is ``driver``, a process is."""
    if pid == driver:
        return "driver"
    name = title(pid)
    if "EncoderActor" in name or "DecoderActor" in name:
        return "encoders" if "EncoderActor" in name else "decoders"
    return "tasks" if name.startswith("ray::") else "ray"


def _status(pid: int) -> list[str]:
    """Return the fields of /proc/PID/stat from the state on, or nothing if the process has just ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return []
