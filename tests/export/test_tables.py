"""Exports with a row per utterance, read back by the tools that they are for."""

import csv
import json
from pathlib import Path

import duckdb
import pandas as pd
import polars as pl
import pyarrow.parquet as pq
import pytest

from jobs.export import main
from pipeline.export.files import file_name, partition_folder
from pipeline.export.schema import FLAT
from pipeline.schemas import ORIGIN, TRANSCRIPTS
from tests.support.exported_runs import FAILED, ROWS, export, transcripts, write_run

IDS = sorted(one["utterance_id"] for one in transcripts())


def test_parquet_is_read_by_duckdb_pandas_and_polars(tmp_path: Path) -> None:
    output, record = export(tmp_path, "parquet")
    (file,) = output.glob("*.parquet")
    schema = pq.read_schema(file)
    assert schema.equals(TRANSCRIPTS)
    assert schema.metadata[b"rollcall.schema"] == b"rollcall.transcripts"
    assert schema.metadata[b"rollcall.schema_version"] == str(record["schema_version"]).encode()
    assert schema.field("words").type.value_type.field("word").metadata[b"about"]

    query = f"SELECT utterance_id, w.word FROM '{output}/*.parquet', UNNEST(words) AS t(w) WHERE speaker = 'ann'"
    spoken = duckdb.sql(query).fetchall()
    assert sorted(word for _, word in spoken) == ["from", "lodz", "new", "to", "york"]
    frame = pd.read_parquet(output)
    assert sorted(frame["utterance_id"]) == IDS
    assert frame.set_index("utterance_id").loc["solo;2", "entities"][0]["display_as"] == 'R&D <"x">'
    lazy = pl.scan_parquet(f"{output}/*.parquet")
    assert lazy.filter(pl.col("error").is_not_null()).collect()["utterance_id"].to_list() == [FAILED]
    assert lazy.select(pl.col("words").list.len().sum()).collect().item() == 8


def test_hugging_face_reads_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output, _ = export(tmp_path, "hf")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    from datasets import load_dataset

    loaded = load_dataset(str(output), split="train", cache_dir=str(tmp_path / "cache"))
    assert sorted(loaded["utterance_id"]) == IDS
    row = loaded.filter(lambda one: one["utterance_id"] == "talk 1/a")[0]
    assert [word["word"] for word in row["words"]] == ["from", "new", "york"]
    assert row["start_seconds"] == 0.0
    plain = load_dataset("parquet", data_files=str(output / "data" / "*.parquet"), cache_dir=str(tmp_path / "cache"))
    assert plain["train"].num_rows == ROWS


@pytest.mark.parametrize("key", ["tenant", "date", "speaker"])
def test_partitions_are_hive_folders(tmp_path: Path, key: str) -> None:
    output, _ = export(tmp_path, "parquet", "--partition-by", key)
    folders = {
        "tenant": ["by_tenant=acme%2Feu", "by_tenant=unknown"],
        "date": ["date=2026-11-20"],
        "speaker": ["by_speaker=ann", "by_speaker=bob"],
    }
    assert sorted(path.name for path in output.iterdir() if path.is_dir()) == folders[key]
    frame = pd.read_parquet(output)
    assert sorted(frame["utterance_id"]) == IDS
    column = {"speaker": "by_speaker", "tenant": "by_tenant"}.get(key, key)
    names = duckdb.sql(f"SELECT DISTINCT {column} FROM read_parquet('{output}/*/*.parquet', hive_partitioning=true)")
    expected = {"tenant": {"acme/eu", "unknown"}, "speaker": {"ann", "bob"}}
    assert {str(value) for (value,) in names.fetchall()} == expected.get(key, {"2026-11-20"})
    assert set(frame["tenant"].dropna()) == {"acme/eu"}


def test_files_are_closed_at_their_size_and_partitions_take_turns(tmp_path: Path) -> None:
    output, record = export(tmp_path, "jsonl", "--rows-per-file", "2")
    assert sorted(path.name for path in output.glob("part*")) == [
        "part-00000.jsonl",
        "part-00001.jsonl",
        "part-00002.jsonl",
    ]
    assert record["files"] == 3


def test_json_lines_hold_every_column(tmp_path: Path) -> None:
    output, _ = export(tmp_path, "jsonl")
    rows = [json.loads(line) for line in (output / "part-00000.jsonl").read_text().splitlines()]
    assert [row["utterance_id"] for row in rows] == [one["utterance_id"] for one in transcripts()]
    assert list(rows[0]) == TRANSCRIPTS.names
    assert rows[0]["entities"][0]["display_as"] == "Łódź"
    assert rows[0]["words"][1]["start_seconds"] == 0.2  # not 0.20000000298 as float32 has it


