"""Which device a network runs on, and in which precision."""

from typing import TypeVar

import torch
from torch import nn

from pipeline.errors import ConfigError

Network = TypeVar("Network", bound=nn.Module)


def choose_device(name: str) -> torch.device:
    """Return the device that ``auto``, ``cpu`` or ``cuda`` means here."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


def choose_dtype(name: str, device: torch.device) -> torch.dtype:
    """Return the type that ``acoustic.dtype`` means on ``device``; ``auto`` is bfloat16 where the hardware has it.

    CPUs without instructions for bfloat16 emulate it eight times slower than they compute in float32. Raises
    ConfigError for an unknown name.
    """
    kinds = {"bfloat16": torch.bfloat16, "float16": torch.float16, "float32": torch.float32}
    if name in kinds:
        return kinds[name]
    if name != "auto":
        raise ConfigError(f"acoustic.dtype must be one of {['auto', *kinds]}, got {name!r}.")
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    fast = torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()
    return torch.bfloat16 if fast else torch.float32


def autocast(device: torch.device, dtype: torch.dtype) -> torch.autocast:
    """Return the context in which a network computes in ``dtype``; float32 is no cast at all."""
    return torch.autocast(device.type, dtype, enabled=dtype != torch.float32)


def hold_weights(network: Network, dtype: torch.dtype) -> Network:
    """Keep the weights of linear layers and convolutions in ``dtype``, in place; return the network.

    ``autocast`` would bring them to it in every forward pass, which takes a quarter of the time of one utterance on a
    CPU; the results are the same to the bit. Norms and tables stay as they are. For networks that are not trained.
    """
    for module in network.modules():
        if type(module) in (nn.Linear, nn.Conv1d):
            module.to(dtype)
    return network
