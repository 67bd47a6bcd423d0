"""Which subword is spoken at which frame: Viterbi over the CTC states of one token sequence (Graves et al. 2006)."""

from collections.abc import Sequence

import numba
import numpy as np
import numpy.typing as npt

SILENT = -1


@numba.njit(cache=True)
def _viterbi(log_probs, labels):  # type: ignore[no-untyped-def]
    """Return the best state per frame; labels are the expanded sequence with a blank around every token."""
    frames, states = log_probs.shape[0], len(labels)
    score = np.full(states, -np.inf)
    come = np.zeros((frames, states), np.int8)
    score[0] = log_probs[0, labels[0]]
    if states > 1:
        score[1] = log_probs[0, labels[1]]
    for t in range(1, frames):
        for s in range(states - 1, -1, -1):
            best, step = score[s], 0
            if s > 0 and score[s - 1] > best:
                best, step = score[s - 1], 1
            if s > 1 and s % 2 == 1 and labels[s] != labels[s - 2] and score[s - 2] > best:
                best, step = score[s - 2], 2
            score[s] = best + log_probs[t, labels[s]]
            come[t, s] = step
    state = states - 1
    if states > 1 and score[states - 2] > score[state]:
        state = states - 2
    path = np.zeros(frames, np.int64)
    if not np.isfinite(score[state]):
        return path - 1
    for t in range(frames - 1, -1, -1):
        path[t] = state
        state -= come[t, state]
    return path


def align_tokens(log_probs: npt.NDArray[np.float32], tokens: Sequence[int], blank: int) -> npt.NDArray[np.int32] | None:
    """Return [T]: the index in ``tokens`` of what [T, V] log-probs emit there, SILENT for blanks.

    None if the tokens do not fit into the frames.
    """
    labels = np.full(2 * len(tokens) + 1, blank, np.int64)
    labels[1::2] = tokens
    path = _viterbi(np.ascontiguousarray(log_probs, np.float32), labels)
    if len(path) == 0 or path[0] < 0:
        return None
    return np.where(path % 2 == 1, path // 2, SILENT).astype(np.int32)
