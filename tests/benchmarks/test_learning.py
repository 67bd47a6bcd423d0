"""What is said of policies: how far they come, textbook estimates beside ours, and no units of other code."""

import argparse
from pathlib import Path

import numpy as np
import pytest

from benchmarks.learning import as_drawn, made_by, read_units, share_of_the_way, write_units
from pipeline.learning.estimators import Logged, chosen, paired_difference
from pipeline.learning.units import KNOWN, Unit
from pipeline.retrieval.context import Context
from pipeline.retrieval.strategy import DEFAULT, LEVELS


def over_fixed(**values: list[float]) -> list[dict[str, object]]:
    return [{"policy": name, "over fixed": one} for name, some in values.items() for one in some]


def test_the_share_of_the_way_has_an_interval_over_seeds() -> None:
    found = share_of_the_way(over_fixed(learnt=[0.4, 0.5, 0.3], full=[0.5, 0.5, 0.5]), "learnt")
    assert found["share of the way"] == pytest.approx(0.8)
    assert found["share from"] == pytest.approx(0.6)
    assert found["share to"] == pytest.approx(1.0)


def test_seeds_are_paired() -> None:
    found = share_of_the_way(over_fixed(learnt=[0.9, 0.09, 9.0], full=[1.0, 0.1, 10.0]), "learnt")
    assert [found[name] for name in ("share from", "share to")] == pytest.approx([0.9, 0.9])


def test_without_headroom_there_is_no_way() -> None:
    found = share_of_the_way(over_fixed(learnt=[0.1, 0.2, 0.1], full=[-0.2, 0.3, 0.1]), "learnt")
    assert set(found.values()) == {None}


def test_textbook_weights_are_those_of_the_draws_alone() -> None:
    """Half of the draws take the widest level, which finds one name more: IPS counts it twice where it was drawn."""
    count = 4000
    at_least = np.tile([1.0] * LEVELS + [0.5], (count, 1))
    rewards = np.tile([0.0] * LEVELS + [1.0], (count, 1))
    log = Logged(np.full(count, LEVELS), np.ones_like(at_least), rewards, np.ones(count), np.arange(count))
    alone = as_drawn(log, at_least, np.ones(count, np.bool_))
    assert set(alone.drawn.tolist()) == {LEVELS - 1, LEVELS}
    wide, default = (chosen(np.full(count, level), LEVELS + 1) for level in (LEVELS, DEFAULT))
    found = paired_difference(alone, wide, default, np.zeros_like(rewards), 100)
    assert found.value == pytest.approx(1.0, abs=0.1)
    assert set((alone.drawn == LEVELS) * 2.0) == {0.0, 2.0}
    judged = as_drawn(log, at_least, np.zeros(count, np.bool_))
    assert (judged.drawn == LEVELS).all()  # of what was judged the draw is known


def test_units_of_other_code_or_data_are_made_anew(tmp_path: Path) -> None:
    context = Context((0.0, 1.0), (2.0,))
    unit = Unit("u", "phonetic", "s", "", "", context, LEVELS, KNOWN, (1, 0, 0, 0), (1, 2, 3, 4), True, 1, 1.0)
    write_units(tmp_path / "units.json", [unit], "this")
    assert read_units(tmp_path / "units.json", "this") == [unit]
    assert read_units(tmp_path / "units.json", "that") is None
    (tmp_path / "old.json").write_text("[]")
    assert read_units(tmp_path / "old.json", "this") is None
    assert read_units(tmp_path / "none.json", "this") is None


def test_units_follow_from_first_passes_and_lists(tmp_path: Path) -> None:
    (tmp_path / "is21_deep_bias").mkdir()
    (tmp_path / "is21_deep_bias" / "lists.tsv").write_text("a")
    (tmp_path / "names_dev.parquet").write_text("b")
    (tmp_path / "first.parquet").write_text("c")
    options = argparse.Namespace(data=tmp_path, emissions=tmp_path, config=None, utterances=None, width=32)
    before = made_by(options)
    assert made_by(options) == before
    (tmp_path / "second.parquet").write_text("d")
    assert made_by(options) != before
    assert made_by(argparse.Namespace(**(vars(options) | {"utterances": 8}))) != before
