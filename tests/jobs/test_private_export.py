"""A private export on Ray has the bytes of one without."""

import base64
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs import export
from pipeline.schemas import TRANSCRIPTS


def test_ray_writes_the_same_bytes(tmp_path: Path, ray_running: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROLLCALL_PRIVACY_KEY", base64.b64encode(bytes(32)).decode())
    (tmp_path / "run").mkdir()
    for number in range(5):
        rows = [{"utterance_id": f"u{number}-{at}", "text": f"the long winter of {at} zqorblax"} for at in range(8)]
        pq.write_table(pa.Table.from_pylist(rows, schema=TRANSCRIPTS), tmp_path / "run" / f"{number}.parquet")
    (tmp_path / "privacy.yaml").write_text("{}")
    found = []
    for executor in ("local", "ray"):
        output = tmp_path / executor
        arguments = ["--run", str(tmp_path / "run"), "--private", str(tmp_path / "privacy.yaml"), "--format", "jsonl"]
        assert export.main([*arguments, "--output", str(output), "--executor", executor]) == 0
        files = sorted(path for path in output.rglob("*") if path.is_file() and path.parent.name != "_ledger")
        found.append({str(path.relative_to(output)): path.read_bytes() for path in files})
    assert len(found[0]) == 5 + 3
    assert found[0] == found[1]
