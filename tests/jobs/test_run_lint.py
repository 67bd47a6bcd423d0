"""run.json says what the linter thinks of the run's list, at hardly any cost, and what it did not look at."""

from pathlib import Path

import pytest

from jobs.run import lint as run_lint
from jobs.transcribe import main
from tests.support.transcribing import command, noises, read_json, write_corpus


def test_run_json_has_the_linters_view(tmp_path: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    audio = write_corpus(tmp_path / "a.parquet", noises(2))
    (tmp_path / "list.csv").write_text("entity,weight\nKnott,\nKnott,\nКиев,\nLviv,0\n", encoding="utf-8")
    arguments = command(audio, tmp_path / "out", tiny, "--entities", str(tmp_path / "list.csv"))

    assert main([*arguments, "--summary", str(tmp_path / "s.json")]) == 0
    found = read_json(tmp_path / "s.json")["lint"]
    assert {kind: those["entries"] for kind, those in found["kinds"].items()} == {
        "unusable": 1,
        "duplicate": 1,
        "off": 1,
    }
    assert found["kinds"]["unusable"]["examples"][0]["entry"] == "Киев"
    assert found["checks"] == ["spelling"]
    assert "fewer than 200 utterances" in found["skipped"]["sound"]

    monkeypatch.setattr(run_lint, "_LEAST_ROWS", 1)
    monkeypatch.setattr(run_lint, "_WAIT_SECONDS", 300.0)  # a loaded machine may take minutes to start a task
    assert main([*arguments, "--output", str(tmp_path / "again"), "--summary", str(tmp_path / "s.json")]) == 0
    found = read_json(tmp_path / "s.json")["lint"]
    assert found["checks"] == ["spelling", "sound"]
    assert found["skipped"] == {}
    assert "short" in found["kinds"]
