"""`rollcall calibrate`: what it writes, which runs take it, and what it refuses."""

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from jobs import calibrate, inspect, transcribe
from pipeline.acoustic.adapter_files import resolved
from pipeline.acoustic.calibration_files import configured, read_calibration
from pipeline.calibration.write import write_calibration
from pipeline.config import AUTO, LETTERS, AcousticConfig, RunConfig, baseline, joint, override
from pipeline.config.fingerprint import config_fingerprint
from pipeline.errors import ConfigError, ModelError
from pipeline.rescoring.guard import PLAIN, read_judge
from tests.support.checkpoints import save_wav2vec
from tests.support.tiny_model import tiny_model
from tests.support.transcribing import noises, read_json, write_corpus

DEMO = "examples/demo.parquet"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's model without phones, ours that hears them beside it, and a calibration of it beside the model."""
    folder = tmp_path_factory.mktemp("calibrated")
    save_wav2vec(folder / "model", "wav2vec2-layer")
    ours = tiny_model(folder / "ours")
    (folder / "run.yaml").write_text(f"acoustic: {{phones: {ours}}}\nbeam: {{width: 8}}\n")
    texts = ["nothing that anybody ever said", "kyiv and zelenskyy", "a third text", "the last of them"]
    write_corpus(folder / "audio.parquet", noises(4), text=texts, speaker=["a", "b", "a", "b"])
    assert calibrate.main([*command(folder), "--trials", "2", "--output", str(folder / "model_calibration")]) == 0
    return folder


def command(folder: Path) -> list[str]:
    named = ["--model", str(folder / "model"), "--config", str(folder / "run.yaml")]
    return [*named, "--audio", str(folder / "audio.parquet")]


def run(folder: Path, capsys: pytest.CaptureFixture[str], *more: str) -> tuple[dict[str, Any], str]:
    (folder / "names.txt").write_text("Zelenskyy\nKyiv\n")
    said = ["--entities", str(folder / "names.txt"), "--output", str(folder / "out"), "--executor", "local"]
    assert transcribe.main([*command(folder), *said, "--summary", str(folder / "run.json"), *more]) == 0
    return read_json(folder / "run.json"), capsys.readouterr().out


def test_the_directory_is_small_and_says_what_it_is(place: Path) -> None:
    folder = place / "model_calibration"
    assert {path.name for path in folder.iterdir()} == {"calibration.json", "guard.json", "CARD.md"}
    found = read_calibration(folder)
    assert found.measured["utterances"] == 4
    assert found.measured["labelled"] is True
    assert found.measured["trees_plain"] == "the shipped ones"  # noise proposes nothing to learn from
    judge = read_judge(folder / "guard.json")
    shipped = [read_judge(Path(joint().guard.weights), part) for part in (PLAIN, "adapted")]  # type: ignore[union-attr]
    assert judge.doubt is None  # it writes no names by itself
    assert judge.bound(20) == max(one.bound(20) for one in shipped)
    assert [bound for _, bound in judge.bounds] == sorted((bound for _, bound in judge.bounds), reverse=True)
    assert "Of the model" in (folder / "CARD.md").read_text()


