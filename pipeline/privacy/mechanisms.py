"""Which class a configuration means."""

import functools

import numpy as np

from pipeline.privacy.config import GROUPED, LAPLACE, REDACT, TRUNCATED_GUMBEL, PrivacyConfig
from pipeline.privacy.embeddings import Embeddings, Floats
from pipeline.privacy.exponential import Exponential
from pipeline.privacy.grouped import Grouped
from pipeline.privacy.gumbel import TruncatedGumbel
from pipeline.privacy.laplace import Laplace
from pipeline.privacy.mechanism import Mechanism, Redact
from pipeline.privacy.nearest import Nearest

_ROWS = 256


def build(config: PrivacyConfig, embeddings: Embeddings) -> Mechanism:
    """Return the mechanism of ``config``; raises ConfigError where it cannot be calibrated.

    Laplace with a prior or a truncation is the exponential mechanism over the words, whose probabilities are exact.
    """
    if config.mechanism == REDACT:
        return Redact(embeddings)
    if config.is_nearest:
        return Nearest(embeddings, config)
    if config.mechanism == TRUNCATED_GUMBEL:
        return TruncatedGumbel(embeddings, config)
    prior = kernel_density(embeddings, config.bandwidth) if config.prior == "kde" else None
    if config.mechanism == GROUPED:
        return Grouped(embeddings, config, prior)
    if config.mechanism == LAPLACE and prior is None and config.truncate is None:
        return Laplace(embeddings, config)
    return Exponential(embeddings, config, prior)


@functools.lru_cache(maxsize=4)
def kernel_density(embeddings: Embeddings, bandwidth: float) -> Floats:
    """Return the density [N] of the words around each, by a Gaussian kernel; it sums to 1 and depends on no text."""
    found = np.empty(len(embeddings))
    for at in range(0, len(embeddings), _ROWS):
        words = np.arange(at, min(at + _ROWS, len(embeddings)), dtype=np.int32)
        found[at : at + _ROWS] = np.exp(-(embeddings.distances(words) ** 2) / (2 * bandwidth**2)).sum(axis=1)
    return np.asarray(found / found.sum())
