"""The first pass cached, and decoded from the cache: the same transcripts as from the audio.

Ray writes the cache and decodes from it once; everything else is the same with either executor.
"""

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from jobs.transcribe import main
from pipeline.schemas import EMISSIONS
from tests.support.tiny_model import tiny_model
from tests.support.transcribing import noises, odd_audio, read_json, transcripts, write_corpus

pytestmark = pytest.mark.usefixtures("ray_running")


def command(output: Path, tiny: Path, *more: str, executor: str = "local") -> list[str]:
    config = str(tiny.parent / "greedy.yaml")
    fixed = ["--output", str(output), "--model", str(tiny), "--config", config, "--executor", executor]
    fixed += ["--num-encoders", "1"]  # an actor less to start
    return [*fixed, "--block-rows", "4", "--summary", str(output.with_suffix(".json")), *more]


@pytest.fixture(scope="module")
def cached(tmp_path_factory: pytest.TempPathFactory, tiny: Path, ray_running: None) -> dict[str, Any]:
    """The record of a run that cached its first pass, and where things lie."""
    folder = tmp_path_factory.mktemp("cached")
    lists = [["Lviv"], ["Lviv", "Kyiv"]] * 4 + [[]] * len(odd_audio())
    audio = write_corpus(folder / "a.parquet", noises(8) | odd_audio(), entities=lists, tenant=["acme"] * len(lists))
    assert main(command(folder / "out", tiny, "--audio", str(audio), "--cache-emissions", executor="ray")) == 0
    return {"folder": folder, "corpus": audio, **read_json(folder / "out.json")}


def test_a_run_with_a_cache_writes_what_a_run_without_writes(cached: dict[str, Any], tiny: Path) -> None:
    direct = cached["folder"] / "direct"
    assert main(command(direct, tiny, "--audio", str(cached["corpus"]))) == 0
    record = read_json(direct.with_suffix(".json"))
    assert record["fingerprint"] == cached["fingerprint"]
    assert transcripts(record["transcripts"]) == transcripts(cached["transcripts"])
    assert record["counts"] == cached["counts"]
    assert {row["tenant"] for row in transcripts(record["transcripts"])} == {"acme"}


def test_decoding_from_the_cache_needs_no_audio_and_no_acoustic_model(cached: dict[str, Any], tiny: Path) -> None:
    again = cached["folder"] / "again"
    assert main(command(again, tiny, "--emissions", cached["emissions"]["folder"], executor="ray")) == 0
    record = read_json(again.with_suffix(".json"))
    assert "encode" not in record["stages"]
    assert (record["fingerprint"], record["model_id"]) == (cached["fingerprint"], cached["model_id"])
    assert transcripts(record["transcripts"]) == transcripts(cached["transcripts"])


def test_a_list_of_the_command_replaces_those_that_the_cache_carries(cached: dict[str, Any], tiny: Path) -> None:
    folder: Path = cached["folder"]
    (folder / "list.txt").write_text("Odesa\n")
    more = ["--entities", str(folder / "list.txt")]
    assert main(command(folder / "one", tiny, "--emissions", cached["emissions"]["folder"], *more)) == 0
    rows = transcripts(read_json(folder / "one.json")["transcripts"])
    assert len({row["list_version"] for row in rows}) == 1


def test_the_cache_is_plain_parquet_that_says_what_it_is(cached: dict[str, Any]) -> None:
    folder = Path(cached["emissions"]["folder"])
    tables = [pq.read_table(file) for file in sorted((folder / "emissions").glob("*.parquet"))]
    assert all(table.schema.equals(EMISSIONS) for table in tables)
    assert sum(table.num_rows for table in tables) == cached["emissions"]["rows"] == cached["counts"]["rows_in"]
    assert cached["emissions"]["errors"] == sum(cached["counts"]["errors"].values())


def test_a_second_run_finds_the_cache(cached: dict[str, Any], tiny: Path) -> None:
    folder: Path = cached["folder"]
    (folder / "list.txt").write_text("Odesa\n")
    more = ["--audio", str(cached["corpus"]), "--entities", str(folder / "list.txt"), "--entities-column", "entities"]
    caches = str(Path(cached["emissions"]["folder"]).parent)
    assert main(command(folder / "two", tiny, *more, "--cache-emissions", caches)) == 0
    record = read_json(folder / "two.json")
    assert "encode" not in record["stages"]
    assert record["emissions"] == cached["emissions"]


def test_a_cache_of_another_model_is_refused(
    cached: dict[str, Any], tmp_path: Path, tiny: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tiny_model(tmp_path / "other")
    (other / "config.json").write_text((other / "config.json").read_text() + "\n")
    arguments = command(tmp_path / "out", tiny, "--emissions", cached["emissions"]["folder"], "--model", str(other))
    assert main(arguments) == 2
    shown = capsys.readouterr().err
    assert "the cached first pass has {'model':" in shown
    assert "--cache-emissions" in shown


def test_what_is_no_cache_is_named(tmp_path: Path, tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(command(tmp_path / "out", tiny, "--emissions", str(tmp_path))) == 2
    assert "holds no cache.json" in capsys.readouterr().err
