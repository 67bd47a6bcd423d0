"""Fits the tree of retrieval (pipeline.retrieval.tree_model) on background names as they are misheard.

A name is known by the mean of its instances' features (positive instance feature aggregation; Yu et al. 2022): its own
phones, and its phones sent through the recogniser's confusions. Names with one first phone are split by balanced
k-means into at most WAYS clusters, and these again, until none is larger than LEAF. Then the models of all siblings
are fitted together as a softmax by AdaGrad over the instances of their names; what was really heard of names in speech
are instances too. Names are then put where the models lead them, and the models fitted once more.
"""

import dataclasses
import itertools
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from pipeline.compiled import array_kernel
from pipeline.retrieval.tree_model import ROOTS, TreeModel
from pipeline.retrieval.windows import KINDS, LETTERS, PLACES, SIZE, letter_features, phone_features

WAYS, LEAF = 16, 100
_TARGET = 64  # names of a leaf, where there are enough
_ROOM = 1.3  # times its share that a cluster may hold
_SHADOW = 64  # random directions that names are clustered in
_ROUNDS = 8
_KEPT = 48  # weights of a node
_PASSES = 3
_RATE = 0.5
_FRONT = 0.3  # share of instances that keep the letters of the name, as where the first pass spells it

Floats = npt.NDArray[np.float32]


@dataclasses.dataclass(frozen=True)
class Instances:
    """I instances of names, as they are heard.

    phones: of instance i phones[starts[i] : starts[i + 1]]; letters in the same way
    names: [I] which name each is of
    """

    phones: npt.NDArray[np.uint8]
    starts: npt.NDArray[np.int32]
    letters: npt.NDArray[np.uint16]
    letter_starts: npt.NDArray[np.int32]
    names: npt.NDArray[np.int32]


@dataclasses.dataclass(frozen=True)
class Confusions:
    """How the phone head mishears: [39, 40] probabilities of what it says for a phone, last that it says nothing, and
    [39] of what it says on top after any phone."""

    said: Floats
    more: Floats


def instances_of(heard: Sequence[tuple[Sequence[int], Sequence[int], int]]) -> Instances:
    """Return instances of (phones, letters, name)."""
    phones = [np.array(one, np.uint8) for one, _, _ in heard]
    letters = [np.array(one, np.uint16) for _, one, _ in heard]
    return Instances(
        np.concatenate([np.zeros(0, np.uint8), *phones]),
        np.concatenate([[0], np.cumsum([len(one) for one in phones])]).astype(np.int32),
        np.concatenate([np.zeros(0, np.uint16), *letters]),
        np.concatenate([[0], np.cumsum([len(one) for one in letters])]).astype(np.int32),
        np.array([name for _, _, name in heard], np.int32),
    )


def joined(parts: Sequence[Instances]) -> Instances:
    """Return all instances together."""
    starts, letter_starts, phones, letters = [np.zeros(1, np.int64)], [np.zeros(1, np.int64)], 0, 0
    for part in parts:
        starts.append(part.starts[1:].astype(np.int64) + phones)
        letter_starts.append(part.letter_starts[1:].astype(np.int64) + letters)
        phones, letters = phones + len(part.phones), letters + len(part.letters)
    return Instances(
        np.concatenate([part.phones for part in parts]),
        np.concatenate(starts).astype(np.int32),
        np.concatenate([part.letters for part in parts]),
        np.concatenate(letter_starts).astype(np.int32),
        np.concatenate([part.names for part in parts]),
    )


def misheard(
    names: Sequence[tuple[Sequence[int], Sequence[int]]], confusions: Confusions, copies: int, seed: int
) -> Instances:
    """Return ``copies`` of each name, (phones, letters), with its phones sent through the confusions.

    The first copy of each is not changed. Some keep their letters, as where the first pass spells a name.
    """
    generator = np.random.default_rng(seed)
    chances = np.cumsum(confusions.said, 1)
    total_more = float(confusions.more.sum())
    after = np.cumsum(confusions.more) / max(total_more, 1e-9)
    heard: list[tuple[Sequence[int], Sequence[int], int]] = []
    for name, (phones, letters) in enumerate(names):
        heard.append((phones, (), name))
        draws = generator.random((copies - 1, len(phones), 3))
        for copy in draws:
            changed: list[int] = []
            for phone, (one, two, three) in zip(phones, copy, strict=True):
                instead = int(np.searchsorted(chances[phone], one * chances[phone][-1]))
                changed += [instead] if instead < ROOTS else []
                if two < total_more:
                    changed.append(int(np.searchsorted(after, three)))
            if len(changed) >= 2:
                heard.append((changed, letters if copy[0, 1] < _FRONT else (), name))
    return instances_of(heard)


