"""Compile what the jobs compute with, so that the first run need not.

    python -m jobs.compile

The search and the phonetic passes are compiled for this machine's processor when they first run. That takes a minute
and more, and in a job every worker would do it at the same time. ``make install`` calls this once: it transcribes a few
of the examples in this process, and what was compiled is kept beside the sources (or in NUMBA_CACHE_DIR).
"""

import argparse
import time

import pyarrow.parquet as pq

from jobs.cli.command import Result, job_parser, leave, run_command
from jobs.demo import EXAMPLES
from pipeline.config import baseline, joint
from pipeline.entities.lists import EntitySource, load_entities
from pipeline.recognition.recogniser import Recogniser
from pipeline.text import ENGLISH

_UTTERANCES = 3
"""Full of names: every technique has something to do."""


def compile_all() -> Result:
    """Transcribe a few examples without and with their list."""
    started = time.time()
    audio = pq.read_table(EXAMPLES / "demo.parquet").slice(0, _UTTERANCES)
    listed = load_entities(str(EXAMPLES / "entities.csv"), alphabet=ENGLISH)
    for config, source in ((baseline(), EntitySource()), (joint(), listed)):
        recogniser = Recogniser.load(config, source)
        recogniser.transcribe(recogniser.encode(audio))
    seconds = time.time() - started
    print(f"compiled in {seconds:.0f} s")
    return Result({"seconds": seconds})


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    return job_parser("compile", __doc__)


def main(argv: list[str] | None = None) -> int:
    """Run the command; exit code 0, or 2 if something is missing."""
    options = build_parser().parse_args(argv)
    return run_command(compile_all, options.json)


if __name__ == "__main__":
    leave(main())
