"""A run with a session: what was clear is noted first, under either executor, and a changed list is brought into it."""

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from jobs import reprocess, transcribe
from pipeline.schemas import CLEAR
from tests.support.tiny_model import tiny_model
from tests.support.transcribing import noises, read_json, transcripts, write_corpus

SESSION = """
language_model: null
phone_fusion: null
guard: null
shortlist: {per_phone: 9.0}
cut: {above: 2, bound: -1000}
session: {clear: -1000}
"""
"""Everything fits; a model that does not hear writes none of the names, so what is noted is empty."""
RECORDINGS = ["a", "b", None, "a", "b", "a"]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("session")
    (folder / "session.yaml").write_text(SESSION)
    (folder / "list.txt").write_text("Lviv\nKyiv\nOdesa\nZakopane\n")
    tiny_model(folder / "model")
    starts = [2.0, 0.0, None, 0.0, 1.0, 1.0]
    write_corpus(folder / "a.parquet", noises(6), recording_id=RECORDINGS, start_seconds=starts)
    return folder


def command(corpus: Path, output: Path, *more: str, executor: str = "local") -> list[str]:
    fixed = ["--audio", str(corpus / "a.parquet"), "--entities", str(corpus / "list.txt"), "--output", str(output)]
    fixed += ["--model", str(corpus / "model"), "--config", str(corpus / "session.yaml"), "--executor", executor]
    return [*fixed, "--block-rows", "2", "--summary", str(output.with_suffix(".json")), *more]


def run(corpus: Path, output: Path, executor: str = "local") -> dict[str, Any]:
    assert transcribe.main(command(corpus, output, "--cache-emissions", executor=executor)) == 0
    return read_json(output.with_suffix(".json"))


def noted(record: dict[str, Any]) -> dict[str, Any]:
    files = sorted((Path(record["transcripts"]).parent / "_recordings").iterdir())
    tables = [pq.read_table(file) for file in files]
    assert all(table.schema.equals(CLEAR) for table in tables)
    rows = [row for table in tables for row in table.to_pylist()]
    return {row["utterance_id"]: row["names"] for row in rows}


@pytest.mark.usefixtures("ray_running")
def test_both_executors_note_and_write_the_same(corpus: Path, tmp_path: Path) -> None:
    here, ray = (run(corpus, tmp_path / name, name) for name in ("local", "ray"))
    assert here["fingerprint"] == ray["fingerprint"]
    assert noted(here) == noted(ray)
    assert set(noted(here)) == set(noises(6))
    assert transcripts(here["transcripts"]) == transcripts(ray["transcripts"])


def test_a_changed_list_and_what_was_noted_before(corpus: Path, tmp_path: Path) -> None:
    record = run(corpus, tmp_path / "old")
    marks = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("_recordings/*")}
    (tmp_path / "new.txt").write_text("Lviv\nKyiv\nOdesa\nZakopane\nGdynia\n")
    old = str(Path(record["transcripts"]).parent)
    more = ["--run", old, "--entities", str(tmp_path / "new.txt"), "--summary", str(tmp_path / "new.json")]
    assert reprocess.main([*more, "--num-workers", "1", "--model", str(corpus / "model")]) == 0
    (made,) = read_json(tmp_path / "new.json")
    whole = command(corpus, tmp_path / "whole", "--cache-emissions")
    whole[whole.index("--entities") + 1] = str(tmp_path / "new.txt")
    assert transcribe.main(whole) == 0
    full = read_json(tmp_path / "whole.json")
    assert made["fingerprint"] == full["fingerprint"]
    assert transcripts(made["transcripts"]) == transcripts(full["transcripts"])
    assert noted(made) == noted(full)
    assert all(file.stat().st_mtime_ns == mark for file, mark in marks.items()), "what is noted is not noted again"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ((), "needs a first pass on disk; add --cache-emissions"),
        (("--cache-emissions", "--without", "cut"), "adds to the log odds of the cut, and there is none"),
    ],
)
def test_a_session_that_could_not_act_is_said(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], more: tuple[str, ...], said: str
) -> None:
    text = SESSION.replace("cut: {above: 2, bound: -1000}\n", "") if "cut" in more else SESSION
    (tmp_path / "session.yaml").write_text(text)
    fixed = command(corpus, tmp_path / "out", *more)
    fixed[fixed.index("--config") + 1] = str(tmp_path / "session.yaml")
    assert transcribe.main(fixed) == 2
    assert said in capsys.readouterr().err
