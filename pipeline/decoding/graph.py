"""The boosting graph of an entity list: where in which entity a hypothesis stands.

It is a trie over characters, not over subwords: a subword walks as many characters as it has, so every segmentation
of a name that the model may choose leads through the same nodes, and no list of sampled segmentations can miss one.
It is an Aho-Corasick automaton whose matches begin only at word starts: the failure of a node is the longest proper
suffix of its text, beginning at a word, that is also in the trie. So nothing fires inside another word, and phrases
may overlap ("new york", "york times").
"""

import functools
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pipeline.compiled import array_kernel, kernel
from pipeline.trie import DEAD, ROOT, build_trie, child
from pipeline.types.entity import EntityList

SPACE = 32
"""Label between the words of a phrase."""
_LARGE = 10_000  # entities from which a graph takes longer to build than a version to hash


class Graph(NamedTuple):
    """Arrays over nodes [N] (see Trie for first, label, depth).

    fail:   longest suffix node, ROOT where only a word start is left, DEAD where nothing is
    output: nearest node along the failures where an entity ends, or DEAD
    final:  weight of the entity that ends here, 0 where none does
    weight: largest weight of an entity below
    mask:   bit (label mod 32) set for every label that leads on from here, by a child or through a failure
    """

    first: npt.NDArray[np.int32]
    label: npt.NDArray[np.int32]
    depth: npt.NDArray[np.int32]
    fail: npt.NDArray[np.int32]
    output: npt.NDArray[np.int32]
    final: npt.NDArray[np.float32]
    weight: npt.NDArray[np.float32]
    mask: npt.NDArray[np.uint32]


def build_graph(entities: EntityList) -> Graph:
    """Return the graph of all spellings (canonical forms and aliases) of entities whose weight is not zero."""
    weights = {entity.text: entity.weight for entity in entities.entities if entity.weight != 0}
    aliases = {a: e.weight for e in entities.entities if e.aliases and e.weight != 0 for a in e.aliases}
    if aliases.keys() - weights.keys():
        weights = dict(sorted((aliases | weights).items()))
    trie = build_trie(list(weights))
    spelled = np.fromiter(weights.values(), np.float32, len(weights))
    return Graph(trie.first, trie.label, trie.depth, *_link(trie.first, trie.label, trie.terminal, spelled))


class GraphCache:
    """The graphs of the lists seen last, bounded by nodes since lists may be huge.

    A list is known by identity, and a large one also by content version; the graph of a small one is built in less
    time than its version takes.
    """

    def __init__(self, most_nodes: int = 20_000_000) -> None:
        self._most, self._nodes = most_nodes, 0
        self._graphs: dict[int | str, tuple[EntityList, Graph]] = {}

    def get(self, entities: EntityList) -> Graph:
        """Return the graph of ``entities``, built at most once while it stays in the cache."""
        key = id(entities) if len(entities) < _LARGE else entities.version
        kept = self._graphs.pop(key, None)
        if kept is None:
            kept = entities, build_graph(entities)  # the list is kept too, so that its id is not given to another
            self._nodes += len(kept[1].label)
        self._graphs[key] = kept
        while self._nodes > self._most and len(self._graphs) > 1:
            _, oldest = self._graphs.pop(next(iter(self._graphs)))
            self._nodes -= len(oldest.label)
        return kept[1]


@functools.cache
def empty_graph() -> Graph:
    """The graph of the empty list: the root alone."""
    return build_graph(EntityList())


@array_kernel
def _link(first, label, terminal, spelled):  # type: ignore[no-untyped-def]
    size = len(label)
    fail, output = np.full(size, DEAD, np.int32), np.full(size, DEAD, np.int32)
    final, weight = np.zeros(size, np.float32), np.full(size, -np.inf, np.float32)
    mask = np.zeros(size, np.uint32)
    for node in range(size):
        if terminal[node] >= 0 and node != ROOT:
            final[node] = weight[node] = spelled[terminal[node]]
        if fail[node] >= 0:
            mask[node] = mask[fail[node]]
        for below in range(first[node], first[node + 1]):
            mask[node] |= np.uint32(1) << np.uint32(label[below] & 31)
            fail[below] = follow(first, label, fail, fail[node], label[below])
            if fail[below] > ROOT:
                output[below] = fail[below] if terminal[fail[below]] >= 0 else output[fail[below]]
    for node in range(size - 1, -1, -1):
        for below in range(first[node], first[node + 1]):
            weight[node] = max(weight[node], weight[below])
    return fail, output, final, weight, mask


@kernel
def follow(first, label, fail, node, code):  # type: ignore[no-untyped-def]
    """Node after ``code``: the child of ``node`` or of the nearest failure that has one; ROOT after a space."""
    while node >= 0:
        below = child(first, label, node, code)
        if below >= 0:
            return below
        node = fail[node]
    return ROOT if code == SPACE else DEAD
