"""How long the report of test-clean-dev takes, and its size: ``python -m benchmarks.report --data ../shared/data``.

Scores published hypotheses of the is21_deep_bias benchmark, or the runs given, with audio, lists, vocabulary and
training text, and writes report.html, through the real job in a process of its own.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.table import show


def measure(data: Path, run: str | None, baseline: str | None, output: Path) -> dict[str, Any]:
    """Run the job once; wall and processor seconds include starting Python and reading everything."""
    lists = data / "is21_deep_bias"
    scored = ["--transcripts", run] if run else ["--hypotheses", str(lists / "hyp.s5.s3+db-nnlm.biasing_100.dev.tsv")]
    command = [sys.executable, "-m", "jobs.score", *scored]
    command += ["--baseline", baseline or str(lists / "hyp.b1.rnnt_baseline.dev.tsv")]
    command += ["--reference", str(data / "librispeech_test_clean_dev.parquet")]
    command += ["--lists", str(lists / "test-clean-dev.biasing_100.tsv")]
    command += ["--vocabulary", "models/language_model/words.txt.gz"]
    command += ["--training-text", str(data / "librispeech_train_clean_5.parquet"), "--output", str(output)]
    started, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        "scored": "a run" if run else "published hypotheses",
        "wall_s": time.monotonic() - started,
        "processor_s": used.ru_utime + used.ru_stime - before.ru_utime - before.ru_stime,
        "report_mb": (output / "report.html").stat().st_size / 1e6,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--transcripts", help="a run on test-clean-dev in place of published hypotheses")
    parser.add_argument("--baseline", help="likewise")
    parser.add_argument("--rounds", type=int, default=2, help="the first compiles")
    options = parser.parse_args()
    rows = []
    for _ in range(options.rounds):
        with tempfile.TemporaryDirectory() as folder:
            rows.append(measure(options.data, options.transcripts, options.baseline, Path(folder)))
    show("the report of test-clean-dev (1,338 utterances)", rows, None)


if __name__ == "__main__":
    main()
