"""Bad input to jobs.transcribe: a clear error before any work, and before Ray is even imported."""

import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs.transcribe import main
from tests.support.transcribing import noises, write_corpus


@pytest.fixture(scope="module")
def audio(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("audio") / "a.parquet", noises(2))


def failure(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> str:
    """Return what the command says when it refuses its input."""
    assert main(arguments) == 2
    shown = capsys.readouterr()
    assert shown.err.startswith("error: ")
    assert "Traceback" not in shown.err
    return shown.err


def command(audio: Path, tmp_path: Path, tiny: Path, *more: str) -> list[str]:
    arguments = ["--audio", str(audio), "--output", str(tmp_path / "out"), "--model", str(tiny)]
    return [*arguments, "--config", str(tiny.parent / "greedy.yaml"), *more]


NOTHING = [{"bytes": b"", "path": ""}]
NO_ROWS = {"utterance_id": ["a"], "audio": NOTHING}
BAD_TABLES = [
    (pa.table({"utterance_id": ["a"]}), "column 'audio' is missing"),
    (pa.table({"audio": NOTHING}), "column 'utterance_id' is missing"),
    (pa.table({"utterance_id": [1], "audio": NOTHING}), "column 'utterance_id' is int64"),
    (pa.table({"utterance_id": ["a"], "audio": ["a.wav"]}), "column 'audio' is string"),
    (pa.table({"utterance_id": ["a", None], "audio": NOTHING * 2}), "has empty values"),
    (pa.table({"utterance_id": ["a", "b", "a"], "audio": NOTHING * 3}), "more than once: 'a'"),
    (pa.table(NO_ROWS).slice(0, 0), "has no utterances"),
]


@pytest.mark.parametrize(("table", "message"), BAD_TABLES, ids=[message for _, message in BAD_TABLES])
def test_bad_audio_tables(
    table: pa.Table, message: str, tmp_path: Path, tiny: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pq.write_table(table, tmp_path / "a.parquet")
    assert message in failure(capsys, command(tmp_path / "a.parquet", tmp_path, tiny))


def test_duplicate_ids_in_different_files(tmp_path: Path, tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "corpus").mkdir()
    for name in "xy":
        write_corpus(tmp_path / "corpus" / f"{name}.parquet", noises(2) | {name: None})
    message = failure(capsys, command(tmp_path / "corpus", tmp_path, tiny))
    assert "2 utterance ids occur more than once: 'n000'" in message
    assert "y.parquet" in message


def test_files_that_are_not_there_or_not_parquet(
    tmp_path: Path, tiny: Path, audio: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "does not exist" in failure(capsys, command(tmp_path / "none", tmp_path, tiny))
    data = audio.read_bytes()
    (tmp_path / "cut.parquet").write_bytes(data[: len(data) // 2])
    assert "not a parquet file, or was cut off" in failure(capsys, command(tmp_path / "cut.parquet", tmp_path, tiny))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("acoustic: {model: /none/at/all}\n", "model directory '/none/at/all' does not exist"),
        ("language_model: {path: /none/lm.binary}\n", "/none/lm.binary: cannot be read (No such file"),
        ("beam: {wdith: 3}\n", "unknown config key 'beam.wdith'"),
        ("beam: {width: many}\n", "'beam.width' must be int"),
        ("beam: [\n", "is not YAML"),
    ],
)
def test_bad_configuration(
    config: str, message: str, tmp_path: Path, audio: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "c.yaml").write_text(config)
    arguments = ["--audio", str(audio), "--output", str(tmp_path / "out"), "--config", str(tmp_path / "c.yaml")]
    assert message in failure(capsys, arguments)


def test_bad_lists(tmp_path: Path, tiny: Path, audio: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "other.tsv").write_text("someone\tlviv kyiv\n")
    arguments = command(audio, tmp_path, tiny)
    assert "none of its 1 utterance ids" in failure(capsys, [*arguments, "--entities", str(tmp_path / "other.tsv")])
    assert "does not exist" in failure(capsys, [*arguments, "--entities", str(tmp_path / "none.txt")])
    first, second = noises(2)
    (tmp_path / "half.tsv").write_text(f"{first}\tlviv kyiv\n{second}.wav\todesa oslo\n")
    said = failure(capsys, [*arguments, "--entities", str(tmp_path / "half.tsv")])
    assert f"1 of 2 lists name no utterance of the audio: '{second}.wav'; the audio has '{second}' for" in said
    assert "column 'names' for the entity lists is missing" in failure(
        capsys, [*arguments, "--entities-column", "names"]
    )


def test_an_output_that_cannot_be_written(
    tmp_path: Path, tiny: Path, audio: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    assert "is a file; needed is a folder" in failure(
        capsys, [*command(audio, tmp_path, tiny), "--output", str(tmp_path / "file")]
    )
    if os.geteuid() == 0:
        closed = "/proc/nothing/can/be/made/here"
    else:
        closed = str(tmp_path / "closed" / "out")
        (tmp_path / "closed").mkdir(mode=0o500)
    assert "cannot write" in failure(capsys, [*command(audio, tmp_path, tiny), "--output", closed])


def test_counts_below_one(tmp_path: Path, tiny: Path, audio: Path, capsys: pytest.CaptureFixture[str]) -> None:
    message = failure(capsys, command(audio, tmp_path, tiny, "--block-rows", "0"))
    assert "--block-rows must be at least 1" in message
