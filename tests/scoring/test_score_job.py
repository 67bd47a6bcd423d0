"""python -m jobs.score, from files to files; and the official counts of the is21_deep_bias benchmark."""

import json
import re
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from jobs.score import main
from pipeline import schemas
from pipeline.scoring.inputs import ScoringSet
from tests.support.shared_data import SHARED, needs_shared_data

IS21 = SHARED / "is21_deep_bias"
SYSTEMS = ("hyp.b1.rnnt_baseline.dev", "hyp.s5.s3+db-nnlm.biasing_100.dev")


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    contents = {
        "reference.tsv": "a\tfrom leeds to new york\nb\tgood day\n",
        "hypotheses.tsv": "a\tfrom leeds to new york\nb\tgood leeds\n",
        "baseline.tsv": "a\tfrom leads to new york\nb\tgood day\n",
        "names.txt": "Leeds\nNew York\n",
    }
    for name, content in contents.items():
        (tmp_path / name).write_text(content)
    return {Path(name).stem: str(tmp_path / name) for name in contents} | {"output": str(tmp_path / "out")}


def arguments(files: dict[str, str]) -> list[str]:
    pairs = {"--hypotheses": "hypotheses", "--reference": "reference", "--lists": "names", "--output": "output"}
    return [part for option, name in pairs.items() for part in (option, files[name])]


def test_files_in_files_out(files: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*arguments(files), "--baseline", files["baseline"]]) == 0
    metrics = json.loads(Path(files["output"], "metrics.json").read_text())
    assert (metrics["wer"]["words"], metrics["wer"]["substitutions"]) == (7, 1)
    assert metrics["entity"]["recall"] == 1.0
    assert metrics["baseline"]["entity"]["recall"] == 0.5
    assert metrics["change"]["recall"]["difference"] == 0.5
    assert metrics["false_accepts_per_hour"] is None  # a TSV has no durations
    table = pq.read_table(Path(files["output"], "scores.parquet"))
    assert table.schema.equals(schemas.SCORES)
    assert table["utterance_id"].to_pylist() == ["a", "b"]
    printed = capsys.readouterr().out
    assert "WER" in printed
    assert "Entity F1" in printed


def test_a_hypothesis_in_other_letters_is_an_error_row(
    files: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    Path(files["hypotheses"]).write_text("a\tfrom leeds to new york\nb\tgood день\n")
    assert main(arguments(files)) == 0
    metrics = json.loads(Path(files["output"], "metrics.json").read_text())
    assert (metrics["errors"], metrics["wer"]["deletions"]) == (1, 2)
    assert pq.read_table(Path(files["output"], "scores.parquet"))["error"][1].as_py().endswith("not scored: 'день'")
    said = capsys.readouterr().err
    assert "1 transcripts have an error and count as empty: b (has letters that are not scored: 'день')" in said


def test_a_second_run_replaces_the_first(files: dict[str, str]) -> None:
    assert main([*arguments(files), "--baseline", files["baseline"]]) == 0
    assert main(arguments(files)) == 0
    assert "baseline" not in json.loads(Path(files["output"], "metrics.json").read_text())


def test_bad_input_is_exit_code_2_and_one_line(files: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    Path(files["hypotheses"]).write_text("zzz\tone\n")
    assert main(arguments(files)) == 2
    message = capsys.readouterr().err
    assert message.startswith("error: 1 hypothesis ids have no reference, the first is 'zzz'")
    Path(files["output"] + "_file").write_text("")
    assert main([*arguments(files)[:-1], files["output"] + "_file"]) == 2


def official(path: Path) -> dict[str, dict[str, int]]:
    """The official scorer's print: ``WER: error_rate=..., ref_words=..., subs=..., ins=..., dels=...``."""
    found = re.findall(r"([UB]-)?WER: .*ref_words=(\d+), subs=(\d+), ins=(\d+), dels=(\d+)", path.read_text())
    names = ("words", "substitutions", "insertions", "deletions")
    keys = {"": "wer", "U-": "u_wer", "B-": "b_wer"}
    return {keys[group]: dict(zip(names, map(int, counts), strict=True)) for group, *counts in found}


@needs_shared_data
@pytest.mark.parametrize("system", SYSTEMS)
def test_official_counts_of_the_benchmark(system: str, tmp_path: Path) -> None:
    lists = str(IS21 / "test-clean-dev.biasing_100.tsv")
    options = ["--hypotheses", str(IS21 / f"{system}.tsv"), "--lists", lists, "--output", str(tmp_path)]
    assert main([*options, "--reference", str(SHARED / "librispeech_test_clean_dev.parquet")]) == 0
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    expected = official(IS21 / f"{system}.result")
    assert len(expected) == 3
    for group, counts in expected.items():
        assert {name: metrics[group][name] for name in counts} == counts
        assert metrics[group]["rate"] == pytest.approx(
            (counts["substitutions"] + counts["insertions"] + counts["deletions"]) / counts["words"]
        )
    assert metrics["audio_hours"] == pytest.approx(2.706, abs=0.001)
    assert metrics["utterances"] == 1338


@needs_shared_data
def test_scoring_the_dev_set_is_fast(dev_set: ScoringSet) -> None:
    dev_set.score(str(IS21 / f"{SYSTEMS[0]}.tsv"))  # compiles
    started = time.process_time()
    dev_set.score(str(IS21 / f"{SYSTEMS[1]}.tsv"))
    assert time.process_time() - started < 2.0
