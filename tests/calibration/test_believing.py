"""The guard refitted to reviews."""

import dataclasses

import numpy as np
import pytest

from pipeline.calibration import believing
from pipeline.calibration.answered import Answered
from pipeline.calibration.believing import Labels, refit
from pipeline.rescoring.evidence import FEATURES
from pipeline.rescoring.guard import Judge
from pipeline.rescoring.trees import Trees
from pipeline.training.guard_fit import Judged, can_fit

STEPS = (-4.0, -2.0, 0.0, 2.0, 4.0)


def judge() -> Judge:
    """Log odds are the first measurement, in steps."""
    nodes = {"feature": [], "threshold": [], "left": [], "right": [], "value": []}  # type: ignore[var-annotated]
    for at, step in enumerate(STEPS[:-1]):
        rows = ((0, step + 1.0, 3 * at + 1, 3 * at + 2, 0.0), (-1, 0.0, 0, 0, 0.0), (-1, 0.0, 0, 0, 2.0))
        for row in rows:
            for name, value in zip(nodes, row, strict=True):
                nodes[name].append(value)
    trees = Trees.from_json({"base": STEPS[0], "roots": [0, 3, 6, 9], **nodes}, len(FEATURES))
    return Judge(FEATURES, trees, ((0.0, 5.0), (20.0, 0.0), (200.0, -3.0)))


def features(odds: float, second: float = 0.0) -> np.ndarray:  # type: ignore[type-arg]
    return np.array([odds, second, *[0.0] * (len(FEATURES) - 2)])


def answers(right: float, seed: int = 0, known: bool = True, count: int = 200) -> list[Answered]:
    """Utterances of ten seconds with one proposal; the log odds that it is right are ``right`` more than it says."""
    chance = np.random.default_rng(seed)
    found = []
    for at in range(count):
        odds = STEPS[at % len(STEPS)]
        is_right = bool(chance.random() < 1 / (1 + np.exp(-odds - right)))
        proposal = Judged(0, 1, at, features(odds), int(is_right), int(not is_right))
        found.append(Answered(f"u{at:04d}", f"s{at % 7}", 10.0, 2.0, True, (proposal,), (known,)))
    return found


def test_bounds_follow_what_reviews_say_of_the_log_odds() -> None:
    trusted, doubted, sure = (refit(Labels.of(answers(right, count=1000)), judge()) for right in (0.0, -2.0, 2.0))
    assert trusted is not None
    assert doubted is not None
    assert sure is not None
    assert abs(trusted.shift) < 0.4
    assert doubted.shift == pytest.approx(-2.0, abs=0.7)
    assert sure.shift == pytest.approx(2.0, abs=0.7)
    assert doubted.loss < doubted.loss_before
    assert dict(doubted.bounds)[20.0] == pytest.approx(2.0, abs=0.5), "it must be surer to be as likely right"
    assert dict(sure.bounds)[20.0] == pytest.approx(np.log(2) - 2.0, abs=0.5), "two must be right for one that is wrong"
    assert dict(sure.bounds)[200.0] == -3.0, "what lies below that already stays"
    for one in (trusted, doubted, sure):
        assert [rate for rate, _ in one.bounds] == [rate for rate, _ in judge().bounds]
        bounds = [bound for _, bound in one.bounds]
        assert bounds == sorted(bounds, reverse=True)
        assert not one.grown


def test_too_few_labels_change_nothing_and_what_nobody_judged_is_no_label() -> None:
    assert refit(Labels.of(answers(0.0, count=99)), judge()) is None
    assert Labels.of(answers(0.0, known=False)).count == 0
    some = [*answers(0.0, count=100), *(dataclasses.replace(one, utterance_id="v" + one.utterance_id)
                                        for one in answers(0.0, known=False, count=300))]  # fmt: skip
    found = refit(Labels.of(some), judge())
    assert found is not None
    assert found.labels == 100
    alone = refit(Labels.of(some[:100]), judge())
    assert alone is not None
    assert (found.shift, found.slope) == (alone.shift, alone.slope)


def test_the_order_of_utterances_and_a_common_weight_do_not_matter() -> None:
    some = answers(-1.0)
    one, other = refit(Labels.of(some), judge()), refit(Labels.of(some[::-1]), judge())
    more = refit(Labels.of([dataclasses.replace(one, weight=7.0) for one in some]), judge())
    assert one is not None
    assert other is not None
    assert more is not None
    assert one.bounds == other.bounds == more.bounds


def test_utterances_that_were_rarely_chosen_count_for_more() -> None:
    """Speakers of whom few were chosen are right more often than the guard says; they stand for many."""
    often = [dataclasses.replace(one, weight=1.0) for one in answers(-2.0)]
    rarely = [dataclasses.replace(one, utterance_id="v" + one.utterance_id, weight=20.0) for one in answers(2.0, 1)]
    weighted, plain = (
        refit(Labels.of([*often, *some]), judge())
        for some in (rarely, [dataclasses.replace(one, weight=1.0) for one in rarely])
    )
    assert weighted is not None
    assert plain is not None
    assert weighted.shift > plain.shift + 0.5


@pytest.mark.skipif(not can_fit(), reason="scikit-learn is not installed")
def test_trees_grow_on_only_where_strangers_are_judged_better(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(believing, "LEAST_FOR_TREES", 400)
    told = list[Answered]()
    for at, one in enumerate(answers(0.0, count=600)):
        (proposal,) = one.proposals
        second = at % 2  # which the trees do not look at
        proposal = dataclasses.replace(proposal, features=features(0.0, second), gained=second, wrong=1 - second)
        told.append(dataclasses.replace(one, proposals=(proposal,)))
    found = refit(Labels.of(told), judge())
    assert found is not None
    assert found.grown
    assert found.loss < 0.7 * found.loss_before
    noise = refit(Labels.of(answers(0.0, count=600)), judge())
    assert noise is not None
    assert noise.trees is not None
    few = refit(Labels.of(told[:300]), judge())
    assert few is not None
    assert not few.grown
