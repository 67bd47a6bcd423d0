"""What padding is counted, on lengths that can be added up by hand."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.transcribing import write_corpus

ROOT = Path(__file__).resolve().parents[2]


def test_what_is_computed_for_a_second_of_audio(tmp_path: Path) -> None:
    seconds = [4.0, 2.56, 30.0]  # 100 and 64 frames, and two windows of 700 and 150
    audio = write_corpus(tmp_path / "a.parquet", {str(at): b"-" for at in range(3)}, duration_seconds=seconds)
    command = [sys.executable, "-m", "benchmarks.batch_shapes", "--audio", str(audio), "--json", str(tmp_path / "o")]
    command += ["--rows", "3", "--batch-seconds", "8"]
    subprocess.run(
        command, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, check=True, timeout=300
    )
    rows = {row["batches"]: row for row in json.loads((tmp_path / "o").read_text())["rows"]}
    # 200 frames a batch: the window of 700 alone, at 704; 150 at 160, as 2 x 150 are too many; 100 and 64 together
    assert rows["as they are"]["batches a block"] == 3
    assert rows["as they are"]["computed / audio"] == pytest.approx((704 + 160 + 2 * 104) * 0.04 / 36.56, abs=1e-3)
    # one row of 1,024, one of 256, one of 128, three of 64
    assert rows["fixed, 1 lengths an octave"]["batches a block"] == 4
    fixed = (1024 + 256 + 128 + 3 * 64) * 0.04 / 36.56
    assert rows["fixed, 1 lengths an octave"]["computed / audio"] == pytest.approx(fixed, abs=1e-3)
