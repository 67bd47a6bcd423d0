"""Compiling in advance: it covers what a run needs."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_RUN = """
import pyarrow.parquet as pq
from jobs.compile import compile_all
from pipeline.config import joint
from pipeline.entities.lists import load_entities
from pipeline.recognition.recogniser import Recogniser
import numba.core.caching as caching

compile_all()

def refuse(self, sig, *other):
    raise SystemExit(f"not there after jobs.compile: {self._name}")

caching.Cache.save_overload = caching.Cache.load_overload = refuse
config, source = joint(), load_entities("examples/entities.csv")
recogniser = Recogniser.load(config, source, config_fingerprint="x")
rows = pq.read_table("examples/demo.parquet").slice(20, 6)
table = recogniser.transcribe(recogniser.encode(rows))
assert table["error"].null_count == len(table)
"""


def test_nothing_is_left_to_compile_for_other_utterances() -> None:
    """A process that ran jobs.compile has every kernel that a run calls: none is compiled or fetched from disk."""
    done = subprocess.run([sys.executable, "-c", _RUN], cwd=ROOT, env=os.environ, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "compiled in" in done.stdout
