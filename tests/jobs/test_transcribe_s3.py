"""The whole job with audio, list, output and checkpoint on an object store, over HTTP."""

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from jobs.transcribe import main
from pipeline.storage import open_filesystem, read_bytes, walk_files, write_atomic
from tests.support.servers import moto_endpoint, new_bucket, options_for
from tests.support.transcribing import noises, read_json, write_corpus

UTTERANCES = 12


def test_from_bucket_to_bucket(tmp_path: Path, tiny: Path) -> None:
    with moto_endpoint() as endpoint:
        options = options_for(endpoint)
        bucket = new_bucket(options).path
        audio = write_corpus(tmp_path / "a.parquet", noises(UTTERANCES))
        write_atomic(open_filesystem(f"s3://{bucket}/in/a.parquet", options), audio.read_bytes())
        write_atomic(open_filesystem(f"s3://{bucket}/in/list.txt", options), b"Lviv\n")
        command = ["--audio", f"s3://{bucket}/in", "--entities", f"s3://{bucket}/in/list.txt"]
        command += ["--output", f"s3://{bucket}/out", "--storage-options", json.dumps(options), "--model", str(tiny)]
        command += ["--config", str(tiny.parent / "greedy.yaml"), "--block-rows", "4", "--executor", "local"]

        assert main([*command, "--summary", str(tmp_path / "s.json")]) == 0
        record = read_json(tmp_path / "s.json")
        assert sorted(ids_below(record["transcripts"], options)) == sorted(noises(UTTERANCES))
        assert json.loads(read_bytes(open_filesystem(record["transcripts"], options).parent.join("run.json"))) == record

        assert main([*command, "--summary", str(tmp_path / "again.json")]) == 0
        assert read_json(tmp_path / "again.json") == record


def ids_below(uri: str, options: dict[str, Any]) -> list[str]:
    folder = open_filesystem(uri, options)
    paths = [path for _, files in walk_files(folder) for path, _ in files]
    tables = [pq.read_table(path, filesystem=folder.arrow(), columns=["utterance_id"]) for path in paths]
    return [name for table in tables for name in table["utterance_id"].to_pylist()]
