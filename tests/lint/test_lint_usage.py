"""What the linter expects of a list on the audio of a run, from its transcripts and from its cached first pass."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs.lint_list import main
from pipeline.lexicon.phones import PHONE_IDS
from pipeline.runs.emission_cache import write_emissions
from pipeline.schemas import EMISSIONS, TRANSCRIPTS

UTTERANCES = 400
SECONDS = 9.0


def write_run(folder: Path, emissions: str | None = None) -> Path:
    """An hour of "he and not she", in which the run wrote "knott" for "not" in every tenth utterance."""
    rows = []
    for number in range(UTTERANCES):
        row: dict[str, Any] = {"utterance_id": f"u{number:03d}", "duration_seconds": SECONDS, "text": "he and not she"}
        if number % 10 == 0:
            place = {"start_word": 2, "end_word": 3, "start_seconds": 1.0, "end_seconds": 2.0}
            names = {"entity": "knott", "display_as": "Knott", "alternative": "not"}
            row |= {"text": "he and knott she", "entities": [names | place]}
        rows.append(row)
    (folder / "transcripts").mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(rows, schema=TRANSCRIPTS), folder / "transcripts" / "0.parquet")
    (folder / "run.json").write_text(json.dumps({"emissions": emissions and {"folder": emissions}}))
    return folder


def write_cache(folder: Path) -> str:
    """A first pass in which every utterance is heard as HH IY, AE N D, N AA T, SH IY: [T, 40] log-probabilities."""
    phones = np.full((11, 40), -9.0, np.float16)
    for frame, phone in enumerate(["HH", "IY", "AE", "N", "D", "N", "AA", "T", "SH", "IY"]):
        phones[frame, PHONE_IDS[phone] + 1] = -0.1
    phones[10, 0] = -0.1
    base = {"duration_seconds": SECONDS, "frames": 11, "k": 1, "phones": 40, "phone_log_probs": phones.ravel()}
    base |= {"token_ids": np.zeros(11, np.int16), "token_log_probs": np.zeros(11, np.float16), "model_id": "m"}
    rows = [{"utterance_id": f"u{number:03d}", **base} for number in range(UTTERANCES)]
    folder.mkdir()
    write_emissions(pa.Table.from_pylist(rows, schema=EMISSIONS), folder / "0.parquet")
    return str(folder)


def found_in(run: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, Any], list[str]]:
    (run.parent / "list.txt").write_text("Knott\nVolodymyr Zelenskyy\nSheila Handler\n")
    code = main([str(run.parent / "list.txt"), "--audio-run", str(run), "--json"])
    facts = json.loads(capsys.readouterr().out)
    kinds = {kind: those["examples"] for kind, those in facts["kinds"].items() if "false_accepts" in kind}
    return code, kinds, facts["checks"]


def test_from_transcripts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, kinds, checks = found_in(write_run(tmp_path / "run"), capsys)
    (finding,) = [one for those in kinds.values() for one in those]
    assert finding["entry"] == "Knott"
    assert "400/h not" in finding["detail"]  # where Knott was written, "not" is what would stand there
    assert "weight" in finding["suggestion"] or "drop" in finding["suggestion"]
    assert checks[-1] == "transcripts of 1.00 h"
    assert code == (1 if "many_false_accepts" in kinds else 0)


def test_from_the_cached_first_pass(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = write_run(tmp_path / "run", write_cache(tmp_path / "cache"))
    _, kinds, checks = found_in(run, capsys)
    (finding,) = [one for those in kinds.values() for one in those]
    assert finding["entry"] == "Knott"
    assert "360/h utterances that it fits" in finding["detail"]  # 400 less the 40 in which it was written
    assert checks[-1] == "cached first pass of 1.00 h"


def test_a_run_without_times_cannot_be_used(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    (run / "transcripts").mkdir(parents=True)
    row = {"utterance_id": "a", "text": "x"}
    pq.write_table(pa.Table.from_pylist([row], schema=TRANSCRIPTS), run / "transcripts" / "0.parquet")
    (run / "run.json").write_text("{}")
    (tmp_path / "list.txt").write_text("Knott\n")
    assert main([str(tmp_path / "list.txt"), "--audio-run", str(run)]) == 2
    assert "how long its audio is" in capsys.readouterr().err
