"""Tuning end to end on a few utterances of made-up emissions in the shipped model's pieces."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from jobs import tune
from pipeline.acoustic.loading import load_tokens
from pipeline.config import AcousticConfig, joint, override
from pipeline.schemas import EMISSIONS
from pipeline.tuning.evaluation import load_labelled_set, sample
from pipeline.tuning.tuning import SPACE, UNBIASED, configured, current
from tests.support.sparse import sparsify

SAID = ("we met nilsson there", "call nielsen now", "the nilsson house", "they saw nielsen here")


def write_corpus(folder):
    """Four speakers; every name is torn between its true spelling and "nelson"."""
    tokens, rows, said = load_tokens(AcousticConfig()), [], []
    for number, text in enumerate(SAID):
        heard = [tokens.encoder(word) for word in text.split()]
        frames = [token for word in heard for step in word for token in (step, tokens.blank)]
        probabilities = np.full((len(frames), len(tokens.pieces)), 0.05 / len(tokens.pieces), np.float32)
        probabilities[np.arange(len(frames)), frames] = 0.9
        kept, seconds = sparsify(np.log(probabilities), 32), len(frames) * 0.04
        rows.append(
            {
                "utterance_id": f"u{number}",
                "duration_seconds": seconds,
                "frames": kept.frames,
                "k": 32,
                "token_ids": kept.ids.ravel(),
                "token_log_probs": kept.values.ravel(),
            }
        )
        said.append({"utterance_id": f"u{number}", "speaker": f"s{number}", "text": text, "duration_seconds": seconds})
    path = folder / "emissions.parquet"
    pq.write_table(pa.Table.from_pylist(rows, EMISSIONS), path)
    pq.write_table(pa.Table.from_pylist(said), folder / "said.parquet")
    (folder / "no_adapter.yaml").write_text("adapter: null\n")  # made-up emissions have no states for it
    lists = folder / "lists.txt"
    lists.write_text("Nilsson\nNielsen\n")
    return path, lists


def tuning(folder, *more):
    """Run the command on the corpus of ``folder``."""
    emissions, said, lists = (str(folder / name) for name in ("emissions.parquet", "said.parquet", "lists.txt"))
    command = ["--emissions", emissions, "--reference", said, "--lists", lists, "--guard", lists, "--trials", "3"]
    return tune.main([*command, *more])


def test_tuning_writes_its_table_and_a_config_that_loads(tmp_path, capsys):
    write_corpus(tmp_path)
    plain = ("--config", str(tmp_path / "no_adapter.yaml"))
    assert tuning(tmp_path, "--output", str(tmp_path / "out"), *plain) == 0
    table = (tmp_path / "out" / "table.md").read_text()
    assert "tuning half / confirming half" in table
    assert table.count("\n| ") == 5  # head, unbiased and three trials
    trials = [json.loads(line) for line in (tmp_path / "out" / "trials.jsonl").read_text().splitlines()]
    assert len(trials) == 3
    best = max(trials, key=lambda trial: trial["objective"])
    tuned = override(joint(), yaml.safe_load((tmp_path / "out" / "best.yaml").read_text()))
    assert {key: current(tuned)[key] for key in SPACE} == {key: best[key] for key in SPACE}
    capsys.readouterr()
    assert tuning(tmp_path, "--output", str(tmp_path / "again"), *plain) == 0
    assert (tmp_path / "again" / "trials.jsonl").read_text() == (tmp_path / "out" / "trials.jsonl").read_text()


def test_weights_of_the_search_without_a_list(tmp_path, capsys):
    write_corpus(tmp_path)
    emissions, said = (str(tmp_path / name) for name in ("emissions.parquet", "said.parquet"))
    command = ["--fit", "search", "--emissions", emissions, "--reference", said, "--trials", "3"]
    assert tune.main([*command, "--output", str(tmp_path / "out")]) == 0
    table = (tmp_path / "out" / "table.md").read_text()
    assert "| trial | WER % 0 | values |" in table
    assert "| as it is |" in table
    trials = [json.loads(line) for line in (tmp_path / "out" / "trials.jsonl").read_text().splitlines()]
    assert {key: trials[0][key] for key in UNBIASED.space} == current(joint(), UNBIASED.space)
    assert [trial["objective"] for trial in trials] == [-trial["0.wer"] for trial in trials]
    tuned = override(joint(), yaml.safe_load((tmp_path / "out" / "best.yaml").read_text()))
    best = max(trials, key=lambda trial: trial["objective"])
    assert tuned.language_model.alpha == best["language_model.alpha"]
    assert tuned.phone_fusion.weight == best["phone_fusion.weight"]
    assert tuned.boosting == joint().boosting
    capsys.readouterr()
    assert tune.main([*command, "--guard", "any.tsv", "--output", str(tmp_path / "no")]) == 2
    assert "--fit search is about the search without any" in capsys.readouterr().err


def test_halves_share_no_speaker(tmp_path):
    corpus = load_labelled_set(str(write_corpus(tmp_path)[0]), str(tmp_path / "said.parquet"))
    first, second = corpus.halves()
    assert {one.reference.speaker for one in first.utterances} == {"s0", "s2"}
    assert {one.reference.speaker for one in second.utterances} == {"s1", "s3"}
    assert len(sample(corpus, 2).utterances) == 2


def test_bad_input_is_a_clear_error(tmp_path, capsys):
    emissions, lists = write_corpus(tmp_path)
    wrong = ["--emissions", str(lists), "--output", str(tmp_path / "out")]
    assert tune.main(["--emissions", str(emissions), "--lists", "a", "b", "--output", str(tmp_path / "out")]) == 2
    assert "--lists needs one value per data file (1), got 2" in capsys.readouterr().err
    assert tune.main(wrong) == 2
    assert "error: " in capsys.readouterr().err
    assert tuning(tmp_path, "--output", str(tmp_path / "out")) == 2
    assert "carries no states for the adapter" in capsys.readouterr().err


def test_dotted_values_reach_the_configuration():
    config = configured(joint(), {"boosting.scale": 0.25, "boost_class.weight": -3.5})
    assert config.boosting is not None
    assert (config.boosting.scale, config.boosting.cap) == (0.25, joint().boosting.cap)
    assert config.boost_class.weight == pytest.approx(-3.5)
