"""An adapter directory: ``adapter.json`` (shapes, which base) and ``adapter.safetensors`` (float16 weights).

The file holds a copy of the base's output layer, so that an adapter can run on cached states without the base.
"""

import dataclasses
import json
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from pipeline.acoustic.adapter import AdapterShape, ContextualAdapter, OutputLayer
from pipeline.acoustic.adapter_files import CONFIG, FORMAT, WEIGHTS, read_settings
from pipeline.errors import ModelError

_OUTPUT = ("weight", "bias", "fold")


@dataclasses.dataclass(frozen=True)
class StoredAdapter:
    """A loaded adapter and the fingerprint of the base that it was trained on."""

    adapter: ContextualAdapter
    base: str


def save(folder: Path, adapter: ContextualAdapter, base: str) -> None:
    """Write ``adapter`` as an adapter directory; ``base`` is the model_fingerprint of its base."""
    folder.mkdir(parents=True, exist_ok=True)
    config = {"format": FORMAT, "base": base, "shape": dataclasses.asdict(adapter.shape)}
    (folder / CONFIG).write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")
    tensors = {name: value.detach().cpu().contiguous() for name, value in adapter.state_dict().items()}
    halves = {name: value.half() if value.is_floating_point() else value for name, value in tensors.items()}
    save_file(halves, folder / WEIGHTS)


def load(folder: Path) -> StoredAdapter:
    """Return the adapter of a directory in float32; raises ModelError naming what does not fit."""
    settings = read_settings(folder)
    try:
        shape = AdapterShape(**settings["shape"])
        tensors = load_file(folder / WEIGHTS)
        output = OutputLayer(*(tensors[f"output.{name}"] for name in _OUTPUT))
        adapter = ContextualAdapter(shape, output)
        adapter.load_state_dict({n: v.float() if v.is_floating_point() else v for n, v in tensors.items()})
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{folder / WEIGHTS}: cannot be read ({error}); train the adapter again.") from error
    except (RuntimeError, KeyError, TypeError) as error:
        raise ModelError(f"{folder}: {CONFIG} and {WEIGHTS} do not belong together ({error}).") from error
    return StoredAdapter(adapter.eval().requires_grad_(False), settings["base"])


def parameters(adapter: ContextualAdapter) -> int:
    """Return the number of trained weights; the copy of the base's output layer is none."""
    return sum(parameter.numel() for parameter in adapter.parameters())


def carry_over(adapter: ContextualAdapter, stored: ContextualAdapter) -> None:
    """Begin ``adapter`` with the trained weights of ``stored``, whose base had the same shapes; raises ModelError."""
    if stored.shape != adapter.shape:
        raise ModelError(f"--init: its shape is {stored.shape}, needed is {adapter.shape}.")
    with torch.no_grad():
        for name, parameter in adapter.named_parameters():
            parameter.copy_(stored.get_parameter(name))
