"""What a GPU's host would wait for or copy, counted on a CPU that stands in for the GPU."""

import contextlib
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

WAITING = ("aten::_local_scalar_dense", "aten::nonzero", "aten::is_nonzero", "aten::equal", "aten::masked_select")


class Waits(TorchDispatchMode):
    """Counts the operations that a GPU's host has to wait for."""

    def __init__(self) -> None:
        super().__init__()
        self.found: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func._schema.name
        by_mask = name == "aten::index" and any(one is not None and one.dtype == torch.bool for one in args[1])
        if name in WAITING or by_mask:
            self.found[name] += 1
        return func(*args, **(kwargs or {}))


@contextlib.contextmanager
def counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[Counter[str]]:
    """Count copies between host and device, and waits: copies of results (.cpu, .numpy, .tolist) and of inputs."""
    waits = Waits()
    for name in ("cpu", "numpy", "tolist", "item"):
        real = getattr(torch.Tensor, name)

        def counting(tensor: torch.Tensor, *args: Any, _real: Any = real, _name: str = name, **options: Any) -> Any:
            waits.found[_name] += 1
            return _real(tensor, *args, **options)

        monkeypatch.setattr(torch.Tensor, name, counting)
    with waits:
        yield waits.found
