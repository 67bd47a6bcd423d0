"""Dense log-probabilities to the sparse ones of EMISSIONS, with numpy: what the models' own ranking must agree with."""

import numpy as np
import numpy.typing as npt

from pipeline.types.emissions import SparseLogProbs


def sparsify(log_probs: npt.NDArray[np.float32], k: int) -> SparseLogProbs:
    """Keep the ``k`` best of [T, V] log-probabilities per frame; ties go to the lower id, so it is deterministic."""
    k = min(k, log_probs.shape[1])
    ids = np.argsort(-log_probs, axis=1, kind="stable")[:, :k]
    values = np.take_along_axis(log_probs, ids, axis=1)
    return SparseLogProbs(ids.astype(np.int16), values.astype(np.float16))
