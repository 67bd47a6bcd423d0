"""A run of a model with other letters than a to z: lists are read in them, and readers of the run find them in it."""

import json
from pathlib import Path

import pytest

from jobs.compare import main as compare
from jobs.score import main as score
from jobs.transcribe import main as transcribe
from pipeline.entities import snapshot
from pipeline.runs.letters import alphabet_of_record
from pipeline.runs.reader import Run
from pipeline.storage import open_filesystem
from pipeline.text import ENGLISH
from tests.support.transcribing import GREEDY, noises, read_json, write_corpus
from tests.support.zoo import GERMAN, wav2vec


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run with a list in German."""
    folder = tmp_path_factory.mktemp("german")
    wav2vec(GERMAN)(folder / "model")
    (folder / "greedy.yaml").write_text(GREEDY)
    (folder / "names.txt").write_text("Jörg Müller\nStrauß\nКиев\n")
    said = ["Herr Müller hört Strauß.", "Übung"]
    audio = write_corpus(folder / "audio.parquet", noises(2), text=said)
    command = ["--audio", str(audio), "--entities", str(folder / "names.txt"), "--model", str(folder / "model")]
    command += ["--output", str(folder / "out"), "--executor", "local", "--config", str(folder / "greedy.yaml")]
    assert transcribe([*command, "--preset", "baseline", "--summary", str(folder / "run.json")]) == 0
    return Path(read_json(folder / "run.json")["transcripts"]).parent


def test_the_list_and_the_record_have_the_letters_of_the_model(run: Path) -> None:
    record = read_json(run / "run.json")
    assert record["alphabet"] == f"{ENGLISH.letters}ßäöü"
    assert record["entities"]["rejected"]["examples"][0]["entry"] == "Киев"
    alphabet = alphabet_of_record(Run(str(run)).record)
    lists = snapshot.load(open_filesystem(str(run)).join("lists"), alphabet)
    assert set(lists.of("n000").by_text) == {"jörg müller", "strauß"}


def test_score_and_compare_read_in_them(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    reference = tmp_path / "reference.tsv"
    reference.write_text("n000\tHerr Jörg Müller hört Strauß\nn001\tÜbung\n")
    written = tmp_path / "written.tsv"
    written.write_text("n000\therr jörg müller hört strauss\nn001\tubung\n")
    common = ["--reference", str(reference), "--replicates", "10"]
    assert score(["--transcripts", str(run), *common, "--output", str(tmp_path / "scores")]) == 0
    assert compare([str(written), str(run), *common, "--output", str(tmp_path / "both"), "--json"]) == 0
    first = json.loads(capsys.readouterr().out.splitlines()[-1])["first"]
    assert first["wer"]["substitutions"] == 2  # "strauss" and "ubung" are other words here
    alone = ["--hypotheses", str(written), *common, "--output", str(tmp_path / "alone"), "--json"]
    errors = []
    for more in ([], ["--alphabet", "a-zäöüß"]):
        assert score([*alone, *more]) == 0
        errors.append(json.loads(capsys.readouterr().out)["wer"]["substitutions"])
    assert errors == [0, 2]
    assert score([*alone, "--alphabet", "ä1"]) == 2
