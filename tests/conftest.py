"""Property tests draw the same examples on every run, so that a failure belongs to the change that it follows.

``HYPOTHESIS_PROFILE=explore make unit`` draws others; what it finds becomes a test of its own.

``make unit`` runs two workers. A file stays on one of them, as its fixtures are shared. Tests that start Ray say so
with the fixture ``ray_running`` or, where they start one of their own, with the mark ``RAY``; tests/support/workers.py
has the rest.
"""

import os
from typing import Any

import pytest
from hypothesis import settings

from tests.support.dev_set import dev_set
from tests.support.workers import WholeFiles, put_ray_first, separate_rays

__all__ = ["dev_set"]  # fixtures that several folders use

separate_rays()
settings.register_profile("same", derandomize=True)
settings.register_profile("explore", derandomize=False)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))


@pytest.hookimpl(tryfirst=True)  # before -m chooses by the mark
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    put_ray_first(items)


@pytest.hookimpl(optionalhook=True)  # where xdist is off it is no hook
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> WholeFiles:
    return WholeFiles(config, log)
