"""A sentence in phones and letters, and a language model that knows its words and one that sounds alike."""

import dataclasses
from pathlib import Path

import numpy as np

from pipeline.config import LanguageModelConfig
from pipeline.types.emissions import Emissions
from tests.support.inventory import CHARACTERS
from tests.support.sparse import sparsify
from tests.support.speech import said

CAT = "DH AH - - K AE T - M EH T - DH AH - - K IH NG - -"
"""The frames of "the cat met the king"."""
ARPA = """\\data\\
ngram 1=8
ngram 2=2

\\1-grams:
-99\t<s>\t-0.4
-1.5\t</s>
-3.0\t<unk>
-0.7\tthe\t-0.4
-1.2\tcat\t-0.2
-1.3\tcut\t-0.2
-1.4\tmet\t-0.2
-1.4\tking\t-0.2

\\2-grams:
-0.2\t<s> the
-0.6\tthe cat

\\end\\
"""


def write_model(folder: Path) -> LanguageModelConfig:
    """Write the model and its words, "cut" among them, into ``folder``."""
    (folder / "tiny.arpa").write_text(ARPA)
    (folder / "words.txt").write_text("the\ncat\ncut\nmet\nking\n")
    return LanguageModelConfig(path=str(folder / "tiny.arpa"), unigrams=str(folder / "words.txt"))


def spelled_and_said(labels: str, spelled: str) -> Emissions:
    """Phones beside letters, one in each frame, that the model is sure of."""
    log_probs = np.full((len(labels.split()), len(CHARACTERS.pieces)), -5.0, np.float32)
    ids = CHARACTERS.encoder(spelled)
    for at in range(len(log_probs)):
        log_probs[at, ids[at] if at < len(ids) else 0] = -0.3
    return dataclasses.replace(said(labels), tokens=sparsify(log_probs, len(CHARACTERS.pieces)))
