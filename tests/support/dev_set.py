"""The benchmark's development set, read once for all tests that score it."""

import pytest

from pipeline.scoring.inputs import ScoringSet, load_scoring_set
from tests.support.shared_data import SHARED


@pytest.fixture(scope="session")
def dev_set() -> ScoringSet:
    return load_scoring_set(str(SHARED / "is21_deep_bias" / "test-clean-dev.biasing_100.tsv"))