def test_a_run_finds_it_beside_the_model_and_says_so(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record, said = run(place, capsys)
    assert record["calibration"]["of"] == str(place / "model_calibration")
    assert record["config"]["guard"]["weights"] == str(place / "model_calibration" / "guard.json")
    assert (record["config"]["guard"]["cautious"], "stricter" in said) == (False, False)
    assert record["config"]["guard"]["doubts"] is True
    (place / "none.yaml").write_text((place / "run.yaml").read_text().replace("{phones", "{calibration: null, phones"))
    without, said = run(place, capsys, "--config", str(place / "none.yaml"))
    assert without["fingerprint"] != record["fingerprint"]
    assert without["config"]["guard"]["cautious"] is True
    assert "stricter of its bounds" in said
    assert "stricter of its bounds" in without["calibration"]["note"]


def test_inspect_shows_it(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert inspect.main([str(place / "model"), "--config", str(place / "run.yaml"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["calibration"] == str(place / "model_calibration")
    guard = next(one for one in found["techniques"] if one["part"] == "guard")
    assert (guard["works"], guard["why"].startswith("fitted to this model")) == ("yes", True)


def test_the_same_command_goes_on_from_what_is_kept(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (place / "model_calibration" / "calibration.json").read_text()
    assert calibrate.main([*command(place), "--trials", "2", "--output", str(place / "model_calibration")]) == 0
    said = capsys.readouterr().out
    assert "hearing" not in said
    assert "trial" not in said
    assert (place / "model_calibration" / "calibration.json").read_text() == before


def test_what_a_user_sets_is_put_over_it(tmp_path: Path) -> None:
    ours = write_by_hand(tmp_path, AcousticConfig().model, {"language_model": {"alpha": 0.6, "beta": 0.25}})
    acoustic = {"calibration": str(ours)}
    (tmp_path / "mine.yaml").write_text("language_model: {alpha: 0.9}\n")
    for preset in (baseline(), joint()):
        config = configured(preset, str(tmp_path / "mine.yaml"), acoustic)
        assert config.language_model is not None
        assert (config.language_model.alpha, config.language_model.beta) == (0.9, 0.25)
    (tmp_path / "no_lm.yaml").write_text("language_model: null\n")
    assert configured(baseline(), str(tmp_path / "no_lm.yaml"), acoustic).language_model is None


def write_by_hand(folder: Path, model: str, values: dict[str, dict[str, float]]) -> Path:
    config: RunConfig = resolved(override(joint(), {"acoustic": {"model": model, "calibration": None}}))
    write_calibration(folder / "by_hand", config, values, {"confusions.json": {"ph": {"f": 0.5}}}, {})
    return folder / "by_hand"


def test_letters_that_it_was_fitted_with_are_heard(place: Path, tmp_path: Path) -> None:
    acoustic = {"model": str(place / "model"), "calibration": None, "phones": LETTERS}
    write_calibration(tmp_path / "letters", resolved(override(joint(), {"acoustic": acoustic})), {}, {}, {})
    named = {"model": str(place / "model"), "calibration": str(tmp_path / "letters")}
    by_letters = configured(joint(), None, named)
    assert by_letters.acoustic.phones == LETTERS
    assert by_letters.guard is not None
    assert by_letters.guard.doubts is False
    assert configured(joint(), None, named | {"phones": None}).acoustic.phones is None


def test_one_of_another_model_or_that_was_changed_is_refused(place: Path, tmp_path: Path) -> None:
    by_hand = write_by_hand(tmp_path, AcousticConfig().model, {})
    with pytest.raises(ConfigError, match=r"by_hand: was fitted with another model.*calibrate again"):
        configured(joint(), None, {"model": str(place / "model"), "calibration": str(by_hand)})
    (tmp_path / "other_lm.yaml").write_text(f"language_model: {{path: {place / 'run.yaml'}}}\n")
    with pytest.raises(ConfigError, match="another language model"):
        configured(joint(), str(tmp_path / "other_lm.yaml"), {"calibration": str(by_hand)})
    (by_hand / "confusions.json").write_text("{}")
    with pytest.raises(ModelError, match=r"confusions\.json changed since"):
        configured(joint(), None, {"calibration": str(by_hand)})
    with pytest.raises(ModelError, match="is no calibration"):
        configured(joint(), None, {"calibration": str(tmp_path)})


def test_the_default_model_is_as_it_was() -> None:
    config = configured(joint())
    assert config.acoustic.calibration is None
    assert config.guard is not None
    assert not config.guard.cautious
    assert config.guard.doubts is None
    assert config_fingerprint(config) == config_fingerprint(joint())
    assert joint().acoustic.calibration == AUTO


def test_speech_that_nobody_transcribed_fits_spelling_and_bounds(tmp_path: Path) -> None:
    rows = pq.read_table(DEMO).slice(0, 6).drop_columns(["text"])
    pq.write_table(rows, tmp_path / "audio.parquet")
    (tmp_path / "run.yaml").write_text("beam: {width: 16}\nadapter: null\n")
    said = ["--audio", str(tmp_path / "audio.parquet"), "--config", str(tmp_path / "run.yaml")]
    assert calibrate.main([*said, "--output", str(tmp_path / "mine")]) == 0
    found = read_calibration(tmp_path / "mine")
    assert found.measured["labelled"] is False
    assert found.values == {}  # weights need texts
    assert "wer" not in found.measured
    shown = [row for row in found.measured["guard_rows"] if row["rate"] == 60]
    assert {row["set"] for row in shown} <= {"alike"}


def test_bad_input_is_a_clear_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pq.write_table(pq.read_table(DEMO).slice(0, 2).drop_columns(["text"]), tmp_path / "bare.parquet")
    said = ["--output", str(tmp_path / "out"), "--audio"]
    assert calibrate.main([*said, DEMO, str(tmp_path / "bare.parquet")]) == 2
    assert "bare.parquet: has no text, and other files have" in capsys.readouterr().err
    assert calibrate.main([*said, str(tmp_path / "none.parquet")]) == 2
    assert "no such file" in capsys.readouterr().err
    assert calibrate.main([*said, DEMO, "--trials", "0"]) == 2
    assert "--trials must be 1 or more, got 0" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
