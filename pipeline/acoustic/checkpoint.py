"""A model directory: ``config.json`` (shapes), ``model.safetensors`` (weights), ``tokenizer.model`` (SentencePiece).

A spelling branch has its weights in a file of its own, ``spelling.safetensors``, as the rest stays when it is trained.

Weights are float16; the matrices of the backbone and of the spelling branch are int8 with a float16 scale per row,
which halves the file and moves no error rate (benchmarks/results).
"""

import dataclasses
import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from pipeline.acoustic.head import HeadConfig
from pipeline.acoustic.model_files import CONFIG, FORMAT, SPELLING, TOKENISER, WEIGHTS
from pipeline.acoustic.network import BackboneConfig, CtcNetwork
from pipeline.acoustic.spelling import SpellingConfig
from pipeline.errors import ModelError

_BRANCH = "spelling."
_QUANTISED, _SCALE, _INT8_MAX = ("backbone.", _BRANCH), ".scale", 127.0


def save(folder: Path, network: CtcNetwork, backbone: BackboneConfig, tokeniser: Path, phones: tuple[str, ...]) -> None:
    """Write ``network`` as a model directory."""
    folder.mkdir(parents=True, exist_ok=True)
    config = {
        "format": FORMAT,
        "backbone": dataclasses.asdict(backbone),
        "head": dataclasses.asdict(network.head.config),
        "spelling": None if network.spelling is None else dataclasses.asdict(network.spelling.config),
        "phones": list(phones),
    }
    (folder / CONFIG).write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")
    (folder / TOKENISER).write_bytes(tokeniser.read_bytes())
    tensors = compress(network.state_dict())
    save_file({name: value for name, value in tensors.items() if not name.startswith(_BRANCH)}, folder / WEIGHTS)
    if network.spelling is not None:
        save_file({name: value for name, value in tensors.items() if name.startswith(_BRANCH)}, folder / SPELLING)
    else:
        (folder / SPELLING).unlink(missing_ok=True)  # of a model that was here before


def compress(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return what is stored for a state: float16, and for the matrices of _QUANTISED int8 rows with their scales."""
    tensors = {}
    for name, value in state.items():
        value = value.detach().float().cpu()
        if name.startswith(_QUANTISED) and value.ndim == 2 and "embed" not in name:
            scale = value.abs().amax(1, keepdim=True).clamp(min=1e-6) / _INT8_MAX  # [rows, 1]
            scale = scale.to(torch.float16).clamp(min=6e-8).float()  # quantise with the scale that will be read
            tensors[name] = (value / scale).round().clamp(-_INT8_MAX, _INT8_MAX).to(torch.int8)
            tensors[name + _SCALE] = scale.to(torch.float16)
        else:
            tensors[name] = value.to(torch.float16).contiguous()
    return tensors


def expand(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the float32 state that ``compress`` stored."""
    state = {name: value.float() for name, value in tensors.items() if not name.endswith(_SCALE)}
    for name in [name for name in tensors if name.endswith(_SCALE)]:
        state[name.removesuffix(_SCALE)] *= tensors[name].float()
    return state


def load(folder: Path) -> tuple[CtcNetwork, dict[str, Any]]:
    """Return the network in float32 and its configuration. Raises ModelError naming the file that does not fit."""
    config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    try:
        network = CtcNetwork(*shapes(config))
        tensors = _read(folder / WEIGHTS) | ({} if network.spelling is None else _read(folder / SPELLING))
        network.load_state_dict(expand(tensors))
    except (RuntimeError, KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{folder}: {CONFIG} and {WEIGHTS} do not belong together ({error}).") from error
    return network.eval(), config


def _read(path: Path) -> dict[str, torch.Tensor]:
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{path}: cannot be read ({error}); fetch or train the model again.") from error


def shapes(config: dict[str, Any]) -> tuple[BackboneConfig, HeadConfig, SpellingConfig | None]:
    """Return the shape configurations held in ``config.json``."""
    backbone = dict(config["backbone"], taps=tuple(config["backbone"]["taps"]))
    head = dict(config["head"], token_levels=tuple(config["head"]["token_levels"]))
    spelling = config.get("spelling")
    return BackboneConfig(**backbone), HeadConfig(**head), None if spelling is None else SpellingConfig(**spelling)
