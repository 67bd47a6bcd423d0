"""Small public embeddings, and statistics, for tests of private exports."""

import numpy as np
import numpy.typing as npt

from pipeline.privacy.embeddings import Embeddings
from pipeline.privacy.noise import Bits
from pipeline.privacy.partition import balanced_groups


def small_embeddings(words: int = 60, dimensions: int = 6, group: int = 6) -> Embeddings:
    """Random vectors, half of them close together; words are w0, w1 and so on."""
    random = np.random.default_rng(3)
    spread = np.where(np.arange(words) % 2, 12, 45)[:, None]
    vectors = np.clip(random.standard_normal((words, dimensions)) * spread, -127, 127).astype(np.int8)
    names = tuple(f"w{number}" for number in range(words))
    return Embeddings(names, vectors, 0.02, balanced_groups(vectors, group))


def random_bits(count: int, seed: int = 0) -> Bits:
    """As good as a keyed hash, and quicker."""
    return np.random.default_rng(seed).integers(0, 2**64, (count, 4), np.uint64, endpoint=False)


def chi_square(counts: npt.NDArray[np.int64], probabilities: npt.NDArray[np.float64]) -> tuple[float, int]:
    """Return the statistic and its degrees of freedom; outcomes of which fewer than 5 are expected are put together."""
    expected = probabilities * counts.sum()
    rare = expected < 5
    seen, wanted = counts[~rare].astype(float), expected[~rare]
    if expected[rare].sum() >= 5:
        seen, wanted = np.append(seen, counts[rare].sum()), np.append(wanted, expected[rare].sum())
    return float(((seen - wanted) ** 2 / wanted).sum()), max(len(seen) - 1, 0)


def is_plausible(statistic: float, freedom: int) -> bool:
    """Whether a chi-square statistic is below its 99.9% quantile (Wilson and Hilferty's approximation)."""
    part = 2 / (9 * freedom)
    return statistic < freedom * (1 - part + 3.0902 * part**0.5) ** 3
