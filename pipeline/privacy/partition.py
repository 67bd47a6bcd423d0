"""The public partition: every word in one group of about twenty near ones. It depends on the vectors alone.

First the words are halved again and again across their longest direction. Then groups are improved like k-means whose
groups keep their sizes. As sizes are equal, groups are narrow where words are dense and wide where they are sparse.
"""

import numpy as np
import numpy.typing as npt

GROUP = 20
"""Words of a group, a fifth more or less."""
_ROUNDS = 8
_CHOICES = 200  # groups that a word may still want when the nearest are full


def balanced_groups(vectors: npt.NDArray[np.int8], size: int = GROUP) -> npt.NDArray[np.int32]:
    """Return the group of each row of ``vectors`` [N, D], groups of about ``size``; directions count, not lengths."""
    points = vectors.astype(np.float32)
    points /= np.maximum(np.linalg.norm(points, axis=1, keepdims=True), 1e-9)
    groups = np.empty(len(points), np.int32)
    for number, members in enumerate(_halved(points, np.arange(len(points)), size)):
        groups[members] = number
    for _ in range(_ROUNDS):
        groups = _improved(points, groups)
    return groups


def _halved(points: npt.NDArray[np.float32], members: npt.NDArray[np.int64], size: int) -> list[npt.NDArray[np.int64]]:
    parts = round(len(members) / size)
    if parts < 2:
        return [members]
    centred = points[members] - points[members].mean(axis=0)
    longest = np.linalg.eigh(centred.T @ centred)[1][:, -1]
    order = members[np.argsort(centred @ longest, kind="stable")]
    middle = len(members) * (parts // 2) // parts
    return _halved(points, order[:middle], size) + _halved(points, order[middle:], size)


def _improved(points: npt.NDArray[np.float32], groups: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    """One round: words go to the nearest centre that has room; those with most to lose choose first."""
    room = np.bincount(groups)
    sums = np.zeros((len(room), points.shape[1]), np.float32)
    np.add.at(sums, groups, points)
    centres = sums / room[:, None]
    closeness = 2 * points @ centres.T - (centres**2).sum(axis=1)
    if len(room) < 2:
        return groups
    best = np.partition(closeness, -2, axis=1)[:, -2:]
    wanted = np.argsort(-closeness, axis=1, kind="stable")[:, :_CHOICES]
    left, found = room.tolist(), np.full(len(points), -1, np.int32)
    for word in np.argsort(best[:, 0] - best[:, 1], kind="stable").tolist():
        for group in wanted[word].tolist():
            if left[group]:
                found[word] = group
                left[group] -= 1
                break
    for word in np.flatnonzero(found < 0).tolist():
        free = np.flatnonzero(left)
        found[word] = free[np.argmax(closeness[word, free])]
        left[found[word]] -= 1
    return found
