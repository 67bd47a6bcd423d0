"""How well words fit the subword head: the best CTC path over all their segmentations.

The words become a lattice of the model's pieces, an edge for every piece that stands at a place of the text, with the
usual optional blanks between pieces (Graves et al. 2006). Viterbi over the lattice gives the log-probability of the
best segmentation's best path, so no one segmentation is favoured.
"""

import functools

import numba
import numpy as np
import numpy.typing as npt

from pipeline.types.tokens import WORD_START, Tokens

IMPOSSIBLE = -1e9
"""Score in nats of words that the pieces cannot spell or that have no room in the frames."""

Edges = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]


class SubwordScorer:
    """Holds the inventory of one model."""

    def __init__(self, tokens: Tokens) -> None:
        self._ids = {piece: id_ for id_, piece in enumerate(tokens.pieces) if piece and id_ != tokens.blank}
        self._blank = tokens.blank
        self._longest = max(map(len, self._ids), default=1)
        self._lattice = functools.lru_cache(maxsize=65536)(self._edges)

    def score(self, log_probs: npt.NDArray[np.float32], words: str) -> float:
        """Log-probability in nats of the best path of ``words``, joined by spaces, over [T, V] log-probs."""
        if not words:
            return float(log_probs[:, self._blank].sum())
        pieces, begins, ends, into = self._lattice(words)
        if not len(pieces) or not len(log_probs):
            return IMPOSSIBLE
        return float(_best_path(log_probs, pieces, begins, ends, into, len(words) + 1, self._blank))

    def _edges(self, words: str) -> Edges:
        """Pieces [E], the places where they begin and end, and for every place p its row of edges that end there."""
        text = WORD_START + words.replace(" ", WORD_START)
        found = [
            (self._ids[text[i:j]], i, j)
            for i in range(len(text))
            for j in range(i + 1, min(len(text), i + self._longest) + 1)
            if text[i:j] in self._ids
        ]
        found.sort(key=lambda edge: (edge[2], edge[1]))  # by end: every edge follows those that it may continue
        edges = np.array(found, np.int64).reshape(-1, 3)
        into = np.searchsorted(edges[:, 2], np.arange(len(text) + 2))
        return edges[:, 0].copy(), edges[:, 1].copy(), edges[:, 2].copy(), into


@numba.njit(cache=True)
def _best_path(log_probs, pieces, begins, ends, into, length, blank):  # type: ignore[no-untyped-def]
    """Viterbi over edges (a piece was last) and places (a blank was last); place 1 may begin, for models that
    write the space between words as a piece of its own."""
    count = len(pieces)
    edge, gap = np.full(count, -1e9), np.full(length + 1, -1e9)
    new_edge = np.empty(count)
    gap[0] = log_probs[0, blank]
    for e in range(count):
        if begins[e] <= 1:
            edge[e] = log_probs[0, pieces[e]]
    for t in range(1, len(log_probs)):
        for e in range(count):
            best = max(edge[e], gap[begins[e]])
            if begins[e] == 1:
                best = max(best, gap[0])
            for other in range(into[begins[e]], into[begins[e] + 1]):
                if edge[other] > best and pieces[other] != pieces[e]:
                    best = edge[other]
            new_edge[e] = best + log_probs[t, pieces[e]]
        for place in range(length + 1):
            best = gap[place]
            for e in range(into[place], into[place + 1]):
                best = max(best, edge[e])
            gap[place] = best + log_probs[t, blank]
        edge, new_edge = new_edge, edge
    best = gap[length]
    for e in range(count):
        if ends[e] == length:
            best = max(best, edge[e])
    return best
