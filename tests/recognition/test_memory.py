"""What a worker holds in memory: one that only transcribes needs no network."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_DECODES = """
import sys
from pipeline.config import joint
from pipeline.recognition.recogniser import Recogniser
Recogniser.load(joint(), encodes=False, adapts=False)
print(sorted({"ray", "torch", "transformers"} & set(sys.modules)))
"""


def test_a_worker_that_only_transcribes_loads_no_torch() -> None:
    done = subprocess.run([sys.executable, "-c", _DECODES], cwd=ROOT, check=True, capture_output=True, text=True)
    assert done.stdout == "[]\n"
