"""jobs.transcribe in this process, with a tiny model and no language model."""

from pathlib import Path
from typing import Any

import pytest

from jobs.transcribe import main
from tests.support.transcribing import command, noises, odd_audio, read_json, transcripts, write_corpus


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory, tiny: Path) -> dict[str, Any]:
    """The record of a run over audio of every odd kind, and where things lie."""
    folder = tmp_path_factory.mktemp("odd")
    write_corpus(folder / "a.parquet", odd_audio())
    (folder / "list.txt").write_text("Lviv\nCOVID-19\n🎉\nКиев\n" + "x" * 5000 + "\n")
    arguments = command(folder / "a.parquet", folder / "out", tiny, "--entities", str(folder / "list.txt"))
    code = main([*arguments, "--summary", str(folder / "summary.json")])
    return {"code": code, "folder": folder, "arguments": arguments, **read_json(folder / "summary.json")}


def test_every_row_comes_out_and_bad_ones_say_why(odd: dict[str, Any]) -> None:
    rows = {row["utterance_id"]: row for row in transcripts(odd["transcripts"])}
    assert odd["code"] == 0
    assert sorted(rows) == sorted(odd_audio())
    assert {name for name, row in rows.items() if row["error"]} == {name for name in rows if name.startswith("bad")}
    assert all(row["error"].startswith(name) for name, row in rows.items() if row["error"])
    assert all(isinstance(row["text"], str) and row["nbest"] for row in rows.values() if not row["error"])
    assert "longer than" in rows["bad hour"]["error"]


def test_rows_carry_their_identity(odd: dict[str, Any]) -> None:
    rows = transcripts(odd["transcripts"])
    assert {row["model_id"] for row in rows} == {odd["model_id"]}
    assert {row["list_version"] for row in rows} == {odd["list_version"]}
    assert {row["config_fingerprint"] for row in rows} == {odd["config_fingerprint"]}
    assert all(len(row["audio_sha256"]) == 64 for row in rows if row["utterance_id"] != "bad no bytes")


def test_run_json_reconciles(odd: dict[str, Any]) -> None:
    assert odd == odd | read_json(Path(odd["transcripts"]).parent / "run.json")
    assert odd["status"] == "complete"
    bad = sum(name.startswith("bad") for name in odd_audio())
    counts = odd["counts"]
    assert (counts["rows_in"], counts["rows_out"], counts["reconciled"]) == (13, 13, True)
    assert (counts["missing"], counts["unexpected"], counts["repeated"]) == (0, 0, 0)
    assert sum(counts["errors"].values()) == bad == odd["stages"]["decode"]["errors"]
    assert [entry["row"] for entry in odd["entities"]["rejected"]["examples"]] == [3, 4, 5]
    assert odd["entities"]["entities"] == 2
    assert odd["stages"]["encode"]["rows"] == odd["stages"]["decode"]["rows"] == 13
    assert odd["versions"]["ray"]
    assert odd["config"]["beam"]["decoder"] == "greedy"


def test_a_complete_run_is_left_alone(odd: dict[str, Any]) -> None:
    before = {file: file.stat().st_mtime_ns for file in Path(odd["transcripts"]).parent.rglob("*") if file.is_file()}
    again = odd["folder"] / "again.json"
    assert main([*odd["arguments"], "--summary", str(again)]) == 0
    assert read_json(again)["started"] == odd["started"]
    after = {file: file.stat().st_mtime_ns for file in Path(odd["transcripts"]).parent.rglob("*") if file.is_file()}
    assert after == before
    assert not list(Path(odd["transcripts"]).parent.glob("_writing"))


def test_a_lost_record_is_written_again_without_duplicates(odd: dict[str, Any], tmp_path: Path) -> None:
    record = Path(odd["transcripts"]).parent / "run.json"
    record.unlink()
    assert main([*odd["arguments"], "--summary", str(tmp_path / "s.json")]) == 0
    counts = read_json(tmp_path / "s.json")
    assert counts["counts"] == odd["counts"]
    assert counts["resumed_rows"] == 13


def test_lists_of_the_audio_itself(tmp_path: Path, tiny: Path) -> None:
    lists = [["Lviv"], [], ["Lviv", "Kyiv"]]
    audio = write_corpus(tmp_path / "a.parquet", noises(3), entities=lists)
    assert main(command(audio, tmp_path / "out", tiny, "--summary", str(tmp_path / "s.json"))) == 0
    record = read_json(tmp_path / "s.json")
    versions = [row["list_version"] for row in transcripts(record["transcripts"])]
    assert record["list_column"] == "entities"
    assert len(set(versions)) == 3


@pytest.mark.parametrize("part", ["model", "language model"])
def test_corrupt_models_end_the_run_before_any_work(
    tmp_path: Path, tiny: Path, part: str, capsys: pytest.CaptureFixture[str]
) -> None:
    audio = write_corpus(tmp_path / "a.parquet", noises(1))
    model = tmp_path / "model"
    model.mkdir()
    for name in ("config.json", "tokenizer.model", "model.safetensors"):
        data = (tiny / name).read_bytes()
        (model / name).write_bytes(data[: len(data) // 2] if (part, name[-4:]) == ("model", "sors") else data)
    (tmp_path / "lm.binary").write_bytes(b"mmap lm http://kheafield.com/code format version 5\n\0 broken")
    config = f"language_model: {{path: {tmp_path / 'lm.binary'}, unigrams: null}}\n"
    (tmp_path / "c.yaml").write_text(config if part == "language model" else "language_model: null\n")
    arguments = ["--audio", str(audio), "--output", str(tmp_path / "out"), "--model", str(model)]
    assert main([*arguments, "--config", str(tmp_path / "c.yaml")]) == 2
    shown = capsys.readouterr().err
    assert shown.startswith("error: ")
    assert ("model.safetensors" if part == "model" else "lm.binary") in shown
    assert "Traceback" not in shown
    assert not list((tmp_path / "out").rglob("transcripts"))
