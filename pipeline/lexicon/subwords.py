"""How well words fit the subword head: the best CTC path over all their segmentations.

The words become a lattice of the model's pieces, an edge for every piece that stands at a place of the text, with the
usual optional blanks between pieces (Graves et al. 2006). Viterbi over the lattice gives the log-probability of the
best segmentation's best path, so no one segmentation is favoured.

``score`` makes the words explain all frames. ``cheapest`` asks where in the frames they lie best, and what they cost
there above the best piece of each frame: a name that was said costs next to nothing somewhere, whatever stands around
it.
"""

import functools
import math

import numba
import numpy as np
import numpy.typing as npt

from pipeline.compiled import array_kernel
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

    def cheapest(
        self, log_probs: npt.NDArray[np.float32], best: npt.NDArray[np.float32], words: str
    ) -> tuple[float, int]:
        """Return by how many nats ``words`` miss ``best`` [T] where they lie best in [T, V], and their pieces.

        ``best`` is the log-probability of each frame's best piece or blank. Begin and end are free: frames before and
        after cost nothing. Infinite, over 1 piece, for words that cannot be spelled or have no room.
        """
        pieces, begins, ends, into = self._lattice(words)
        if not words or not len(pieces) or not len(log_probs):
            return math.inf, 1
        cost, count = _cheapest_path(log_probs, best, pieces, begins, ends, into, len(words) + 1, self._blank)
        return float(cost), int(count)

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


@array_kernel
def _cheapest_path(log_probs, best, pieces, begins, ends, into, length, blank):  # type: ignore[no-untyped-def]
    """As _best_path in nats above ``best``, from any frame to any other; the cost of the cheapest and its pieces."""
    count = len(pieces)
    edge, edge_pieces = np.full(count, np.inf), np.ones(count, np.int64)
    new_edge, new_pieces = np.full(count, np.inf), np.ones(count, np.int64)
    gap, gap_pieces = np.full(length + 1, np.inf), np.ones(length + 1, np.int64)
    least, least_pieces = np.inf, 1
    for t in range(len(log_probs)):
        for e in range(count):
            cost, said, begin = edge[e], edge_pieces[e], begins[e]
            if begin <= 1 and cost > 0.0:
                cost, said = 0.0, 1
            if gap[begin] < cost:
                cost, said = gap[begin], gap_pieces[begin] + 1
            for other in range(into[begin], into[begin + 1]):
                if edge[other] < cost and pieces[other] != pieces[e]:
                    cost, said = edge[other], edge_pieces[other] + 1
            new_edge[e], new_pieces[e] = cost + best[t] - log_probs[t, pieces[e]], said
            if ends[e] == length and new_edge[e] < least:
                least, least_pieces = new_edge[e], said
        for place in range(1, length):
            cost, said = gap[place], gap_pieces[place]
            for e in range(into[place], into[place + 1]):
                if edge[e] < cost:
                    cost, said = edge[e], edge_pieces[e]
            gap[place], gap_pieces[place] = cost + best[t] - log_probs[t, blank], said
        edge, new_edge = new_edge, edge
        edge_pieces, new_pieces = new_pieces, edge_pieces
    return least, least_pieces
