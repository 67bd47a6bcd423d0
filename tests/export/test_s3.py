"""Exports from bucket to bucket, over HTTP."""

import json
from pathlib import Path

import pytest

from jobs.export import main
from pipeline.storage import Location, open_filesystem, read_bytes, walk_files, write_atomic
from tests.support.exported_runs import ROWS, write_run
from tests.support.servers import moto_endpoint, new_bucket, options_for


def names_below(folder: Location) -> list[str]:
    return sorted(folder.relative(path) for _, files in walk_files(folder) for path, _ in files)


def test_from_bucket_to_bucket(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, audio = write_run(tmp_path)
    with moto_endpoint() as endpoint:
        options = options_for(endpoint)
        bucket = f"s3://{new_bucket(options).path}"
        for file in [*run.rglob("*.*"), audio]:
            write_atomic(open_filesystem(f"{bucket}/{file.relative_to(tmp_path)}", options), file.read_bytes())
        common = [
            "--run",
            f"{bucket}/run",
            "--audio",
            f"{bucket}/audio.parquet",
            "--storage-options",
            json.dumps(options),
        ]
        wanted = {
            "parquet": ["_export.json", "by_tenant=acme%2Feu/part-00000.parquet",
                        "by_tenant=unknown/part-00000.parquet"],
            "srt": ["_errors.jsonl", "_export.json", "by_tenant=acme%2Feu/talk 1.srt", "by_tenant=unknown/silent.srt",
                    "by_tenant=unknown/solo;2.srt"],
        }  # fmt: skip
        for form, names in wanted.items():
            output = f"{bucket}/{form}"
            command = [*common, "--format", form, "--output", output, "--partition-by", "tenant", "--json"]
            assert main(command) == 0
            assert json.loads(capsys.readouterr().out)["rows_in"] == ROWS
            assert names_below(open_filesystem(output, options)) == names
        talk = read_bytes(open_filesystem(f"{bucket}/srt/by_tenant=acme%2Feu/talk 1.srt", options)).decode()
        assert talk.startswith("1\n00:00:00,100 --> 00:00:01,100\nfrom New York\n")
