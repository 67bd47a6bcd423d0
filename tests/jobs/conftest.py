from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.run.session import ray_session
from tests.support.tiny_model import tiny_model
from tests.support.transcribing import GREEDY


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny acoustic model, with ``greedy.yaml`` beside it."""
    folder = tmp_path_factory.mktemp("tiny")
    (folder / "greedy.yaml").write_text(GREEDY)
    return tiny_model(folder / "model")


@pytest.fixture(scope="session")
def ray_running() -> Iterator[None]:
    """One local Ray for all tests; jobs use it instead of starting their own."""
    with ray_session():
        yield
