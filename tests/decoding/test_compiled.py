"""Kernels run without numba's memory manager, and say so where one needs it."""

import numpy as np
import pytest
from numba.core.errors import NumbaError

from pipeline.decoding.compiled import array_kernel, kernel


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


def _ones_sum(values):  # type: ignore[no-untyped-def]
    """Another one: numba would find the code of the first in its cache, on the second run of these tests."""
    return np.ones(len(values)).sum()


def test_a_kernel_reads_arrays() -> None:
    assert kernel(_largest)(np.array([1.0, 3.0, 2.0])) == 3.0


def test_a_kernel_that_makes_an_array_is_refused_and_an_array_kernel_is_not() -> None:
    with pytest.raises(NumbaError, match="Only accept returning of array passed"):
        kernel(_tripled_sum)(np.array([1.0, 2.0]))
    assert array_kernel(_ones_sum)(np.array([1.0, 2.0])) == 2.0
