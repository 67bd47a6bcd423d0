"""The choice of utterances: exactly as many as asked for, each with the probability that is written on it."""

import collections
import math
from pathlib import Path

import pytest

from pipeline.errors import ConfigError
from pipeline.review.choice import Choice, bits, information
from pipeline.storage.disk_table import temporary_database
from tests.support.reviewed import rows

WEIGHTS = {f"u{at}": (0.0, 0.1, 0.5, 1.0, 30.0)[at % 5] for at in range(20)}


def draw(folder: Path, seed: int, count: int, share: float, weights: dict[str, float] = WEIGHTS) -> dict[str, float]:
    with temporary_database(str(folder)) as database:
        database.execute("DROP TABLE IF EXISTS weighed")
        choice = Choice(database, seed)
        choice.add(weights.items())
        return choice.draw(count, share)


@pytest.mark.parametrize("share", [0.2, 1.0])
def test_each_is_chosen_as_often_as_its_probability_says(tmp_path: Path, share: float) -> None:
    seeds, count = 600, 7
    probabilities: dict[str, float] = {}
    times: collections.Counter[str] = collections.Counter()
    for seed in range(seeds):
        chosen = draw(tmp_path, seed, count, share)
        assert len(chosen) == count
        probabilities |= chosen
        times.update(list(chosen))
    assert sum(probabilities.get(name, 0.0) for name in WEIGHTS) == pytest.approx(count)
    for name, probability in probabilities.items():
        spread = math.sqrt(probability * (1 - probability) / seeds)
        assert abs(times[name] / seeds - probability) <= 4.5 * spread + 1e-9, name


def test_the_doubtful_come_first_and_chance_sees_the_rest(tmp_path: Path) -> None:
    chosen = draw(tmp_path, 1, 7, 0.2)
    assert {name: chosen[name] for name in WEIGHTS if WEIGHTS[name] == 30.0} == dict.fromkeys(
        ("u4", "u9", "u14", "u19"), 1.0
    )
    assert draw(tmp_path, 1, 7, 0.2) == chosen
    assert draw(tmp_path, 1, 40, 0.2) == dict.fromkeys(WEIGHTS, 1.0)
    assert set(draw(tmp_path, 1, 3, 0.0, {"a": 1.0, "b": 0.0, "c": 0.0, "d": 0.0})) > {"a"}


def test_bad_settings(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--utterances must be at least 1"):
        draw(tmp_path, 1, 0, 0.2)
    with pytest.raises(ConfigError, match="--random-share must be from 0 to 1"):
        draw(tmp_path, 1, 1, 1.5)


def test_information_is_that_of_names_and_a_little_of_other_words() -> None:
    one = bits(0.75)
    assert information(rows()[0]) == pytest.approx(2 * one + 2 * 0.05 * one)
    assert information(rows()[1]) == pytest.approx(2 * 0.05 * one)
