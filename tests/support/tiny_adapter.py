"""A tiny adapter for a tiny base, untrained: its base's own log-probs already speak for what they hear."""

from pathlib import Path

import numpy as np
import torch

from pipeline.acoustic import adapter_checkpoint
from pipeline.acoustic.adapter import AdapterShape, ContextualAdapter, OutputLayer
from pipeline.acoustic.adapter_runner import AdapterRunner
from pipeline.acoustic.adapter_spelling import Speller
from pipeline.acoustic.interface import CtcModel
from pipeline.acoustic.loading import load_model
from pipeline.config import AcousticConfig
from pipeline.config.fingerprint import model_fingerprint
from pipeline.errors import RowError
from pipeline.types.entity import Entity, EntityList
from pipeline.types.tokens import Tokens

SMALL = {"query": 8, "frame": 16, "kernel": 3, "key": 8, "embedding": 8, "hidden": 8, "value": 4, "window": 4}


def tiny_adapter(model: CtcModel, width: int, levels: int = 3, seed: int = 0) -> ContextualAdapter:
    """Return an adapter for ``model``, whose states are [levels, T, width]."""
    torch.manual_seed(seed)
    phones = 0 if model.phones is None else len(model.phones) + 1
    shape = AdapterShape(levels, width, len(model.tokens.pieces), blank=model.tokens.blank, phones=phones, **SMALL)
    return ContextualAdapter(shape, model.output_layer()).eval()


def small_adapter(vocabulary: int = 12, width: int = 8, phones: int = 0, seed: int = 0) -> ContextualAdapter:
    """Return an adapter without a base: its output layer is random."""
    torch.manual_seed(seed)
    output = OutputLayer(torch.randn(vocabulary, width), torch.zeros(vocabulary), torch.arange(vocabulary))
    return ContextualAdapter(AdapterShape(2, width, vocabulary, phones=phones, **SMALL), output).eval()


def save_beside(model: Path, adapter: ContextualAdapter) -> Path:
    """Write ``adapter`` where the pipeline looks for that of the base ``model``."""
    folder = Path(f"{model}_adapter")
    adapter_checkpoint.save(folder, adapter, model_fingerprint(str(model)))
    return folder


LETTERS = "abcdefghijk"


def spell(text: str) -> list[int]:
    if strange := set(text) - set(LETTERS):
        raise RowError(f"no {strange}")
    return [LETTERS.index(letter) + 1 for letter in text]


TOKENS = Tokens(("", *LETTERS), 0, spell, lambda text, count: [spell(text)])


def listed(*texts: str, weight: float = 1.0) -> EntityList:
    return EntityList(tuple(Entity(text, text, weight=weight) for text in sorted(texts)))


def states(frames: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((2, frames, 8)).astype(np.float16)


def runner(adapter: ContextualAdapter | None = None, prior: float = 0.0) -> AdapterRunner:
    return AdapterRunner(adapter or small_adapter(), Speller(TOKENS, None), prior)


def eager(folder: Path) -> ContextualAdapter:
    adapter = tiny_adapter(load_model(AcousticConfig(model=str(folder))), 32)
    adapter.no_bias.bias.data.fill_(-50.0)
    adapter.phone_weight.data.zero_()
    return adapter
