"""What training takes for background is never said in a development set."""

import importlib
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest


def test_what_is_said_is_left_out_by_whole_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks" / "training_data"))
    background_names = importlib.import_module("background_names")
    (tmp_path / "is21_deep_bias").mkdir()
    (tmp_path / "names_dev_directory.txt").write_text("new york\nyork mills\nleeds\n")
    (tmp_path / "is21_deep_bias" / "all_rare_words.txt").write_text("leeds\nquirinus\n")
    for stem, text in (("names_dev", "from New York to Leeds"), ("librispeech_test_clean_dev", "ann lee went")):
        pq.write_table(pa.table({"text": [text]}), tmp_path / f"{stem}.parquet")
    drawn = ("Ann Lee", "Ann Leeds", "R2 D2", "Lodz")
    assert background_names.background(tmp_path, drawn) == ["ann leeds", "lodz", "quirinus", "york mills"]
