"""Write a network of this folder as people bring theirs: as save_pretrained of model and processor does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from safetensors.torch import load_file
from transformers import Wav2Vec2CTCTokenizer, Wav2Vec2FeatureExtractor

from benchmarks.second_models import conformer
from benchmarks.second_models.corpus import Letters


def write(network: Any, letters: Letters, folder: Path, language: str, made: str) -> None:
    """Write weights, tokenizer, feature extractor and a card that names the language and says how it was ``made``."""
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = {letter: at for at, letter in enumerate(letters.outputs)}
    (folder / "vocab.json").write_text(json.dumps(vocabulary, ensure_ascii=False), encoding="utf-8")
    tokenizer = Wav2Vec2CTCTokenizer(str(folder / "vocab.json"), word_delimiter_token="|", do_lower_case=True)
    tokenizer.save_pretrained(folder)
    Wav2Vec2FeatureExtractor(return_attention_mask=True, do_normalize=True).save_pretrained(folder)
    network.save_pretrained(folder)
    card = f"---\nlanguage: {language}\nlibrary_name: transformers\npipeline_tag: automatic-speech-recognition\n---\n"
    (folder / "README.md").write_text(f"{card}\n{made}\n", encoding="utf-8")


def read(folder: Path, outputs: int) -> Any:
    """Return the network in ``folder``, of ``write`` or of a training (its weights as they are, not their average).

    A head of other outputs begins anew.
    """
    network = conformer.make(outputs)
    whole = folder / "model.safetensors"
    weights = load_file(whole if whole.is_file() else folder / "last.safetensors")
    if weights["lm_head.weight"].shape[0] != outputs:
        weights = {name: value for name, value in weights.items() if not name.startswith("lm_head.")}
    known = network.state_dict().keys()
    network.load_state_dict({name: value for name, value in weights.items() if name in known}, strict=False)
    return network
