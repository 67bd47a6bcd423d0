"""Which worker of pytest-xdist runs a test: a file stays whole, and files with Ray make two heaps, one for each worker.

Tests on the Ray of the process (``ray_running``) are one heap, as they share it; tests that start clusters of their own
or commands that do (``RAY``) are the other. Each worker has a folder of its own for Ray, in which Ray notes the address
of the cluster that it started last.

The groups of xdist itself (``--dist loadgroup``) are without effect in pytest 9.2, which keeps the names of tests
elsewhere; so a scheduler of ours says which files belong together.
"""

import functools
import os
import re
from pathlib import Path

import pytest
from xdist.scheduler import LoadScopeScheduling

ROOT = Path(__file__).resolve().parents[2]
RAY = pytest.mark.ray
"""The mark of a test that starts a Ray of its own; ``pytestmark = RAY`` where the whole file does."""
_SAID = re.compile(r"\b(RAY|ray_running)\b")


class WholeFiles(LoadScopeScheduling):
    """Hands out whole files, and those with Ray as two heaps."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return ray_of(file) or file


@functools.cache
def ray_of(file: str) -> str | None:
    """Return the heap of a file of tests, by its path from the root, None where no test of it starts Ray."""
    said = set(_SAID.findall((ROOT / file).read_text(encoding="utf-8")))
    if "ray_running" in said:
        return "ray of the process"
    return "clusters" if said else None


def separate_rays() -> None:
    """Give this worker a folder of its own for Ray; nothing without pytest-xdist."""
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    if worker is not None:
        os.environ["RAY_TMPDIR"] = f"/tmp/ray-{worker}"  # short, as sockets lie in it


def put_ray_first(items: list[pytest.Item]) -> None:
    """Mark every test that starts Ray, and put their files first: they take longest, others fill the time beside them.

    ``-m ray`` and ``-m "not ray"`` choose by the mark.
    """
    for item in items:
        if "ray_running" in getattr(item, "fixturenames", ()):
            item.add_marker(RAY)
    items.sort(key=lambda item: ray_of(item.nodeid.partition("::")[0]) is None)