def fit_tree(names: Sequence[Sequence[int]], instances: Instances, seed: int = 0) -> TreeModel:
    """Return the tree of background names, each its phones, fitted on instances of them."""
    idf = _idf(names)
    data = _features(instances, idf)
    own = instances_of([(phones, (), name) for name, phones in enumerate(names)])
    places = _clustered(own, _features(own, idf), seed)
    model = _fitted(idf, places, data, instances.names)
    moved = dataclasses.replace(places, leaves=model.leaves_of(own.phones, own.starts))
    return _fitted(idf, moved, data, instances.names)


def _idf(names: Sequence[Sequence[int]]) -> Floats:
    """Return the weight of each phone feature by the names that it stands in; the letters' is the same for all."""
    counts = np.zeros(SIZE)
    found, weights, ones = np.empty(400, np.uint32), np.empty(400, np.float32), np.ones(SIZE, np.float32)
    for phones in names:
        count = phone_features(np.array(phones, np.uint8), ones, KINDS, PLACES, found, weights)
        counts[np.unique(found[:count])] += 1
    idf = np.log((1 + len(names)) / (1 + counts)) / np.log(1 + len(names))
    idf[SIZE // 2 :] = 0.5
    floored: Floats = np.maximum(idf, 0.05).astype(np.float32)
    return floored


@dataclasses.dataclass(frozen=True)
class _Features:
    """Of I instances, rows as in a sparse matrix."""

    rows: npt.NDArray[np.int64]
    features: npt.NDArray[np.uint16]
    weights: Floats


def _features(instances: Instances, idf: Floats) -> _Features:
    sizes = 3 * (np.diff(instances.starts) + 1) + np.maximum(np.diff(instances.letter_starts), 0)
    rows = np.concatenate([[0], np.cumsum(sizes)])
    spans = (instances.phones, instances.starts, instances.letters, instances.letter_starts)
    return _Features(*_featured(spans, rows, idf, KINDS, PLACES, LETTERS))


@array_kernel
def _featured(spans, room, idf, kinds, places, length):  # type: ignore[no-untyped-def]
    phones, starts, letters, letter_starts = spans
    rows = np.zeros(len(starts), np.int64)
    features, weights = np.empty(room[-1], np.uint16), np.empty(room[-1], np.float32)
    found, values = np.empty(2000, np.uint32), np.empty(2000, np.float32)
    size = 0
    for i in range(len(starts) - 1):
        count = phone_features(phones[starts[i] : starts[i + 1]], idf, kinds, places, found, values)
        for at in range(count):
            features[size], weights[size] = found[at], values[at]
            size += 1
        span = letters[letter_starts[i] : letter_starts[i + 1]]
        count = letter_features(span, idf, places, found, values, length) if len(span) else 0
        for at in range(count):
            features[size], weights[size] = found[at], values[at]
            size += 1
        rows[i + 1] = size
    return rows, features[:size], weights[:size]


@dataclasses.dataclass(frozen=True)
class _Places:
    """Of a tree, ``shape`` (first, children) and parents, [N] each; the leaf of each name."""

    shape: tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]
    parents: npt.NDArray[np.int32]
    leaves: npt.NDArray[np.int32]


