"""Which executor does the work: this process alone, or Ray. Needs no Ray to decide.

Both run the same stages over the same folder, so that either finishes what the other began. The local one starts at
once and uses the cores of this machine; Ray takes half a minute to start and uses every machine that it is given.
"""

import argparse
import dataclasses
import os
import sys
from collections.abc import Callable

from pipeline.errors import ConfigError

AUTO, LOCAL, RAY = "auto", "local", "ray"
LOCAL_SECONDS = 600.0
"""Audio up to which ``auto`` does without Ray: a laptop hears it in about a minute."""
_GPUS = "/proc/driver/nvidia/gpus"


@dataclasses.dataclass(frozen=True)
class Choice:
    """An executor, and why it is that one."""

    name: str
    why: str

    @property
    def is_local(self) -> bool:
        return self.name == LOCAL

    def __str__(self) -> str:
        where = "in this process, without Ray" if self.is_local else "with Ray"
        return f"{where}: {self.why}"


@dataclasses.dataclass(frozen=True)
class Size:
    """How large a piece of work is, and whether that is small enough for one process."""

    said: str
    is_small: bool


def add_executor(parser: argparse.ArgumentParser, small: str) -> None:
    """Add ``--executor``; ``small`` says up to what ``auto`` is local."""
    parser.add_argument(
        "--executor",
        choices=(AUTO, LOCAL, RAY),
        default=AUTO,
        help=f"local: in this process; ray: on RAY_ADDRESS or a Ray of this machine; default auto: local {small} where "
        "no RAY_ADDRESS is set",
    )


def choose(wanted: str, size: Callable[[], Size], for_ray: str | None = None) -> Choice:
    """Return the executor that ``wanted`` (one of --executor) means here.

    size:    asked only where it decides
    for_ray: what the user has asked for that only Ray can do, None for nothing; raises ConfigError with ``local``
    """
    if wanted == LOCAL and for_ray is not None:
        raise ConfigError(f"--executor local works in one process, which cannot do {for_ray}; leave one of them out.")
    if wanted != AUTO:
        return Choice(wanted, f"--executor {wanted}")
    if os.environ.get("RAY_ADDRESS"):
        return Choice(RAY, "RAY_ADDRESS is set")
    ray = sys.modules.get("ray")
    if ray is not None and ray.is_initialized():
        return Choice(RAY, "this process is connected to it")
    if for_ray is not None:
        return Choice(RAY, f"{for_ray} needs it")
    found = size()
    return Choice(LOCAL if found.is_small else RAY, found.said)


def usable_cores() -> int:
    """Return the cores of this machine that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def usable_gpus() -> int:
    """Return the GPUs of this machine, by what NVIDIA's driver says; torch, which knows too, takes a second to load."""
    return len(os.listdir(_GPUS)) if os.path.isdir(_GPUS) else 0
