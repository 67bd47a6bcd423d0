"""Compiling in advance: it covers what a run needs."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_RUN = """
import pyarrow.parquet as pq
from pipeline.config import joint
from pipeline.entities.lists import load_entities
from pipeline.recognition.recogniser import Recogniser
import numba.core.caching as caching

def refuse(self, sig, data):
    raise SystemExit(f"compiled only now: {self._name}")

caching.Cache.save_overload = refuse
config, source = joint(), load_entities("examples/entities.csv")
recogniser = Recogniser.load(config, source, config_fingerprint="x")
rows = pq.read_table("examples/demo.parquet").slice(20, 6)
table = recogniser.transcribe(recogniser.encode(rows))
assert table["error"].null_count == len(table)
"""


def test_nothing_is_left_to_compile_for_other_utterances(tmp_path: Path) -> None:
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-m", "jobs.compile"]
    said = subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True, timeout=900)
    assert "compiled in" in said.stdout
    subprocess.run([sys.executable, "-c", _RUN], cwd=ROOT, env=environment, check=True, timeout=300)
