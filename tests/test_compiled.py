"""Kernels run without numba's memory manager, and say so where one needs it."""

from pathlib import Path

import numpy as np
import pytest
from numba.core.errors import NumbaError

from pipeline import compiled
from pipeline.compiled import array_kernel, kernel


def _largest(values):  # type: ignore[no-untyped-def]
    most = values[0]
    for value in values:
        most = max(most, value)
    return most


def _tripled_sum(values):  # type: ignore[no-untyped-def]
    made = np.zeros(len(values))
    for index in range(len(values)):
        made[index] = 3 * values[index]
    return made.sum()


def test_a_kernel_reads_arrays() -> None:
    assert kernel(_largest)(np.array([1.0, 3.0, 2.0])) == 3.0


def test_a_kernel_that_makes_an_array_is_refused_and_an_array_kernel_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # In a folder of its own: what an earlier run left in the cache for the one would be found for the other.
    monkeypatch.setattr(compiled, "_FOLDER", str(tmp_path))
    with pytest.raises(NumbaError, match="Only accept returning of array passed"):
        kernel(_tripled_sum)(np.array([1.0, 2.0]))
    assert array_kernel(_tripled_sum)(np.array([1.0, 2.0])) == 9.0
