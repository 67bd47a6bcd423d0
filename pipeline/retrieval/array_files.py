"""Indices as a file per array: written once, then mapped into the memory of every worker."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import numpy.typing as npt

from pipeline.errors import InputError, RollcallError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_Index = TypeVar("_Index", bound="DataclassInstance")


def save_arrays(index: "DataclassInstance", folder: Path) -> None:
    """Write a file per field, each an array, into ``folder``, which must be there."""
    for field in dataclasses.fields(index):
        np.save(folder / f"{field.name}.npy", getattr(index, field.name))


def open_arrays(kind: type[_Index], folder: Path, called: str, broken: type[RollcallError] = InputError) -> _Index:
    """Return the index whose files lie in ``folder``, mapped into memory; raises ``broken`` if it is not whole."""
    try:
        arrays = [np.load(folder / f"{field.name}.npy", mmap_mode="r") for field in dataclasses.fields(kind)]
    except (OSError, ValueError) as error:
        raise broken(f"{folder}: is no whole {called} ({error}); build it again.") from error
    return kind(*map(np.asarray, arrays))


def fixed(*arrays: npt.NDArray[np.generic]) -> None:
    """Let arrays not be written any more, as those from files are: kernels are compiled for one kind."""
    for array in arrays:
        array.flags.writeable = False
