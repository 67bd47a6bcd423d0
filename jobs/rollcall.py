"""The command ``rollcall``: ``rollcall transcribe ...`` is ``python -m jobs.transcribe ...``, and so on for every job.

A job is a module of ``jobs/`` that can be run; its docstring is its help. Nothing is imported but the job that is
called, so ``rollcall --help`` answers at once.
"""

import importlib
import sys
from typing import NoReturn

from jobs.cli.command import BAD_INPUT, OK, called_as, leave
from jobs.cli.commands import commands, summary

_USAGE = """usage: rollcall COMMAND [arguments]
       rollcall COMMAND --help
       rollcall completion bash|zsh|fish

Transcribe speech corpora with a recogniser that is told the names.

commands:
{commands}

examples:
  rollcall ingest recordings/ --output corpus
  rollcall transcribe --audio corpus --entities names.csv --output out
  rollcall score --transcripts out/1f3a... --reference corpus --lists names.csv --output scores
  rollcall export --run out/1f3a... --format srt --output subtitles
  rollcall lint-list names.csv

Every command takes --json. Exit codes: 0 done; 1 done, and the answer is no; 2 bad input; 70 a fault of this
program; 130 interrupted. Colours are off with NO_COLOR, progress bars where there is no terminal.
"""


def usage() -> str:
    """Return the help text."""
    known = commands()
    width = max(map(len, known))
    return _USAGE.format(commands="\n".join(f"  {name:<{width}}  {summary(known[name])}" for name in known))


def main(argv: list[str] | None = None) -> int:
    """Run the subcommand and return its exit code; 2 if there is no such command."""
    arguments = sys.argv[1:] if argv is None else argv
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(usage(), end="", file=sys.stdout if arguments else sys.stderr)
        return OK if arguments else BAD_INPUT
    name, *rest = arguments
    if name == "--version":
        return _version()
    if name == "completion":
        from jobs.cli import completion

        return completion.main(rest)
    module = commands().get(name)
    if module is None:
        print(f"error: there is no command '{name}'; there are {', '.join(commands())}.", file=sys.stderr)
        return BAD_INPUT
    with called_as("rollcall"):
        code: int = importlib.import_module(f"jobs.{module}").main(rest)
    return code


def run() -> NoReturn:
    """Run the subcommand and end the process with its exit code: what the installed command does."""
    leave(main())


def _version() -> int:
    from importlib.metadata import PackageNotFoundError, version

    try:
        print(f"rollcall {version('rollcall')}")
    except PackageNotFoundError:  # run from a checkout that was not installed
        print("rollcall (not installed)")
    return OK


if __name__ == "__main__":
    run()