def test_csv_is_quoted(tmp_path: Path) -> None:
    output, _ = export(tmp_path, "csv")
    with (output / "part-00000.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == FLAT.names
    assert {row["utterance_id"]: row["entities"] for row in rows}["solo;2"] == 'R&D <"x">'
    assert [row["error"] for row in rows if row["error"]] == [f"{FAILED}: audio is truncated."]
    assert pd.read_csv(output / "part-00000.csv")["confidence"].dropna().unique().tolist() == [0.75]


def test_nemo_manifest_points_into_recordings_and_names_what_it_cannot_hold(tmp_path: Path) -> None:
    output, record = export(tmp_path, "nemo-manifest")
    names = ("talk 1.jsonl", "part-00000.jsonl")
    talk, rest = ([json.loads(line) for line in (output / name).read_text().splitlines()] for name in names)
    assert [row["utterance_id"] for row in talk] == ["talk 1/a", "talk 1/c"]
    assert talk[1] == {
        "audio_filepath": "talk 1.ogg", "offset": 5.0, "duration": 1.0, "text": "to lodz",
        "utterance_id": "talk 1/c", "speaker": "ann", "tenant": "acme/eu",
    }  # fmt: skip
    assert [(row["utterance_id"], "offset" in row) for row in rest] == [("solo;2", False)]
    assert record["rows_aside"] == {"error": 1, "no path of the recording": 1}
    aside = [json.loads(line) for line in (output / "_errors.jsonl").read_text().splitlines()]
    assert sorted(one["utterance_id"] for one in aside) == ["silent", FAILED]


def test_errors_can_be_set_aside_in_any_format(tmp_path: Path) -> None:
    output, record = export(tmp_path, "parquet", "--errors", "aside")
    assert FAILED not in pd.read_parquet(output / "part-00000.parquet")["utterance_id"].tolist()
    assert record["rows_aside"] == {"error": 1}


def test_a_finished_export_is_left_alone_and_others_are_not_overwritten(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output, record = export(tmp_path, "csv", audio=False)
    before = {path: path.stat().st_mtime_ns for path in output.iterdir()}
    command = ["--run", str(tmp_path / "run"), "--output", str(output)]
    assert main([*command, "--format", "csv"]) == 0
    assert {path: path.stat().st_mtime_ns for path in output.iterdir()} == before
    assert main([*command, "--format", "jsonl"]) == 2
    assert "is not empty" in capsys.readouterr().err
    (output / "_export.json").rename(output / "_exporting.json")
    (output / "_exporting.json").write_text("{}")
    assert main([*command, "--format", "csv"]) == 2
    assert record["rows_aside"] == {}


def test_an_interrupted_export_is_done_again(tmp_path: Path) -> None:
    run, _ = write_run(tmp_path)
    whole = (run / "transcripts" / "1.parquet").read_bytes()
    (run / "transcripts" / "1.parquet").write_bytes(whole[:4] + b"\xff" * 400 + whole[404:])
    command = ["--run", str(run), "--format", "csv", "--output", str(tmp_path / "out"), "--rows-per-file", "1"]
    assert main(command) == 2
    assert not (tmp_path / "out" / "_export.json").exists()
    (run / "transcripts" / "1.parquet").write_bytes(whole)
    assert main(command) == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "_export.json", *(f"part-{number:05d}.csv" for number in range(ROWS))
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--format", "csv", "--rows-per-file", "0"], "at least 1"),
        ([], "--format is missing"),
    ],
)
def test_bad_settings(tmp_path: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    run, _ = write_run(tmp_path)
    assert main(["--run", str(run), "--output", str(tmp_path / "out"), *arguments]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--format", "nemo-manifest"], ["--format", "csv", "--partition-by", "tenant"]])
def test_a_run_of_an_earlier_version_tells_no_tenant_or_file(
    tmp_path: Path, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    run, corpus = write_run(tmp_path, columns=[name for name in TRANSCRIPTS.names if name not in ORIGIN])
    command = ["--run", str(run), "--output", str(tmp_path / "out"), *arguments]
    assert main(command) == 2
    assert "needs --audio" in capsys.readouterr().err
    assert main([*command, "--audio", str(corpus)]) == 0


def test_names_from_data_stay_in_their_folder_and_apart() -> None:
    assert partition_folder("tenant", "../../etc") == "tenant=..%2F..%2Fetc"
    odd = ["..", ".", "a/b", "a%2Fb", "x" * 300, "x" * 301, "", "nul\0", "ä" * 100]
    names = [file_name(name) for name in odd]
    assert len(set(names)) == len(odd)
    assert all("/" not in name and "\0" not in name and name.strip(".") and len(name) < 200 for name in names)
