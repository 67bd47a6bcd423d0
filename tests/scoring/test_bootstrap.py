"""Bootstrap intervals over utterances."""

import numpy as np
import pytest

from pipeline.errors import ConfigError
from pipeline.scoring.bootstrap import Bootstrap
from pipeline.scoring.metrics import ratio


def errors_and_words(utterances: int, seed: int = 0) -> np.ndarray:
    generator = np.random.default_rng(seed)
    words = generator.integers(5, 30, utterances)
    return np.stack([generator.binomial(words, 0.2), words], axis=1).astype(float)


def test_the_interval_agrees_with_the_normal_approximation_of_a_ratio() -> None:
    counts = errors_and_words(400)
    sums = Bootstrap(2000).sums(counts)
    low, high = Bootstrap(2000).interval(ratio(sums[:, 0], sums[:, 1]))
    rate = counts[:, 0].sum() / counts[:, 1].sum()
    residuals = counts[:, 0] - rate * counts[:, 1]  # delta method for a ratio of sums
    deviation = residuals.std() * np.sqrt(len(counts)) / counts[:, 1].sum()
    assert low == pytest.approx(rate - 1.96 * deviation, abs=0.1 * deviation)
    assert high == pytest.approx(rate + 1.96 * deviation, abs=0.1 * deviation)


def test_equal_seeds_give_equal_resamples_and_every_resample_has_as_many_utterances() -> None:
    ones = np.ones((50, 1))
    assert (Bootstrap(300).sums(ones) == 50).all()
    counts = errors_and_words(50)
    assert (Bootstrap(300, seed=4).sums(counts) == Bootstrap(300, seed=4).sums(counts)).all()
    assert (Bootstrap(300, seed=4).sums(counts) != Bootstrap(300, seed=5).sums(counts)).any()


def test_groups_see_the_same_resamples_as_the_whole_even_in_many_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = errors_and_words(40)
    whole = Bootstrap(100).sums(counts)
    rows, groups = np.array([*range(40), 3, 7]), np.array([0] * 40 + [1, 1])
    values = np.concatenate([counts, counts[[3, 7]]])
    monkeypatch.setattr("pipeline.scoring.bootstrap._CELLS", 500)  # a few resamples at a time
    assert (Bootstrap(100).sums(counts) == whole).all()
    grouped = Bootstrap(100).group_sums(40, rows, groups, values)
    assert grouped.shape == (100, 2, 2)
    assert (grouped[:, 0] == whole).all()
    assert (grouped[:, 1] <= whole).all()


def test_undefined_resamples_are_left_out_and_no_resample_is_no_interval() -> None:
    assert Bootstrap().interval(np.array([np.nan, 0.5, 0.5])) == (0.5, 0.5)
    assert Bootstrap().interval(np.array([np.nan, np.nan])) == (None, None)
    assert Bootstrap(10).sums(np.zeros((0, 3))).shape == (10, 3)


def test_out_of_range_settings_are_refused() -> None:
    with pytest.raises(ConfigError, match="1 or more replicates"):
        Bootstrap(replicates=0)
