"""Which worker of pytest-xdist runs a test: a file stays whole, and all files that start Ray are on one worker.

The groups of xdist itself (``--dist loadgroup``) are without effect in pytest 9.2, which keeps the names of tests
elsewhere; so a scheduler of ours says which files belong together.
"""

import functools
import re
from pathlib import Path

import pytest
from xdist.scheduler import LoadScopeScheduling

ROOT = Path(__file__).resolve().parents[2]
RAY = pytest.mark.ray
"""The mark of a test that starts a Ray of its own; ``pytestmark = RAY`` where the whole file does."""
_SAID = re.compile(r"\b(RAY|ray_running)\b")


class OneRay(LoadScopeScheduling):
    """Hands out whole files, and those with Ray as one."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return "ray" if starts_ray(file) else file


@functools.cache
def starts_ray(file: str) -> bool:
    """Return whether a file of tests, by its path from the root, says that a test of it starts Ray."""
    return _SAID.search((ROOT / file).read_text(encoding="utf-8")) is not None


def put_ray_first(items: list[pytest.Item]) -> None:
    """Mark every test that starts Ray, and put their files first: they take longest, others fill the time beside them.

    ``-m ray`` and ``-m "not ray"`` choose by the mark.
    """
    for item in items:
        if "ray_running" in getattr(item, "fixturenames", ()):
            item.add_marker(RAY)
    items.sort(key=lambda item: not starts_ray(item.nodeid.partition("::")[0]))
