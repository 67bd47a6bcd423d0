"""Fitting the guard: what is learned, what is taken at a bound, and what is kept of it on disk."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from pipeline.errors import InputError
from pipeline.lexicon.pronunciation import Pronouncer
from pipeline.rescoring.evidence import FEATURES
from pipeline.training.guard_data import Half, read, write
from pipeline.training.guard_fit import Judged, accepted, bounds_table, fit_trees, of_features
from pipeline.training.made_lists import ListMaker


def proposal(utterance: int, first: int, last: int, right: bool, **measured: float) -> Judged:
    vector = np.array([measured.get(name, 0.0) for name in FEATURES])
    return Judged(first, last, utterance, vector, int(right), int(not right))


def some(count: int) -> list[Judged]:
    """Right where the gain is high; ``share`` says the same."""
    return [proposal(at, 0, 1, at % 2 == 0, gain=1.0 - at % 2, share=-float(at % 2)) for at in range(count)]


def test_trees_are_fitted_to_the_features_that_are_asked_for() -> None:
    pytest.importorskip("sklearn")  # comes with rollcall[bench]
    proposals, features = some(60), ["rarity", "share"]
    trees = fit_trees(proposals, features)
    high, low = (trees.score(of_features([one.features], features)[0]) for one in proposals[:2])
    assert low < -1 < 1 < high
    assert set(trees.feature.tolist()) == {-1, 1}


def test_of_what_touches_the_surest_is_taken() -> None:
    proposals = [proposal(0, 0, 1, True), proposal(0, 1, 2, False), proposal(0, 3, 4, True), proposal(1, 0, 1, False)]
    taken = accepted(proposals, np.array([1.0, 2.0, 0.5, -1.0]), 0.0)
    assert taken == [proposals[1], proposals[2]]
    assert bounds_table(proposals, np.array([1.0, 2.0, 0.5, -1.0]), 1.0, [0, 1, 2]) == [(1.0, 0.5), (2.0, -1.0)]


def test_collected_proposals_are_read_as_they_were_written(tmp_path: Path) -> None:
    halves = Half(some(3), said=5, known=2, hours=0.5, wrong=1, errors=7, words=40), Half([], 0, 0, 0.25)
    write(tmp_path / "plain" / "set.parquet", halves)
    first, second = read(tmp_path / "plain" / "set.parquet")
    assert (first.said, first.known, first.hours, first.wrong, first.errors, first.words) == (5, 2, 0.5, 1, 7, 40)
    assert [(one.utterance, one.first, one.last, one.gained, one.wrong) for one in first.proposals] == [
        (0, 0, 1, 1, 0), (1, 0, 1, 0, 1), (2, 0, 1, 1, 0),
    ]  # fmt: skip
    assert np.array_equal([one.features for one in first.proposals], [one.features for one in some(3)])
    assert second == Half([], 0, 0, 0.25)


def test_proposals_without_some_evidence_are_of_no_use(tmp_path: Path) -> None:
    write(tmp_path / "set.parquet", [Half(some(1), 1, 1, 1.0)])
    pq.write_table(pq.read_table(tmp_path / "set.parquet").drop_columns(["share"]), tmp_path / "set.parquet")
    with pytest.raises(InputError, match=r"without \['share'\].*collect it again"):
        read(tmp_path / "set.parquet")


def test_made_lists_have_the_size_that_is_asked_for_and_are_the_same_every_time() -> None:
    words = ["the", "crowd", "at", "montaigne", "saw", "sennacherib"]
    maker = ListMaker([words], Pronouncer())
    lists = [maker.filled(f"u{number}", words, 50) for number in range(6)]
    assert [len(one) for one in lists] == [50] * 6
    assert maker.filled("u0", words, 50) == lists[0]
    said = [{"montaigne", "sennacherib"} & {name for one in found.entities for name in one.text.split()}
            for found in lists]  # fmt: skip
    assert any(said)


def test_trees_grow_on_from_others() -> None:
    pytest.importorskip("sklearn")  # comes with rollcall[calibrate]
    features = ["gain", "share"]
    start = fit_trees(some(60), features)
    told_otherwise = [proposal(at, 0, 1, at % 2 == 1, gain=1.0 - at % 2, share=-float(at % 2)) for at in range(200)]
    grown = fit_trees(told_otherwise, features, start)
    assert len(grown.roots) == len(start.roots) + 100
    assert grown.roots[: len(start.roots)].tolist() == start.roots.tolist()
    row = of_features([some(1)[0].features], features)[0]
    assert grown.score(row) < 0 < start.score(row)


def test_little_speech_says_little_of_rare_false_accepts() -> None:
    proposals, odds = [proposal(0, 0, 1, True), proposal(1, 0, 1, False)], np.array([1.0, 0.5])
    assert bounds_table(proposals, odds, 0.1, [5, 10, 20]) == [(5.0, 1.0), (10.0, 0.5), (20.0, 0.5)]
    assert bounds_table(proposals, odds, 0.1, [5, 10, 20], unseen=1) == [(10.0, 1.0), (20.0, 0.5)]


def test_what_weighs_little_says_little() -> None:
    pytest.importorskip("sklearn")
    trusted, doubtful = some(100), [proposal(at, 0, 1, at % 2 == 1, gain=1.0 - at % 2) for at in range(100)]
    weights = np.repeat([1.0, 0.1], 100)
    trees = fit_trees(trusted + doubtful, ["gain"], weights=weights)
    high, low = (trees.score(of_features([one.features], ["gain"])[0]) for one in some(2))
    assert low < -1.5 < 1.5 < high  # by the weights 10 of 11 say so, log odds of 2.3
    lopsided = fit_trees(
        [proposal(0, 0, 1, at < 20) for at in range(80)], ["gain"], weights=np.repeat([3.0, 1.0], [20, 60])
    )
    assert lopsided.base == pytest.approx(0.0)
