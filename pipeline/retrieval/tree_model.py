"""The tree of the strategy ``tree``: a partition of everything that can be pronounced, with a linear model per node.

The children of the root are the first phones, as in a trie; what begins with one is split into clusters and these
again. The models of siblings are a softmax over the features of a window (pipeline.retrieval.windows):

    log p(child | window, parent) = log softmax over siblings of (weights . features + bias)

as in the trees of PECOS (Yu et al. 2022), with the siblings as negatives, few weights each and a beam search down the
tree. They are trained once on background names as they are misheard (pipeline.training.tree_fit). A pronunciation lies
in the leaf that the same models lead it to by its own phones from its first one, whatever else a list has.
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from pipeline.compiled import array_kernel
from pipeline.errors import ModelError
from pipeline.retrieval.array_files import fixed, open_arrays, save_arrays
from pipeline.retrieval.sound_index import SoundIndex
from pipeline.retrieval.windows import (
    KINDS,
    LETTERS,
    PLACES,
    SIZE,
    Floats,
    Ints,
    Windows,
    features_at,
    letter_features,
    phone_features,
)

ROOTS = 39
"""Children of the root, one per phone, are the nodes 1 to ROOTS."""
_LONGEST = 64  # phones of a pronunciation that are looked at


@dataclasses.dataclass(frozen=True)
class TreeModel:
    """N nodes, node 0 the root; the children of a node stand one after the other.

    idf: [SIZE] weight of each feature
    first, children: [N] first child and number of children; 0 of a leaf
    rows, features, weights: node n has weights[rows[n] : rows[n + 1]] of these features, times scales[n]
    scales, biases: [N]
    """

    idf: Floats
    first: Ints
    children: Ints
    rows: Ints
    features: npt.NDArray[np.uint16]
    weights: npt.NDArray[np.int8]
    scales: Floats
    biases: Floats

    @property
    def nodes(self) -> tuple[npt.NDArray[np.generic], ...]:
        """What the kernels read of it."""
        return self.first, self.children, self.rows, self.features, self.weights, self.scales, self.biases

    def save(self, path: Path) -> None:
        save_file({name: getattr(self, name) for name in _fields()}, path)

    def leaves_of(self, phones: npt.NDArray[np.uint8], starts: Ints) -> Ints:
        """Return [K] the leaf of each pronunciation, phones[starts[k] : starts[k + 1]]."""
        leaves: Ints = _routed(phones, starts, self.idf, KINDS, PLACES, self.nodes)
        return leaves

    def search(self, windows: Windows, beam: int, slack: float) -> tuple[Ints, Ints]:
        """Return pairs of window and leaf: the leaves that a beam of ``beam`` nodes a level ends in.

        slack: nats by which a node may be less likely than the best of its level
        """
        spans = (windows.phones, windows.starts, windows.ends)
        written = (windows.letters, windows.letter_starts, windows.letter_ends)
        found: tuple[Ints, Ints] = _search(
            spans, written, self.idf, KINDS, PLACES, LETTERS, self.nodes, beam, np.float32(slack)
        )
        return found


@dataclasses.dataclass(frozen=True)
class TreeIndex:
    """The pronunciations of a SoundIndex by leaf: those of leaf n are order[starts[n] : starts[n + 1]], in their order.

    norms: [K] length of the features of each, in the same order
    """

    order: Ints
    starts: Ints
    norms: npt.NDArray[np.float32]

    def save(self, folder: Path) -> None:
        """Write a file per array into ``folder``, which must be there."""
        save_arrays(self, folder)

    def fitting(
        self, index: SoundIndex, model: TreeModel, windows: Windows, pairs: tuple[Ints, Ints], least: float
    ) -> Ints:
        """Return the pronunciations, ascending, that lie in a leaf of a window and share enough with it.

        pairs: as of TreeModel.search; least: cosine of the features of phones
        """
        spans = (windows.phones, windows.starts, windows.ends)
        own = (index.phones, index.starts, self.order, self.starts, self.norms)
        found: Ints = _fitting(spans, model.idf, KINDS, PLACES, own, pairs, np.float32(least))
        return found


def open_tree_index(folder: Path) -> TreeIndex:
    """Return the index whose files lie in ``folder``, mapped into memory; raises ModelError if it is not whole."""
    return open_arrays(TreeIndex, folder, "index of the tree", ModelError)


def index_tree(index: SoundIndex, model: TreeModel) -> TreeIndex:
    """Return where the pronunciations of ``index`` lie in the tree."""
    leaves = model.leaves_of(index.phones, index.starts)
    order = np.argsort(leaves, kind="stable").astype(np.int32)
    starts = np.concatenate([[0], np.cumsum(np.bincount(leaves, minlength=len(model.first)))]).astype(np.int32)
    norms = _norms(index.phones, index.starts, order, model.idf, KINDS, PLACES)
    fixed(order, starts, norms)
    return TreeIndex(order, starts, norms)


def read_tree(path: Path) -> TreeModel:
    """Read a tree; raises ModelError if the file is missing or broken."""
    try:
        content: Mapping[str, npt.NDArray[np.generic]] = load_file(path)
        arrays = [np.ascontiguousarray(content[name]) for name in _fields()]
        if len(arrays[0]) != SIZE or len(arrays[1]) <= ROOTS or len({len(arrays[at]) for at in (1, 2, 6, 7)}) > 1:
            raise ValueError(f"arrays of {[len(one) for one in arrays]}")
        return TreeModel(*arrays)  # type: ignore[arg-type]
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise ModelError(
            f"{path}: is no tree of retrieval ({error!r}); restore it from git or run `rollcall train-retrieval`."
        ) from error


def _fields() -> list[str]:
    return [field.name for field in dataclasses.fields(TreeModel)]


@array_kernel
def _score(dense, node, nodes):  # type: ignore[no-untyped-def]
    """The linear model of a node over dense features [SIZE]."""
    _, _, rows, features, weights, scales, biases = nodes
    total = np.float32(0.0)
    for at in range(rows[node], rows[node + 1]):
        total += dense[features[at]] * np.float32(weights[at])
    return total * scales[node] + biases[node]


@array_kernel
def _routed(phones, starts, idf, kinds, places, nodes):  # type: ignore[no-untyped-def]
    first, children = nodes[0], nodes[1]
    leaves = np.empty(len(starts) - 1, np.int32)
    dense = np.zeros(len(idf), np.float32)
    found, weights = np.empty(3 * (_LONGEST + 1), np.uint32), np.empty(3 * (_LONGEST + 1), np.float32)
    for k in range(len(leaves)):
        span = phones[starts[k] : min(starts[k + 1], starts[k] + _LONGEST)]
        count = phone_features(span, idf, kinds, places, found, weights)
        for at in range(count):
            dense[found[at]] += weights[at]
        node = np.int32(1) + np.int32(span[0])
        while children[node] > 0:
            best, highest = first[node], np.float32(-1e9)
            for child in range(first[node], first[node] + children[node]):
                score = _score(dense, child, nodes)
                if score > highest:
                    best, highest = child, score
            node = np.int32(best)
        leaves[k] = node
        for at in range(count):
            dense[found[at]] = np.float32(0.0)
    return leaves


@array_kernel
def _search(spans, written, idf, kinds, places, length, nodes, beam, slack):  # type: ignore[no-untyped-def]
    first, children = nodes[0], nodes[1]
    phones, starts, ends = spans
    letters, letter_starts, letter_ends = written
    windows, leaves = np.empty(len(starts) * beam, np.int32), np.empty(len(starts) * beam, np.int32)
    size = 0
    dense = np.zeros(len(idf), np.float32)
    most = 1
    for w in range(len(starts)):
        most = max(most, ends[w] - starts[w], letter_ends[w] - letter_starts[w])
    found, weights = np.empty(3 * (most + 3), np.uint32), np.empty(3 * (most + 3), np.float32)
    also, also_weights = np.empty(most + 3, np.uint32), np.empty(most + 3, np.float32)
    # Of one level: nodes and how likely they are; a leaf goes on to the next level as it is.
    front, odds = np.empty(beam, np.int32), np.empty(beam, np.float32)
    widest = 1
    for node in range(len(children)):
        widest = max(widest, children[node])
    offered, offers = np.empty(beam * widest + beam, np.int32), np.empty(beam * widest + beam, np.float32)
    for w in range(len(starts)):
        count = phone_features(phones[starts[w] : ends[w]], idf, kinds, places, found, weights)
        for at in range(count):
            dense[found[at]] += weights[at]
        more = letter_features(letters[letter_starts[w] : letter_ends[w]], idf, places, also, also_weights, length)
        for at in range(more):
            dense[also[at]] += also_weights[at]
        front[0], odds[0], width, open_ = 0, np.float32(0.0), 1, True
        while open_:
            offer = 0
            for place in range(width):
                node = front[place]
                if children[node] == 0:
                    offered[offer], offers[offer] = node, odds[place]
                    offer += 1
                    continue
                begin, highest = offer, np.float32(-1e9)
                for child in range(first[node], first[node] + children[node]):
                    score = _score(dense, child, nodes)
                    offered[offer], offers[offer] = child, score
                    highest = max(highest, score)
                    offer += 1
                total = np.float32(0.0)
                for at in range(begin, offer):
                    total += np.exp(offers[at] - highest)
                shift = odds[place] - highest - np.log(total)
                for at in range(begin, offer):
                    offers[at] += shift
            width, open_, top = 0, False, np.float32(0.0)
            while width < beam and width < offer:
                best = width
                for at in range(width + 1, offer):
                    if offers[at] > offers[best] or (offers[at] == offers[best] and offered[at] < offered[best]):
                        best = at
                offered[width], offered[best] = offered[best], offered[width]
                offers[width], offers[best] = offers[best], offers[width]
                if width == 0:
                    top = offers[0]
                if offers[width] < top - slack:
                    break
                front[width], odds[width] = offered[width], offers[width]
                open_ |= children[front[width]] > 0
                width += 1
        for place in range(width):
            windows[size], leaves[size] = w, front[place]
            size += 1
        for at in range(count):
            dense[found[at]] = np.float32(0.0)
        for at in range(more):
            dense[also[at]] = np.float32(0.0)
    return windows[:size], leaves[:size]


@array_kernel
def _part(phones, begin, at, size, scaled, kinds, places):  # type: ignore[no-untyped-def]
    """What the features at one place of a pronunciation add to a sum over ``scaled`` [SIZE]."""
    there, pair, apart, kind = features_at(phones, begin, at, size, kinds)
    total = scaled[pair]
    if there > 1:
        total += scaled[apart] + scaled[kind]
    return total * places[min(max(at, 0), len(places) - 1)]


@array_kernel
def _norms(phones, starts, order, idf, kinds, places):  # type: ignore[no-untyped-def]
    norms = np.empty(len(order), np.float32)
    found, weights = np.empty(3 * (_LONGEST + 1), np.uint32), np.empty(3 * (_LONGEST + 1), np.float32)
    for j in range(len(order)):
        begin = starts[order[j]]
        size = min(starts[order[j] + 1] - begin, _LONGEST)
        count = phone_features(phones[begin : begin + size], idf, kinds, places, found, weights)
        # The features are scaled to length 1: the scale is what the first of them lost.
        first = places[0] * idf[found[0]]
        norms[j] = first / max(weights[0], np.float32(1e-6)) if count else np.float32(1.0)
    return norms


@array_kernel
def _fitting(spans, idf, kinds, places, own, pairs, least):  # type: ignore[no-untyped-def]
    """A leaf is walked as a trie: what a pronunciation shares with the one before is not summed again."""
    phones, starts, ends = spans
    said, said_starts, order, leaf_starts, norms = own
    windows, leaves = pairs
    # Of what is as long as the list only what is touched takes memory or time.
    chosen, result = np.zeros(len(order), np.bool_), np.empty(len(order), np.int32)
    scaled = np.zeros(len(idf), np.float32)
    most = 1
    for w in range(len(starts)):
        most = max(most, ends[w] - starts[w])
    found, weights = np.empty(3 * (most + 3), np.uint32), np.empty(3 * (most + 3), np.float32)
    sums = np.zeros(_LONGEST + 3, np.float32)  # [at + 1] over the places before ``at``
    last, count, hits = -1, 0, 0
    for pair in range(len(windows)):
        w, leaf = windows[pair], leaves[pair]
        if leaf_starts[leaf] == leaf_starts[leaf + 1]:
            continue
        if w != last:
            for at in range(count):
                scaled[found[at]] = np.float32(0.0)
            count = phone_features(phones[starts[w] : ends[w]], idf, kinds, places, found, weights)
            for at in range(count):
                scaled[found[at]] += weights[at] * idf[found[at]]
            last = w
        before, valid = np.int64(0), np.int64(0)
        for j in range(leaf_starts[leaf], leaf_starts[leaf + 1]):
            k = order[j]
            begin = np.int64(said_starts[k])
            size, common = np.int64(said_starts[k + 1]) - begin, 0
            if size > _LONGEST:
                size = np.int64(_LONGEST)
            while common < valid and common < size and said[begin + common] == said[before + common]:
                common += 1
            for at in range(max(-1, common - 2), size):
                sums[at + 2] = sums[at + 1] + _part(said, begin, at, size, scaled, kinds, places)
            before, valid = begin, size
            if not chosen[j] and sums[size + 1] >= least * norms[j]:
                chosen[j], result[hits] = True, k
                hits += 1
    return np.sort(result[:hits])
