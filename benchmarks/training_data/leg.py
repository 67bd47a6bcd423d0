"""Keep the model that a leg of jobs.train_base wrote as its difference to the shipped one, a third of its size.

    python -m benchmarks.training_data.leg pack --model STATE/leg1/model --file base_leg_1.xz
    python -m benchmarks.training_data.leg unpack --file base_leg_1.xz --output STATE/leg1/model

A leg is not shipped before spelling branch, adapter, guard and tables have followed it, which may be days later and on
another machine. Differences of 64 weights have a scale and 4 bits each; what that loses is small beside the difference.
"""

import argparse
import lzma
from pathlib import Path

import torch
from safetensors.torch import load, save

from pipeline.acoustic import checkpoint, model_files
from pipeline.errors import ModelError
from pipeline.lexicon.pronunciation import PHONES

GROUP, HIGHEST = 64, 7  # weights that share a scale; largest code of 4 bits with a sign
_CODES, _SCALES, _BASE = ".codes", ".scales", "base"


def pack(old: dict[str, torch.Tensor], new: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return what is stored of ``new`` minus ``old``: per tensor, codes uint8 [N / 2] and scales float16 [N / 64]."""
    stored = {}
    for name, value in new.items():
        difference = (value - old[name]).flatten()
        groups = torch.nn.functional.pad(difference, (0, -len(difference) % GROUP)).view(-1, GROUP)
        scales = (groups.abs().amax(1, keepdim=True) / HIGHEST).to(torch.float16).float()
        codes = (groups / scales.clamp(min=1e-8)).round().clamp(-HIGHEST, HIGHEST).to(torch.int16) + HIGHEST
        low, high = codes.flatten()[::2], codes.flatten()[1::2]
        stored[name + _CODES] = (low | (high << 4)).to(torch.uint8)
        stored[name + _SCALES] = scales[:, 0].to(torch.float16)
    return stored


def unpack(old: dict[str, torch.Tensor], stored: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the weights of which ``pack`` stored the difference to ``old``."""
    new = {}
    for name, value in old.items():
        codes, scales = stored[name + _CODES].to(torch.int16), stored[name + _SCALES].float()
        groups = torch.stack([codes & 15, codes >> 4], 1).flatten().view(-1, GROUP) - HIGHEST
        difference = (groups.float() * scales[:, None]).flatten()[: value.numel()]
        new[name] = value + difference.view_as(value)
    return new


def _as_bytes(text: str) -> torch.Tensor:
    return torch.tensor(list(text.encode()), dtype=torch.uint8)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=("pack", "unpack"))
    parser.add_argument("--base", type=Path, default=Path("models/base_en_ctc"), help="what the leg began with")
    parser.add_argument("--model", type=Path, help="pack: the leg's model")
    parser.add_argument("--file", type=Path, required=True, help="the difference")
    parser.add_argument("--output", type=Path, help="unpack: model directory to write")
    options = parser.parse_args()
    network, config = checkpoint.load(options.base)
    network.spelling = None
    base = model_files.content_hash(options.base)
    if options.action == "pack":
        leg = checkpoint.load(options.model)[0]
        stored = pack(network.state_dict(), leg.state_dict())
        options.file.write_bytes(lzma.compress(save(stored | {_BASE: _as_bytes(base)}), preset=9))
        return
    stored = load(lzma.decompress(options.file.read_bytes()))
    if not torch.equal(stored[_BASE], _as_bytes(base)):
        was = bytes(stored[_BASE].tolist()).decode()
        raise ModelError(f"{options.file}: is a difference to the model {was}; {options.base} is {base}.")
    network.load_state_dict(unpack(network.state_dict(), stored))
    tokeniser = options.base / model_files.TOKENISER
    checkpoint.save(options.output, network, checkpoint.shapes(config)[0], tokeniser, PHONES)


if __name__ == "__main__":
    main()
