"""The cut learns from what was said among what was not, and says what it finds."""

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from jobs import train_retrieval
from pipeline.retrieval.ranked import FEATURES, read_weights
from pipeline.retrieval.tree_model import ROOTS, read_tree
from pipeline.training.cut_fit import CutRows, fit_cut, joined, recall_at
from tests.support.shared_data import SHARED, needs_shared_data


def rows(count: int, utterance: int, thinned: float) -> CutRows:
    """Entities of which the cheaper ones were mostly said."""
    generator = np.random.default_rng(utterance)
    features = np.abs(generator.normal(0.0, 1.0, (count, len(FEATURES))))
    features[:, 0] = 1.0
    said = generator.random(count) < 1 / (1 + np.exp(4 * features[:, 1] - 2))
    weights = np.where(said, 1.0, thinned)
    return CutRows(features, said, weights, np.full(count, utterance))


def test_what_costs_less_is_likelier_and_counts_count() -> None:
    one = joined([rows(4000, at, 1.0) for at in range(3)])
    weights = fit_cut(one)
    assert weights["cost"] == pytest.approx(-4.0, abs=0.4)
    assert weights["one"] == pytest.approx(2.0, abs=0.3)
    assert max(abs(weights[name]) for name in FEATURES[2:]) < 0.3
    rarer = fit_cut(joined([rows(4000, at, 50.0) for at in range(3)]))
    assert rarer["one"] == pytest.approx(2.0 - np.log(50), abs=0.5)
    said = int(one.said.sum())
    shares = recall_at(one, weights, said, 3, [10.0, 1000.0, 4000.0])
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


@needs_shared_data
def test_the_command_makes_both_parts_from_speech(tmp_path: Path) -> None:
    audio = tmp_path / "speech.parquet"
    pq.write_table(pq.read_table(SHARED / "names_dev.parquet").slice(0, 6), audio)
    names = tmp_path / "names.txt"
    lines = (SHARED / "names_dev_directory.txt").read_text(encoding="utf-8").splitlines()[::400]
    names.write_text("\n".join(["Zanzibarville", *lines]))
    (tmp_path / "left_out.txt").write_text("Zanzibarville\n")
    command = ["--audio", str(audio), "--names", str(names), "--leave-out", str(tmp_path / "left_out.txt")]
    command += ["--cache", str(tmp_path / "cache"), "--output", str(tmp_path / "made"), "--noise", "5", "15"]
    assert train_retrieval.main(command) == 0
    written = json.loads((tmp_path / "made" / "cut.json").read_text())
    assert set(written["weights"]) == set(FEATURES)
    assert read_weights(tmp_path / "made" / "cut.json")
    assert len(read_tree(tmp_path / "made" / "tree.safetensors").first) > ROOTS
    listed = next((tmp_path / "cache" / "catalog").glob("*/names-*"))
    content = (listed / "names.arrow").read_bytes()
    assert b"drachten" in content, "it is said"
    assert b"zanzibarville" not in content


def test_what_it_cannot_use_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "names.txt").write_text("Drachten\n")
    command = ["--audio", str(tmp_path / "none.parquet"), "--names", str(tmp_path / "names.txt")]
    command += ["--cache", str(tmp_path / "c"), "--output", str(tmp_path / "o")]
    assert train_retrieval.main(command) == 2
    assert "no such file" in capsys.readouterr().err
