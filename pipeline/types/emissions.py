"""What the encoder hands to the decoder: sparse token log-probs, phone log-probs, tapped states."""

import dataclasses

import numpy as np
import numpy.typing as npt

FLOOR_LOG_PROB = -20.0
"""Log-probability of a token outside a frame's candidates, in nats: far below any pruning threshold."""


@dataclasses.dataclass(frozen=True)
class SparseLogProbs:
    """Top-k token log-probabilities per frame.

    ids:    [T, K] int16, candidate token ids, best first
    values: [T, K] float16, their log-probabilities in nats; everything else is FLOOR_LOG_PROB
    """

    ids: npt.NDArray[np.int16]
    values: npt.NDArray[np.float16]

    @property
    def frames(self) -> int:
        return int(self.ids.shape[0])

    def dense(self, vocabulary_size: int) -> npt.NDArray[np.float32]:
        """Return [T, V] log-probabilities, FLOOR_LOG_PROB where nothing was kept."""
        full = np.full((self.frames, vocabulary_size), FLOOR_LOG_PROB, np.float32)
        np.put_along_axis(full, self.ids.astype(np.int64), self.values.astype(np.float32), axis=1)
        return full


@dataclasses.dataclass(frozen=True)
class Emissions:
    """The first pass over one utterance.

    tokens:          sparse subword log-probs over T frames
    phone_log_probs: [T, P] float16 log-probs of the phone head, or None for a model without one
    states:          [L + 1, T, D] float16, the tapped levels and the last one, or None if not asked for
    last, query:     [T, D] and [T, Q] float16, the last state and the adapter's query, if there is an adapter
    adapted:         ``tokens`` after the adapter, None where it did nothing
    attended:        [E, 3] float16, of each shortlisted entity the highest share of a frame's attention, the sum of its
                     shares, and the frame with the highest; NaN where the adapter cannot say; None without an adapter
                     or plausible entities
    """

    tokens: SparseLogProbs
    phone_log_probs: npt.NDArray[np.float16] | None = None
    states: npt.NDArray[np.float16] | None = None
    last: npt.NDArray[np.float16] | None = None
    query: npt.NDArray[np.float16] | None = None
    adapted: SparseLogProbs | None = None
    attended: npt.NDArray[np.float16] | None = None

    @property
    def biased(self) -> SparseLogProbs:
        """The log-probs that a search with the entity list reads."""
        return self.tokens if self.adapted is None else self.adapted