def _clustered(own: Instances, data: _Features, seed: int) -> _Places:
    """Split the names; ``own``: one instance of each, as it is said."""
    generator = np.random.default_rng(seed)
    directions = generator.choice(np.array([-1.0, 1.0], np.float32), (SIZE, _SHADOW))
    shadows = np.zeros((len(own.names), _SHADOW), np.float32)
    owners = np.repeat(np.arange(len(own.names)), np.diff(data.rows))
    for at in range(0, len(data.features), 1 << 20):
        part = slice(at, at + (1 << 20))
        np.add.at(shadows, owners[part], directions[data.features[part]] * data.weights[part, None])
    first, children, parents = [1], [ROOTS], [-1]
    for _ in range(ROOTS):
        first.append(0)
        children.append(0)
        parents.append(0)
    leaves = own.phones[own.starts[:-1]].astype(np.int32) + 1
    waiting = list(range(1, ROOTS + 1))
    while waiting:
        node = waiting.pop(0)
        members = np.flatnonzero(leaves == node)
        if len(members) <= LEAF:
            continue
        ways = min(WAYS, -(-len(members) // _TARGET))
        split = _balanced(shadows[members], ways, generator)
        first[node], children[node] = len(first), ways
        for way in range(ways):
            leaves[members[split == way]] = len(first)
            waiting.append(len(first))
            first.append(0)
            children.append(0)
            parents.append(node)
    shape = np.array(first, np.int32), np.array(children, np.int32)
    return _Places(shape, np.array(parents, np.int32), leaves)


def _balanced(points: Floats, ways: int, generator: np.random.Generator) -> npt.NDArray[np.int64]:
    """Return the cluster of each point: k-means on the sphere, none much larger than the others."""
    centres = points[generator.choice(len(points), ways, replace=False)]
    room = int(np.ceil(_ROOM * len(points) / ways))
    chosen = np.zeros(len(points), np.int64)
    for _ in range(_ROUNDS):
        centres = centres / np.maximum(np.linalg.norm(centres, axis=1, keepdims=True), 1e-6)
        near = points @ centres.T
        best = np.sort(near, 1)
        order = np.argsort(best[:, -2] - best[:, -1], kind="stable") if ways > 1 else np.arange(len(points))
        left = np.full(ways, room)
        for at in order.tolist():
            way = int(np.argmax(np.where(left > 0, near[at], -np.inf)))
            chosen[at], left[way] = way, left[way] - 1
        centres = np.stack([points[chosen == way].sum(0) if (chosen == way).any() else centres[way]
                            for way in range(ways)])  # fmt: skip
    return chosen


def _fitted(idf: Floats, places: _Places, data: _Features, names: npt.NDArray[np.int32]) -> TreeModel:
    """Return the tree with the models of all nodes; ``names``: of the instances in ``data``."""
    first, children = places.shape
    nodes = len(first)
    kept: list[tuple[npt.NDArray[np.uint16], npt.NDArray[np.int8], float, float]] = [_NOTHING] * nodes
    at = places.leaves[names]  # of each instance the node it is under, going up level by level
    depth = _depths(places.parents)
    for level in range(int(depth.max()), 0, -1):
        here = np.flatnonzero(depth[at] == level)
        above = places.parents[at[here]]
        order = np.argsort(above, kind="stable")
        here, above = here[order], above[order]
        bounds = np.flatnonzero(np.diff(above, prepend=-1, append=-1))
        for begin, end in itertools.pairwise(bounds.tolist()):
            parent = int(above[begin])
            rows = here[begin:end]
            kind = (at[rows] - first[parent]).astype(np.int64)
            fitted, shifts = _softmax(
                data.rows, data.features, data.weights, rows, kind, int(children[parent]), SIZE, _PASSES, _RATE
            )
            for child in range(int(children[parent])):
                kept[int(first[parent]) + child] = _pruned(fitted[child], float(shifts[child]))
        at = at.copy()
        at[here] = above
    features = [one[0] for one in kept]
    rows_of = np.concatenate([[0], np.cumsum([len(one) for one in features])]).astype(np.int32)
    scales, biases = (np.array([one[which] for one in kept], np.float32) for which in (2, 3))
    weights = np.concatenate([one[1] for one in kept])
    return TreeModel(idf, first, children, rows_of, np.concatenate(features), weights, scales, biases)


_NOTHING = np.zeros(0, np.uint16), np.zeros(0, np.int8), 1.0, 0.0


def _depths(parents: npt.NDArray[np.int32]) -> npt.NDArray[np.int64]:
    depth = np.zeros(len(parents), np.int64)
    for node in range(1, len(parents)):
        depth[node] = depth[parents[node]] + 1
    return depth


def _pruned(weights: Floats, bias: float) -> tuple[npt.NDArray[np.uint16], npt.NDArray[np.int8], float, float]:
    """Return the largest weights in a byte each."""
    order = np.argsort(-np.abs(weights), kind="stable")[:_KEPT]
    order = np.sort(order[weights[order] != 0.0])
    scale = float(np.abs(weights[order]).max(initial=1e-6)) / 127
    return order.astype(np.uint16), np.round(weights[order] / scale).astype(np.int8), scale, bias


@array_kernel
def _softmax(rows, features, values, chosen, kinds, ways, size, passes, rate):  # type: ignore[no-untyped-def]
    """Softmax regression by AdaGrad over the instances ``chosen`` of classes ``kinds``."""
    weights, biases = np.zeros((ways, size), np.float32), np.zeros(ways, np.float32)
    squares, bias_squares = np.full((ways, size), np.float32(1e-3)), np.full(ways, np.float32(1e-1))
    scores = np.empty(ways, np.float32)
    state = np.uint64(88172645463325252)
    for _ in range(passes):
        for _ in range(len(chosen)):
            state ^= state << np.uint64(13)
            state ^= state >> np.uint64(7)
            state ^= state << np.uint64(17)
            i = np.int64(state % np.uint64(len(chosen)))
            begin, end = rows[chosen[i]], rows[chosen[i] + 1]
            highest = np.float32(-1e9)
            for way in range(ways):
                total = biases[way]
                for at in range(begin, end):
                    total += weights[way, features[at]] * values[at]
                scores[way] = total
                highest = max(highest, total)
            whole = np.float32(0.0)
            for way in range(ways):
                scores[way] = np.exp(scores[way] - highest)
                whole += scores[way]
            for way in range(ways):
                slope = scores[way] / whole - (np.float32(1.0) if way == kinds[i] else np.float32(0.0))
                if abs(slope) < 1e-3:
                    continue
                bias_squares[way] += slope * slope
                biases[way] -= np.float32(rate) * slope / np.sqrt(bias_squares[way])
                for at in range(begin, end):
                    step = slope * values[at]
                    squares[way, features[at]] += step * step
                    weights[way, features[at]] -= np.float32(rate) * step / np.sqrt(squares[way, features[at]])
    return weights, biases
