"""The executor in this process: what Ray writes, without Ray.

Either finishes what the other began: test_transcribe_resume.
"""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from jobs.run import local_run
from jobs.run.executor import LOCAL, RAY, Choice, Size, choose
from jobs.transcribe import main
from pipeline.errors import ConfigError
from pipeline.runs.checkpoint import finished_ids
from pipeline.runs.folder import RunFolder
from pipeline.runs.manifest import problems
from pipeline.storage import open_filesystem, read_bytes, write_atomic
from tests.support.killed_runs import BLOCK, ROOT, START_SECONDS, UTTERANCES, kill_after, start, written
from tests.support.servers import moto_endpoint, new_bucket, options_for
from tests.support.tiny_adapter import eager, save_beside
from tests.support.tiny_model import tiny_model
from tests.support.transcribing import noises, odd_audio, read_json, transcripts, write_corpus


def run(folder: Path, tiny: Path, *more: str, executor: str = LOCAL, code: int = 0) -> dict[str, Any]:
    """Transcribe into ``folder / executor`` and return the record of the run."""
    summary = folder / f"{executor}.json"
    command = ["--output", str(folder / executor), "--executor", executor, "--summary", str(summary)]
    command += ["--model", str(tiny), "--config", str(tiny.parent / "greedy.yaml"), "--block-rows", "4"]
    assert main([*command, *more]) == code
    return read_json(summary) if code == 0 else {}


def kinds_of_files(record: dict[str, Any]) -> set[str]:
    """Return what lies in which folder of the run, whatever the names of files of rows."""
    root = Path(record["transcripts"]).parent
    files = [file.relative_to(root) for file in root.rglob("*") if file.is_file()]
    return {str(file.with_name(f"*{file.suffix}") if len(file.parts) > 1 else file) for file in files}


@pytest.mark.usefixtures("ray_running")
def test_both_write_the_same(tmp_path: Path, tiny: Path) -> None:
    lists = [["Lviv"], ["Lviv", "Kyiv"]] * 4 + [[]] * len(odd_audio())
    audio = write_corpus(tmp_path / "a.parquet", noises(8) | odd_audio(), entities=lists)
    here, ray = (run(tmp_path, tiny, "--audio", str(audio), executor=name) for name in (LOCAL, RAY))
    assert transcripts(here["transcripts"]) == transcripts(ray["transcripts"])
    assert here.keys() == ray.keys()
    same = ("fingerprint", "config", "audio_version", "model", "model_id", "counts", "lint", "versions", "audio_hours")
    assert {name: here[name] for name in same} == {name: ray[name] for name in same}
    assert {name: facts.keys() for name, facts in here["stages"].items()} == {
        name: facts.keys() for name, facts in ray["stages"].items()
    }
    for stage in ("encode", "decode"):
        assert [here["stages"][stage][name] for name in ("rows", "errors", "audio_seconds")] == [
            ray["stages"][stage][name] for name in ("rows", "errors", "audio_seconds")
        ]
    kept = [{name: facts.get("mean") for name, facts in record["candidates"].items()} for record in (here, ray)]
    assert kept[0] == kept[1]
    assert kept[0]["listed"] > 0
    assert kinds_of_files(here) == kinds_of_files(ray)
    folders = [RunFolder(open_filesystem(record["transcripts"]).parent) for record in (here, ray)]
    assert finished_ids(folders[0]) == finished_ids(folders[1]) == {*noises(8), *odd_audio()}
    assert [problems(folder) for folder in folders] == [[], []]


def test_an_interrupted_run_goes_on_where_it_stopped(tmp_path: Path, tiny: Path) -> None:
    audio = write_corpus(tmp_path / "a.parquet", noises(UTTERANCES))
    first = start(audio, tmp_path / "out", tiny, LOCAL)
    kill_after(first, tmp_path / "out", 3, signal.SIGINT)
    assert first.returncode == 130
    done = written(tmp_path / "out")
    last = start(audio, tmp_path / "out", tiny, LOCAL)
    assert last.communicate(timeout=START_SECONDS) is not None
    assert last.returncode == 0
    record = read_json(tmp_path / "out.json")
    assert record["resumed_rows"] == done * BLOCK
    assert record["stages"]["encode"]["rows"] == UTTERANCES - done * BLOCK
    assert record["counts"]["reconciled"]


def test_a_local_run_never_imports_ray(tmp_path: Path, tiny: Path) -> None:
    audio = write_corpus(tmp_path / "a.parquet", noises(3) | {"bad": b"no audio"})
    (tmp_path / "list.txt").write_text("Lviv\n")
    command = ["--audio", str(audio), "--entities", str(tmp_path / "list.txt"), "--output", str(tmp_path / "out")]
    command += ["--model", str(tiny), "--cache-emissions"]
    code = f"import sys; from jobs import transcribe; print(transcribe.main({command!r}), 'ray' in sys.modules)"
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "0 False", done.stderr
    assert "in this process, without Ray: about 0.1 min of audio, estimated from its bytes and 3 decoded" in done.stdout
    (warning,) = [json.loads(line) for line in done.stderr.splitlines() if line.startswith("{")]
    assert (warning["stage"], warning["utterance_id"], warning["node_id"]) == ("encode", "bad", None)


