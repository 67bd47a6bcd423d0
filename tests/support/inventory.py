"""A literal subword inventory and emissions that spell a given path, for the decoding tests."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pipeline.types.emissions import SparseLogProbs
from pipeline.types.tokens import WORD_START, Tokens
from tests.support.sparse import sparsify

PIECES = ("", "▁", "▁the", "▁a", "n", "ann", "a", "e", "t", "▁cat", "s", "▁new", "york", "c", "r", "o", "k", "y")


def spell(pieces: Sequence[str]) -> list[int]:
    return [PIECES.index(piece) for piece in pieces]


def _segment(text: str) -> list[int]:
    """Greedy longest match; enough for tests."""
    rest, ids = WORD_START + text.replace(" ", WORD_START), []
    while rest:
        piece = max((piece for piece in PIECES if piece and rest.startswith(piece)), key=len)
        ids.append(PIECES.index(piece))
        rest = rest[len(piece) :]
    return ids


TOKENS = Tokens(PIECES, 0, _segment, lambda text, count: [_segment(text)])
LETTERS = ("", WORD_START, *"abcdefghijklmnopqrstuvwxyz'")
CHARACTERS = Tokens(
    LETTERS,
    0,
    lambda text: [LETTERS.index(c) for c in text.replace(" ", WORD_START)],
    lambda text, count: [[LETTERS.index(c) for c in text.replace(" ", WORD_START)]],
)


def emissions_of(path: Sequence[int], size: int = len(PIECES), probability: float = 0.99) -> SparseLogProbs:
    """One frame per token, a blank after each; ``probability`` on the path and the rest evenly elsewhere."""
    frames = [token for step in path for token in (step, 0)]
    probabilities = np.full((len(frames), size), (1 - probability) / (size - 1), np.float32)
    probabilities[np.arange(len(frames)), frames] = probability
    return sparsify(np.log(probabilities), size)


ARPA = """\\data\\
ngram 1=7
ngram 2=4

\\1-grams:
-1.5\t<unk>\t0
-99\t<s>\t-0.3
-0.9\t</s>\t0
-0.7\tthe\t-0.4
-1.2\tcat\t-0.2
-1.3\ta\t-0.2
-1.4\tnew\t-0.2

\\2-grams:
-0.2\t<s> the
-0.3\tthe cat
-0.4\tcat </s>
-0.9\ta cat

\\end\\
"""


def write_arpa(folder: Path) -> Path:
    path = folder / "tiny.arpa"
    path.write_text(ARPA)
    return path
