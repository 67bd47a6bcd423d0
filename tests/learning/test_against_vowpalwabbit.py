"""The estimators against those of vowpalwabbit, of which plain decisions are a special case (extra ``bench``)."""

from typing import Any

import numpy as np
import pytest

from pipeline.learning.estimators import Logged, chosen, estimates

UNITS = 3000


def decisions(seed: int) -> tuple[Logged, Any, Any]:
    """Off or one level, which alone is worth something: log, what another policy takes, and what units look like."""
    chance = np.random.default_rng(seed)
    looks = chance.random(UNITS)
    wide = 0.3 + 0.5 * looks
    drawn = (chance.random(UNITS) < wide).astype(np.int64)
    worth = (chance.random(UNITS) < 0.2 + 0.4 * looks).astype(np.float64)
    rewards = np.stack([np.zeros(UNITS), worth], axis=1)
    at_least = np.stack([np.ones(UNITS), wide], axis=1)
    log = Logged(drawn, at_least, rewards, np.ones(UNITS), np.arange(UNITS))
    return log, (looks > 0.4).astype(np.int64), looks


def judged_by_vowpalwabbit(kind: str, log: Logged, taken: Any, looks: Any) -> float:
    """Return the mean reward of ``taken`` by ``vw --cb 2 --eval``: actions 1 (off) and 2, costs in place of rewards."""
    vowpalwabbit = pytest.importorskip("vowpalwabbit")
    judge = vowpalwabbit.Workspace(f"--cb 2 --eval --cb_type {kind} --quiet")
    for at in range(UNITS):
        drawn = int(log.drawn[at])
        chance = log.at_least[at, 1] if drawn else 1 - log.at_least[at, 1]
        cost = -log.rewards[at, drawn]
        judge.learn(f"{taken[at] + 1} {drawn + 1}:{cost}:{chance:.9f} | x:{looks[at]:.6f}")
    mean = -float(judge.get_sum_loss()) / float(judge.get_weighted_examples())
    judge.finish()
    return mean


@pytest.mark.parametrize("seed", [0, 1])
def test_ips_is_the_same_and_dr_tells_the_same(seed: int) -> None:
    log, taken, looks = decisions(seed)
    model = np.stack([np.zeros(UNITS), 0.2 + 0.4 * looks], axis=1)
    ours = estimates(log, chosen(taken, 2), model, replicates=200)
    assert judged_by_vowpalwabbit("ips", log, taken, looks) == pytest.approx(ours["ips"].value, abs=1e-5)
    dr = ours["dr"]
    assert dr.low < judged_by_vowpalwabbit("dr", log, taken, looks) < dr.high, "its model of rewards is another one"
