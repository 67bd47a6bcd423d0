"""The weights of the cut, refitted to what was said in utterances that were heard whole."""

import numpy as np
import pytest

from pipeline.calibration.ranking import Ranked, refit_ranking
from pipeline.retrieval.ranked import FEATURES
from pipeline.training.cut_fit import CutRows

BOUND = -1.0
WEIGHTS = tuple(-3.0 if name == "one" else -1.0 if name == "cost" else 0.0 for name in FEATURES)
COST, PHONES = FEATURES.index("cost"), FEATURES.index("phones")


def utterances(speaks: float, count: int = 60, weight: float = 1.0, seed: int = 0) -> list[Ranked]:
    """Ten names each of which one was said: cheap by the phones, and with ``speaks`` nats of long names on top."""
    chance, found = np.random.default_rng(seed), []
    for at in range(count):
        features = np.zeros((10, len(FEATURES)))
        features[:, 0] = 1.0
        features[:, COST] = chance.uniform(-4.0, 4.0, 10)
        features[:, PHONES] = chance.uniform(-2.0, 2.0, 10)
        said = np.zeros(10, np.bool_)
        said[np.argmax(-features[:, COST] + speaks * features[:, PHONES] + chance.gumbel(size=10))] = True
        rows = CutRows(features, said, np.ones(10), np.full(10, at))
        found.append(Ranked(f"u{at:03d}", f"s{at % 6}", weight, rows, 1, 0.0))
    return found


def passing(some: list[Ranked], weights: dict[str, float]) -> tuple[int, int]:
    odds = np.concatenate([one.rows.features @ np.array(list(weights.values())) for one in some])
    said = np.concatenate([one.rows.said for one in some])
    return int((odds >= BOUND).sum()), int((said & (odds >= BOUND)).sum())


def test_what_reviewers_heard_ranks_better_with_as_many_candidates() -> None:
    found = refit_ranking(utterances(1.0, 200), WEIGHTS, BOUND)
    assert found is not None
    assert found.changed
    assert found.weights["phones"] > 0.5
    assert found.recall > found.recall_before
    others, before = utterances(1.0, 300, seed=1), dict(zip(FEATURES, WEIGHTS, strict=True))
    plain, learnt = passing(others, before), passing(others, found.weights)
    assert learnt[0] == pytest.approx(plain[0], rel=0.1), "as many candidates"
    assert learnt[1] > 1.1 * plain[1]


def test_nothing_changes_where_strangers_are_not_ranked_better() -> None:
    found = refit_ranking(utterances(0.0, 200), WEIGHTS, BOUND)
    assert found is not None
    if not found.changed:
        assert tuple(found.weights.values()) == WEIGHTS
    assert abs(found.weights["phones"]) < 0.2


def test_fewer_names_than_needed_are_none() -> None:
    assert refit_ranking(utterances(1.0, 49), WEIGHTS, BOUND) is None
    assert refit_ranking(utterances(1.0, 60), WEIGHTS, 100.0) is None, "nothing that passes was rejected"
    assert refit_ranking([], WEIGHTS, BOUND) is None


def test_the_order_and_a_common_weight_do_not_matter() -> None:
    some = utterances(1.0)
    one, other = refit_ranking(some, WEIGHTS, BOUND), refit_ranking(some[::-1], WEIGHTS, BOUND)
    more = refit_ranking(utterances(1.0, weight=5.0), WEIGHTS, BOUND)
    assert one is not None
    assert other is not None
    assert more is not None
    assert one.weights == other.weights == more.weights
