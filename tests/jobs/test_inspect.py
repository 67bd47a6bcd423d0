"""`rollcall inspect`: what a model is and which techniques work with it."""

import json
from pathlib import Path

import pytest

from jobs.inspect import main
from tests.support.checkpoints import save_wav2vec
from tests.support.tiny_model import tiny_model
from tests.support.zoo import GERMAN, mms, trainers, wav2vec


def facts(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, object]:
    assert main([*arguments, "--json"]) == 0
    found: dict[str, object] = json.loads(capsys.readouterr().out)
    return found


def works(found: dict[str, object]) -> dict[str, str]:
    return {one["part"]: one["works"] for one in found["techniques"]}  # type: ignore[attr-defined]


def test_of_the_default_model_everything_works(capsys: pytest.CaptureFixture[str]) -> None:
    found = facts(capsys, "models/base_en_ctc")
    assert set(works(found).values()) == {"yes"}
    assert (found["alphabet"], found["language"], found["phones"]) == ("abcdefghijklmnopqrstuvwxyz", "en", 39)
    assert (found["frame_seconds"], found["delimiter"], found["is_default"]) == (0.04, None, True)
    assert found["wall_seconds"] < 10  # type: ignore[operator]


def test_a_model_without_phones_has_boosting_and_class(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_wav2vec(tmp_path, "wav2vec2-layer")
    (tmp_path / "README.md").write_text("---\nlanguage:\n- en\n---\n# A card\n")
    (tmp_path / "plain.yaml").write_text("acoustic: {phones: null}\n")
    found = facts(capsys, str(tmp_path), "--config", str(tmp_path / "plain.yaml"))
    assert {part for part, answer in works(found).items() if answer == "yes"} == {
        "language_model", "boosting", "boost_class",
    }  # fmt: skip
    assert (found["kind"], found["delimiter"], found["frame_seconds"]) == ("Wav2Vec2ForCTC", "|", 0.02)
    assert (found["language"], found["adapter"], found["phones"]) == ("en", None, 0)
    assert main([str(tmp_path)]) == 0  # its card says English: phones come along
    shown = " ".join(capsys.readouterr().out.split())
    assert "delimiter '|'" in shown
    assert shown.count("yes listens to 39 phones") == 6
    assert "partly was fitted on the default model" in shown  # the guard


def test_a_german_model_is_told_that_the_language_model_is_english(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wav2vec(GERMAN)(tmp_path)
    found = facts(capsys, str(tmp_path))
    assert (found["alphabet"], found["lacks"]) == ("abcdefghijklmnopqrstuvwxyzßäöü", "")
    assert (works(found)["language_model"], works(found)["boosting"]) == ("partly", "yes")
    assert found["language_model"]["unknown"] == "ßäöü"  # type: ignore[index]
    (tmp_path / "no_lm.yaml").write_text("language_model: null\nboost_class: null\n")
    assert works(facts(capsys, str(tmp_path), "--config", str(tmp_path / "no_lm.yaml")))["language_model"] == "no"


def test_one_language_of_many(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mms("deu")(tmp_path / "mms")
    english, german = (facts(capsys, str(tmp_path / "mms"), *more) for more in ([], ["--language", "deu"]))
    assert (english["language"], german["language"], german["languages"]) == ("eng", "deu", ["deu", "eng"])
    assert "ä" in str(german["alphabet"])


def test_a_model_of_ours_that_is_not_the_default(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = facts(capsys, str(tiny_model(tmp_path / "tiny")))
    assert works(found)["guard"] == "partly"  # it was fitted on another
    assert works(found)["adapter"] == "no"


def test_what_is_missing_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trainers(tmp_path / "checkpoint-500")
    assert main([str(tmp_path / "checkpoint-500")]) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith(f"error: {tmp_path}/checkpoint-500: vocab.json or ")
    assert said.endswith(f"{tmp_path} has it: copy it from there.")
