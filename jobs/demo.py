"""Run the main job on the examples and write the report.

    python -m jobs.demo --output out/demo

Transcribes ``examples/`` without and with its entity list, prints both side by side, and writes the HTML report. Every
step is a command that is printed before it runs, to be copied for one's own audio.
"""

import argparse
import json
import shlex
import time
from collections.abc import Callable
from pathlib import Path

from jobs import score, transcribe
from jobs.cli.command import Result, job_parser, leave, run_command
from pipeline.errors import InputError

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"


def step(name: str, command: Callable[[list[str] | None], int], arguments: list[str]) -> None:
    """Print and run one command; raises InputError if it fails."""
    print(f"\n$ python -m jobs.{name} {shlex.join(arguments)}", flush=True)
    if command(arguments) != 0:
        raise InputError(f"jobs.{name} failed; what it needed stands above.")


def transcripts_of(summary: Path) -> str:
    """Return the folder of transcripts that a run's summary names."""
    return str(json.loads(summary.read_text(encoding="utf-8"))["transcripts"])


def demo(audio: str, entities: str, output: Path) -> Result:
    """Run the main job without and with the list, and score both."""
    started = time.time()
    output.mkdir(parents=True, exist_ok=True)
    runs = {}
    for preset in ("baseline", "joint"):
        summary = output / f"{preset}.json"
        arguments = ["--audio", audio, "--entities", entities, "--output", str(output / "runs")]
        step("transcribe", transcribe.main, [*arguments, "--preset", preset, "--summary", str(summary)])
        runs[preset] = transcripts_of(summary)
    arguments = ["--transcripts", runs["joint"], "--baseline", runs["baseline"], "--reference", audio]
    title = "Demo: synthetic voices speaking names, cities and medicines"
    arguments += ["--lists", entities, "--title", title, "--output", str(output / "scores")]
    step("score", score.main, arguments)
    print(f"\nreport: {output / 'scores' / 'report.html'}   ({time.time() - started:.0f} s in all)")
    return Result({"runs": runs, "report": str(output / "scores" / "report.html")})


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = job_parser("demo", __doc__)
    parser.add_argument("--audio", default=str(EXAMPLES / "demo.parquet"), help="AUDIO parquet with text")
    parser.add_argument("--entities", default=str(EXAMPLES / "entities.csv"), help="entity list")
    parser.add_argument("--output", type=Path, default=Path("out/demo"), help="default: %(default)s")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the command; exit code 0, or 2 if a step fails."""
    options = build_parser().parse_args(argv)
    return run_command(lambda: demo(options.audio, options.entities, options.output), options.json)


if __name__ == "__main__":
    leave(main())
