"""A compact character trie in arrays, for the vocabulary and for entity lists of any size.

Nodes are numbered breadth first, so the children of node n are the nodes first[n] to first[n + 1] - 1, in the order
of their labels. Labels are Unicode code points; a space stands between the words of a phrase.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pipeline.compiled import array_kernel, kernel

ROOT = 0
DEAD = -1
"""No node: the text has left the trie."""


class Trie(NamedTuple):
    """first: [N + 1] int32; label: [N] int32; terminal: [N] int32, index of the spelling that ends here or -1;
    depth: [N] int32, characters from the root."""

    first: npt.NDArray[np.int32]
    label: npt.NDArray[np.int32]
    terminal: npt.NDArray[np.int32]
    depth: npt.NDArray[np.int32]


def build_trie(spellings: Sequence[str]) -> Trie:
    """Return the trie of ``spellings``, which must be sorted and different (and hold no line break)."""
    codes = np.frombuffer("\n".join([*spellings, ""]).encode("utf-32-le"), np.int32)
    ends = np.flatnonzero(codes == ord("\n"))
    return Trie(*_build(codes, ends))


@array_kernel
def _build(codes, ends):  # type: ignore[no-untyped-def]
    most = len(codes) - len(ends) + 1
    first, label = np.empty(most + 1, np.int32), np.empty(most, np.int32)
    terminal, depth = np.full(most, -1, np.int32), np.empty(most, np.int32)
    low, high = np.empty(most, np.int32), np.empty(most, np.int32)
    label[0], depth[0], low[0], high[0] = 0, 0, 0, len(ends)
    count, node = 1, 0
    while node < count:
        first[node] = count
        at, stop, deep = low[node], high[node], depth[node]
        start = ends[at - 1] + 1 if at > 0 else 0
        if at < stop and start + deep == ends[at]:
            terminal[node] = at
            at += 1
        while at < stop:
            code = codes[(ends[at - 1] + 1 if at > 0 else 0) + deep]
            begin = at
            at += 1
            while at < stop and codes[ends[at - 1] + 1 + deep] == code:
                at += 1
            label[count], depth[count], low[count], high[count] = code, deep + 1, begin, at
            count += 1
        node += 1
    first[count] = count
    return first[: count + 1].copy(), label[:count].copy(), terminal[:count].copy(), depth[:count].copy()


@kernel
def child(first, label, node, code):  # type: ignore[no-untyped-def]
    """Node that ``code`` leads to from ``node``, or DEAD."""
    low, high = first[node], first[node + 1]
    while high - low > 8:
        middle = (low + high) // 2
        if label[middle] <= code:
            low = middle
        else:
            high = middle
    for at in range(low, high):
        if label[at] == code:
            return at
    return DEAD
