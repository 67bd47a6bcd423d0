"""jobs.transcribe on sound files, manifests and Hugging Face parquet, and with names on the command line."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs import export, reprocess
from jobs.transcribe import main
from tests.support.audio_files import encoded, noise
from tests.support.transcribing import command, read_json, transcripts, write_corpus


def sound_folder(folder: Path, count: int = 3) -> Path:
    """``a0.wav``, ``a1.wav``, ... of noise, and a text file beside them."""
    folder.mkdir()
    for number in range(count):
        (folder / f"a{number}.wav").write_bytes(encoded(noise(0.5, seed=number)))
    (folder / "notes.txt").write_text("not audio\n")
    return folder


def runs_of(output: Path) -> list[Path]:
    return [path.parent for path in sorted(output.glob("*/run.json"), key=lambda path: path.stat().st_mtime_ns)]


def ids_of(output: Path) -> list[str]:
    return [row["utterance_id"] for row in transcripts(runs_of(output)[-1] / "transcripts")]


def test_a_folder_is_ingested_once_and_transcribed(
    tmp_path: Path, tiny: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, output = sound_folder(tmp_path / "recordings"), tmp_path / "out"
    assert main(command(source, output, tiny)) == 0
    said = capsys.readouterr().out
    (corpus,) = (output / "audio").iterdir()
    assert f"ingested into {corpus}" in said
    assert "note: 1 files are not audio and were left out: notes.txt" in said
    (run,) = runs_of(output)
    assert ids_of(output) == ["a0", "a1", "a2"]
    audio = read_json(run / "run.json")["audio"]
    assert audio["path"] == str(corpus)
    assert audio["given"] == str(source)
    assert (audio["ingest"]["rows"], audio["ingest"]["not_audio"]) == (3, 1)
    shards = {path: path.stat().st_mtime_ns for path in corpus.glob("*.parquet")}

    assert main(command(source, output, tiny)) == 0
    said = capsys.readouterr().out
    assert f"ingested before, nothing to ingest: {corpus}" in said
    assert "note: 1 files are not audio" in said
    assert f"complete already, nothing to do: {run}" in said
    assert {path: path.stat().st_mtime_ns for path in corpus.glob("*.parquet")} == shards


def test_what_is_ingested_is_known_by_its_content(tmp_path: Path, tiny: Path) -> None:
    source, output = sound_folder(tmp_path / "recordings"), tmp_path / "out"
    assert main(command(source, output, tiny)) == 0
    shutil.move(source, tmp_path / "moved")
    os.utime(tmp_path / "moved/a0.wav", (1, 1))
    assert main(command(tmp_path / "moved", output, tiny)) == 0
    assert len(list((output / "audio").iterdir())) == len(runs_of(output)) == 1

    other = (tmp_path / "moved/a1.wav").read_bytes()
    (tmp_path / "moved/a0.wav").write_bytes(other)  # as long as before
    assert main(command(tmp_path / "moved", output, tiny)) == 0
    assert len(list((output / "audio").iterdir())) == len(runs_of(output)) == 2

    assert main(command(tmp_path / "moved", output, tiny, "--channels", "left")) == 0
    assert len(list((output / "audio").iterdir())) == 3


def test_an_ingest_that_was_broken_off_is_finished(tmp_path: Path, tiny: Path) -> None:
    source, output = sound_folder(tmp_path / "recordings"), tmp_path / "out"
    assert main(command(source, output, tiny)) == 0
    (corpus,) = (output / "audio").iterdir()
    (shard,) = corpus.glob("*.parquet")
    whole = shard.read_bytes()
    shard.unlink()
    assert main(command(source, output, tiny)) == 0
    assert shard.read_bytes() == whole
    (corpus / "_SUCCESS").unlink()
    shutil.move(source, tmp_path / "moved")
    assert main(command(tmp_path / "moved", output, tiny)) == 0
    assert shard.read_bytes() == whole


def test_one_file_and_a_manifest(tmp_path: Path, tiny: Path) -> None:
    source = sound_folder(tmp_path / "recordings")
    assert main(command(source / "a1.wav", tmp_path / "one", tiny)) == 0
    assert ids_of(tmp_path / "one") == ["a1"]
    rows = [{"audio_filepath": f"recordings/a{number}.wav", "text": "to leeds"} for number in (0, 2)]
    (tmp_path / "m.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert main(command(tmp_path / "m.jsonl", tmp_path / "two", tiny)) == 0
    assert ids_of(tmp_path / "two") == ["recordings/a0", "recordings/a2"]


def hugging_face(folder: Path, audio: pa.Array, **columns: list[str]) -> Path:
    table = pa.table({"audio": audio, **columns})
    pq.write_table(table, folder / "train.parquet")
    return folder


PATHS = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
SAMPLES = pa.struct([("array", pa.list_(pa.float32())), ("sampling_rate", pa.int64())])


@pytest.mark.parametrize("kind", ["paths", "texts", "samples", "other ids"])
def test_hugging_face_parquet_that_is_not_ours_is_ingested(kind: str, tmp_path: Path, tiny: Path) -> None:
    source = sound_folder(tmp_path / "data", 2)
    names = ["a0.wav", "a1.wav"]
    ids = {"utterance_id": ["x", "y"]}
    if kind == "paths":
        hugging_face(source, pa.array([{"bytes": None, "path": name} for name in names], PATHS), **ids)
    elif kind == "texts":
        hugging_face(source, pa.array(names), **ids)
    elif kind == "samples":
        spoken: list[dict[str, Any]] = [{"array": noise(0.5, seed=at), "sampling_rate": 16_000} for at in range(2)]
        hugging_face(source, pa.array(spoken, SAMPLES), **ids)
    else:
        held = [{"bytes": (source / name).read_bytes(), "path": name} for name in names]
        hugging_face(source, pa.array(held, PATHS), id=["x", "y"])
    assert main(command(source, tmp_path / "out", tiny)) == 0
    rows = transcripts(runs_of(tmp_path / "out")[-1] / "transcripts")
    assert [(row["utterance_id"], row["error"]) for row in rows] == [("x", None), ("y", None)]
    if kind in ("paths", "texts"):  # the content of the files that are named counts too
        (source / "a0.wav").write_bytes((source / "a1.wav").read_bytes())
        assert main(command(source, tmp_path / "out", tiny)) == 0
        assert len(runs_of(tmp_path / "out")) == 2


def test_another_column_can_hold_the_ids(tmp_path: Path, tiny: Path) -> None:
    audio = write_corpus(tmp_path / "a.parquet", {"x": encoded(noise(0.5)), "y": None}, name=["first", "second"])
    assert main(command(audio, tmp_path / "out", tiny, "--id-column", "name")) == 0
    assert ids_of(tmp_path / "out") == ["first", "second"]


def test_channels_are_taken_apart(tmp_path: Path, tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    left = noise(0.5)
    (tmp_path / "call.wav").write_bytes(encoded(np.stack([left, -left], axis=1)))
    assert main(command(tmp_path / "call.wav", tmp_path / "mix", tiny)) == 0
    assert "--channels left, right or split takes them apart" in capsys.readouterr().out
    assert main(command(tmp_path / "call.wav", tmp_path / "split", tiny, "--channels", "split")) == 0
    assert len(ids_of(tmp_path / "split")) == 2


def test_reprocessing_and_export_after_it(tmp_path: Path, tiny: Path) -> None:
    source, output = sound_folder(tmp_path / "recordings"), tmp_path / "out"
    assert main(command(source, output, tiny, "--cache-emissions", "--names", "Leeds", "--preset", "boosting")) == 0
    (run,) = runs_of(output)
    (tmp_path / "new.txt").write_text("Leeds\nYork\n")
    assert reprocess.main(["--run", str(run), "--entities", str(tmp_path / "new.txt"), "--executor", "local"]) == 0
    old, new = (read_json(one / "run.json") for one in runs_of(output))
    assert new["audio"] == old["audio"]
    arguments = ["--run", str(run), "--format", "srt", "--audio", old["audio"]["path"], "--output", str(tmp_path / "s")]
    assert export.main(arguments) == 0


def test_sound_files_beside_parquet_are_said(tmp_path: Path, tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = sound_folder(tmp_path / "data", 2)
    write_corpus(source / "corpus.parquet", {"x": encoded(noise(0.5))})
    assert main(command(source, tmp_path / "out", tiny)) == 0
    assert "note: 2 sound files beside the parquet are left out" in capsys.readouterr().out
    (run,) = runs_of(tmp_path / "out")
    assert read_json(run / "run.json")["audio"] == {
        "path": str(source), "given": str(source), "left_out": 2, "ingest": None
    }  # fmt: skip


def refused(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> str:
    assert main(arguments) == 2
    said = capsys.readouterr().err
    assert "Traceback" not in said
    return said


def test_what_cannot_be_meant_is_refused_before_work(
    tmp_path: Path, tiny: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, output = sound_folder(tmp_path / "recordings"), tmp_path / "out"
    (tmp_path / "empty").mkdir()
    assert "nothing to ingest was found" in refused(capsys, command(tmp_path / "empty", output, tiny))
    assert "lies in the source" in refused(capsys, command(source, source / "out", tiny))
    assert "give the folder" in refused(capsys, command(source / "*.wav", output, tiny))
    missing = command(source, output, tiny, "--entities", "Anna Kowalska")
    assert "names themselves go with --names" in refused(capsys, missing)
    assert "does not exist" in refused(capsys, command(source, output, tiny, "--entities", "none.txt"))
    assert "does not exist" in refused(capsys, [*command(source, output, tiny), "--model", "/none"])
    assert not (output / "audio").exists()
    assert "--channels is for audio" in refused(
        capsys, ["--emissions", "e", "--output", str(output), "--channels", "left"]
    )


def test_names_on_the_command_line_are_a_list(tmp_path: Path, tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    audio, output = write_corpus(tmp_path / "a.parquet", {"x": encoded(noise(0.5))}), tmp_path / "out"
    (tmp_path / "list.txt").write_text("Gdynia\nAnna Kowalska\n")
    assert main(command(audio, output, tiny, "--names", "Anna Kowalska, Gdynia")) == 0
    assert main(command(audio, output, tiny, "--entities", str(tmp_path / "list.txt"))) == 0
    (run,) = runs_of(output)  # the same names are the same run, however they are given
    record = read_json(run / "run.json")
    assert record["entities"]["entities"] == 2
    assert pq.read_table(run / "lists/entities.parquet")["display_as"].to_pylist() == ["Anna Kowalska", "Gdynia"]

    more = ["--entities", str(tmp_path / "list.txt"), "--names", "Leeds", "--names", "York,Leeds, ?"]
    assert main(command(audio, output, tiny, *more)) == 0
    entities = read_json(runs_of(output)[-1] / "run.json")["entities"]
    assert (entities["entities"], entities["rejected"]["count"], entities["merged"]["count"]) == (4, 1, 1)

    (tmp_path / "each.jsonl").write_text('{"utterance_id": "x", "entities": ["Leeds"]}\n')
    capsys.readouterr()
    for given, message in (
        (["--names", " , "], "--names holds no name"),
        (["--names", str(tmp_path / "list.txt")], "give --entities"),
        (["--names", "York", "--entities", str(tmp_path / "each.jsonl")], "has a list per utterance"),
    ):
        assert message in refused(capsys, command(audio, output, tiny, *given))
