"""The subword inventory of a CTC model: pieces, blank, and text to ids."""

import dataclasses
from collections.abc import Callable, Sequence

from pipeline.text import ENGLISH, Alphabet

WORD_START = "▁"
"""SentencePiece's mark of a piece that begins a word."""


@dataclasses.dataclass(frozen=True)
class Tokens:
    """Token inventory of one model.

    pieces:  text of every id. Pieces that begin a word start with WORD_START; for character models with a word
             delimiter (wav2vec2's ``|``) the delimiter's piece is WORD_START alone. The blank's piece is "".
    blank:   id of the CTC blank
    encoder: normalised text -> piece ids, the model's own best segmentation; raises RowError if it cannot
    sampler: normalised text, how many -> that many or fewer different segmentations, the best first
    alphabet: what the pieces are written in, and so every text that the model reads or writes
    """

    pieces: tuple[str, ...]
    blank: int
    encoder: Callable[[str], list[int]]
    sampler: Callable[[str, int], list[list[int]]]
    alphabet: Alphabet = ENGLISH

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of CTC-collapsed ids."""
        return "".join(self.pieces[i] for i in ids if i != self.blank).replace(WORD_START, " ").strip()