def test_a_cached_first_pass_and_a_run_from_it(tmp_path: Path, tiny: Path) -> None:
    lists = [["Lviv"], ["Lviv", "Kyiv"], [], ["Odesa"]] * 3
    audio = str(write_corpus(tmp_path / "a.parquet", noises(11) | {"bad": b"no audio"}, entities=lists))
    direct = run(tmp_path, tiny, "--audio", audio)
    for name in ("cached", "again"):
        (tmp_path / name).mkdir()
    cached = run(tmp_path / "cached", tiny, "--audio", audio, "--cache-emissions")
    again = run(tmp_path / "again", tiny, "--emissions", cached["emissions"]["folder"])
    assert transcripts(direct["transcripts"]) == transcripts(cached["transcripts"]) == transcripts(again["transcripts"])
    assert cached["emissions"]["rows"] == 12
    assert "encode" not in again["stages"]
    assert (again["fingerprint"], again["model_id"]) == (direct["fingerprint"], direct["model_id"])


@pytest.mark.usefixtures("ray_running")
def test_with_an_adapter(tmp_path: Path, tiny: Path) -> None:
    """Here it runs beside the decoder, with Ray beside the encoder."""
    audio = str(write_corpus(tmp_path / "a.parquet", noises(5)))
    base = tiny_model(tmp_path / "base")
    save_beside(base, eager(base))
    (tmp_path / "list.txt").write_text("Quirinus\nZebedee\n")
    (tmp_path / "greedy.yaml").write_text(
        "language_model: null\nphone_fusion: null\nshortlist: null\nbeam: {decoder: greedy}\n"
    )
    more = ["--audio", audio, "--entities", str(tmp_path / "list.txt"), "--preset", "adapter"]
    here, ray, plain = (
        transcripts(run(tmp_path, base, *more, *also, executor=name)["transcripts"])
        for name, also in ((LOCAL, []), (RAY, []), (LOCAL, ["--preset", "baseline"]))
    )
    assert here == ray
    assert [row["text"] for row in here] != [row["text"] for row in plain]


def test_beside_a_gpu_the_threads_decode_audio_and_full_batches_are_encoded(
    tmp_path: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    audio = str(write_corpus(tmp_path / "a.parquet", noises(21) | {"bad": b"no audio"}))
    cores = run(tmp_path, tiny, "--audio", audio)
    monkeypatch.setattr(local_run, "_has_gpu", lambda _: True)
    capsys.readouterr()
    (tmp_path / "gpu").mkdir()
    gpu = run(tmp_path / "gpu", tiny, "--audio", audio, "--cache-emissions", "--num-encoders", "2")
    assert transcripts(gpu["transcripts"]) == transcripts(cores["transcripts"])
    assert [(name, facts["workers"], facts["rows"], facts["errors"]) for name, facts in gpu["stages"].items()] == [
        ("audio", 2, 22, 1),
        ("encode", 1, 22, 1),
        ("decode", 1, 22, 1),
    ]
    logged = [json.loads(line) for line in capsys.readouterr().err.splitlines() if line.startswith("{")]
    assert [(line["stage"], line["utterance_id"]) for line in logged] == [("audio", "bad")]


def test_rows_with_errors_are_done_again(tmp_path: Path, tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    audio = str(write_corpus(tmp_path / "a.parquet", noises(5) | {"bad": b"no audio"}))
    first = run(tmp_path, tiny, "--audio", audio)
    again = run(tmp_path, tiny, "--audio", audio, "--retry-errors")
    assert "1 utterances had an error and are done again" in capsys.readouterr().out
    assert again["stages"]["encode"]["rows"] == 1
    assert again["counts"] == first["counts"]
    assert transcripts(again["transcripts"]) == transcripts(first["transcripts"])


def test_a_run_that_fails_at_large_ends(tmp_path: Path, tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    audio = str(write_corpus(tmp_path / "a.parquet", {f"bad{at:04d}": b"no audio" for at in range(2000)}))
    run(tmp_path, tiny, "--audio", audio, "--max-error-rate", "0.1", code=1)
    said = capsys.readouterr().err
    assert "utterances have an error after 'encode' (100.0%; --max-error-rate is 10.0%)" in said
    assert said.count('"utterance_id"') < 500, "it ended soon"
    assert not list(tmp_path.rglob("run.json"))


def test_from_bucket_to_bucket(tmp_path: Path, tiny: Path) -> None:
    with moto_endpoint() as endpoint:
        options = options_for(endpoint)
        bucket = new_bucket(options).path
        audio = write_corpus(tmp_path / "a.parquet", noises(6))
        write_atomic(open_filesystem(f"s3://{bucket}/in/a.parquet", options), audio.read_bytes())
        more = ["--audio", f"s3://{bucket}/in", "--output", f"s3://{bucket}/out", "--storage-options"]
        record = run(tmp_path, tiny, *more, json.dumps(options))
        folder = RunFolder(open_filesystem(record["transcripts"], options).parent)
        assert json.loads(read_bytes(folder.record)) == record
        assert finished_ids(folder) == set(noises(6))
        assert problems(folder) == []
        assert run(tmp_path, tiny, *more, json.dumps(options)) == record, "a complete run is left alone"


def small() -> Size:
    return Size("2.0 min of audio", True)


def large() -> Size:
    return Size("more than 10 min of audio", False)


def test_auto_is_local_for_little_audio(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)  # as before it is imported
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    assert choose("auto", small) == Choice(LOCAL, "2.0 min of audio")
    assert str(choose("auto", large)) == "with Ray: more than 10 min of audio"
    assert choose("auto", small, "--num-decoders 2") == Choice(RAY, "--num-decoders 2 needs it")
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    assert choose("auto", small) == Choice(RAY, "RAY_ADDRESS is set")
    assert choose(LOCAL, large).is_local
    with pytest.raises(ConfigError, match="cannot do --num-decoders 2; leave one of them out"):
        choose(LOCAL, small, "--num-decoders 2")


@pytest.mark.usefixtures("ray_running")
def test_auto_stays_with_a_ray_that_runs_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    assert choose("auto", small) == Choice(RAY, "this process is connected to it")
