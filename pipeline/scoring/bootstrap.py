"""Bootstrap over utterances: resample whole utterances with replacement, and read intervals off the percentiles.

Utterances are the unit because errors inside one are dependent (Bisani and Ney, "Bootstrap estimates for confidence
intervals in ASR performance evaluation", ICASSP 2004). Two systems scored on the same utterances in the same order with
the same seed see the same resamples, so the difference of their rates per resample is the paired bootstrap.
"""

import dataclasses
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import ConfigError

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

_CELLS = 1 << 22  # numbers held at once (32 MB), so that memory does not grow with the corpus


@dataclasses.dataclass(frozen=True)
class Bootstrap:
    """How intervals are made: percentile bootstrap, deterministic by seed."""

    replicates: int = 1000
    seed: int = 20
    confidence: float = 0.95

    def __post_init__(self) -> None:
        if self.replicates < 1 or self.seed < 0 or not 0 < self.confidence < 1:
            raise ConfigError(
                f"bootstrap: needed are 1 or more replicates, a seed from 0 and 0 < confidence < 1: {self}."
            )

    def _weights(self, utterances: int, width: int) -> Iterator[Floats]:
        """Yield how often each utterance is drawn, [r, utterances] at a time; the same numbers for every ``width``."""
        generator = np.random.default_rng(self.seed)
        share = np.full(utterances, 1 / utterances)
        step = max(1, _CELLS // max(utterances, width))
        for start in range(0, self.replicates, step):
            size = min(step, self.replicates - start)
            yield generator.multinomial(utterances, share, size=size).astype(np.float64)

    def sums(self, counts: Floats) -> Floats:
        """Return resampled column sums [replicates, K] of ``counts`` [utterances, K]."""
        if not len(counts):
            return np.zeros((self.replicates, counts.shape[1]))
        return np.concatenate([weights @ counts for weights in self._weights(len(counts), counts.shape[1])])

    def group_sums(self, utterances: int, rows: Indices, groups: Indices, values: Floats) -> Floats:
        """Return resampled sums [replicates, G, C] of items that belong to utterance ``rows`` and to ``groups``.

        rows, groups: [N], ``groups`` sorted and without a gap from 0 to G - 1; values: [N, C].
        """
        starts = np.flatnonzero(np.diff(groups, prepend=-1))
        return np.concatenate(
            [
                np.add.reduceat(weights[:, rows, None] * values, starts, axis=1)
                for weights in self._weights(utterances, values.size)
            ]
        )

    def interval(self, replicates: Floats) -> tuple[float | None, float | None]:
        """Return the (low, high) percentiles of one rate's replicates [B]; undefined (NaN) ones are left out.

        (None, None) if the rate is defined in no resample.
        """
        defined = replicates[~np.isnan(replicates)]
        if not len(defined):
            return None, None
        tail = (1 - self.confidence) / 2
        low, high = np.quantile(defined, [tail, 1 - tail])
        return float(low), float(high)


DEFAULT = Bootstrap()
