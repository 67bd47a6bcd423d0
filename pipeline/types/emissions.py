"""What the encoder hands to the decoder: sparse token log-probs, phone log-probs, tapped states."""

import dataclasses
import math

import numpy as np
import numpy.typing as npt

FLOOR_LOG_PROB = -20.0
"""Log-probability of a token outside a frame's candidates, in nats: far below any pruning threshold."""
_ROUNDING = 1e-4  # frames: times are kept in float32


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
class Whence:
    """What is known of an utterance beside its sound; by it a policy decides and draws."""

    audio_sha256: str
    model_id: str
    duration_seconds: float
    session: str | None = None


@dataclasses.dataclass(frozen=True)
class Emissions:
    """The first pass over one utterance.

    tokens:          sparse subword log-probs over T frames
    phone_log_probs: [T', P] float16 log-probs of a phone head, or None where there is none
    states:          [L + 1, T, D] float16, the tapped levels and the last one, or None if not asked for
    last, query:     [T, D] and [T, Q] float16, the last state and the adapter's query, if there is an adapter
    adapted:         ``tokens`` after the adapter, None where it did nothing
    attended:        [E, 3] float16, of each shortlisted entity the highest share of a frame's attention, the sum of its
                     shares, and the frame with the highest; NaN where the adapter cannot say; None without an adapter
                     or plausible entities
    tenant:          whose recording it is, "" where nobody says
    whence:          None where emissions are no row of a dataset
    earlier:         names that were clear in earlier utterances of the same recording
    phone_rate:      frames of ``phone_log_probs`` per frame of ``tokens``: 1 where they are of one model, as T' = T is
    """

    tokens: SparseLogProbs
    phone_log_probs: npt.NDArray[np.float16] | None = None
    states: npt.NDArray[np.float16] | None = None
    last: npt.NDArray[np.float16] | None = None
    query: npt.NDArray[np.float16] | None = None
    adapted: SparseLogProbs | None = None
    attended: npt.NDArray[np.float16] | None = None
    phone_rate: float = 1.0
    tenant: str = ""
    whence: Whence | None = None
    earlier: tuple[str, ...] = ()

    @property
    def biased(self) -> SparseLogProbs:
        """The log-probs that a search with the entity list reads."""
        return self.tokens if self.adapted is None else self.adapted


def on_clock(frames: tuple[int, int], rate: float) -> tuple[int, int]:
    """Return half-open ``frames`` on a clock with ``rate`` frames for each of theirs, grown to whole ones.

    >>> on_clock((3, 5), 0.5), on_clock((3, 5), 2.0), on_clock((3, 5), 1.0)
    ((1, 3), (6, 10), (3, 5))
    """
    start, end = frames
    return (start, end) if rate == 1.0 else (math.floor(start * rate + _ROUNDING), math.ceil(end * rate - _ROUNDING))
