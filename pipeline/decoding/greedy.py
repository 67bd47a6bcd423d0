"""Best path decoding: the floor of every ablation."""

import dataclasses

import numpy as np

from pipeline.decoding.spans import entity_spans
from pipeline.types.emissions import SparseLogProbs
from pipeline.types.entity import EntityList
from pipeline.types.hypothesis import Hypothesis, Word
from pipeline.types.tokens import WORD_START, Tokens


@dataclasses.dataclass(frozen=True)
class GreedyDecoder:
    """Best token per frame, repeats and blanks collapsed. No language model, no boost, one hypothesis."""

    tokens: Tokens

    def decode(self, emissions: SparseLogProbs, entities: EntityList, judged: bool = False) -> list[Hypothesis]:
        """Return the one best path; the list changes only which entities are reported, not the text."""
        best = emissions.ids[:, 0].astype(np.int64)
        scores = emissions.values[:, 0].astype(np.float64)
        first = np.flatnonzero(np.diff(best, prepend=-1) != 0)  # frames where a token begins
        emitted = [(int(best[t]), int(t), float(scores[t])) for t in first if best[t] != self.tokens.blank]
        words = tuple(_words(self.tokens, emitted))
        acoustic = float(scores.sum())
        return [Hypothesis(words, acoustic, 0.0, 0.0, acoustic, entity_spans(words, entities))]


def _words(tokens: Tokens, emitted: list[tuple[int, int, float]]) -> list[Word]:
    """Group emitted (id, frame, log-probability) into words; a word ends where its last token begins, plus one."""
    groups: list[list[tuple[str, int, float]]] = []
    for token, frame, score in emitted:
        for index, part in enumerate(tokens.pieces[token].split(WORD_START)):
            if index > 0 or not groups:
                groups.append([])
            if part:
                groups[-1].append((part, frame, score))
    return [
        Word(
            text="".join(part for part, _, _ in group),
            start_frame=group[0][1],
            end_frame=group[-1][1] + 1,
            confidence=float(np.exp(np.mean([score for _, _, score in group]))),
        )
        for group in groups
        if group
    ]
