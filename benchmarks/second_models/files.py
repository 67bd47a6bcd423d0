"""Write a network of this folder as people bring theirs: as save_pretrained of model and processor does."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import load_file
from transformers import Wav2Vec2CTCTokenizer, Wav2Vec2FeatureExtractor

from benchmarks.second_models import conformer
from benchmarks.second_models.corpus import Letters
from pipeline.text import LATIN_FOLDS


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


def read(folder: Path, letters: Letters) -> Any:
    """Return the network in ``folder``, of ``write`` or of a training (its weights as they are, not their average).

    A head of other letters is carried over: letters that it lacks begin as those without their marks (ß as s).
    """
    network = conformer.make(len(letters.outputs))
    whole = folder / "model.safetensors"
    weights = load_file(whole if whole.is_file() else folder / "last.safetensors")
    vocabulary = folder / "vocab.json"
    if vocabulary.is_file():
        known = json.loads(vocabulary.read_text(encoding="utf-8"))
        rows = [_row_of(letter, known) for letter in letters.outputs]
        for name in ("lm_head.weight", "lm_head.bias"):
            weights[name] = weights[name][rows]
    names = network.state_dict().keys()
    network.load_state_dict({name: value for name, value in weights.items() if name in names}, strict=False)
    return network


def _row_of(letter: str, known: Mapping[str, int]) -> int:
    """Return the output of another model that a letter begins as; <unk>, which nothing writes, if none is like it.

    >>> [_row_of(letter, {"<unk>": 3, "a": 4, "s": 5}) for letter in "aäßк"]
    [4, 4, 5, 3]
    """
    plain = dict(LATIN_FOLDS).get(letter, unicodedata.normalize("NFD", letter))
    return known.get(letter, known.get(plain[0], known["<unk>"]))
