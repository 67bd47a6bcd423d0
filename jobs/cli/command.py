"""What every command shares: its parser, errors a user can act on instead of stack traces, exit codes and --json.

Exit codes, the same for every command:

    0    done
    1    done, and the answer is no: rows were lost, a rate is clearly worse, the list has errors, the run broke
    2    nothing was done: bad input, or a wrong command line
    70   a fault of this program; the stack trace is for the bug report
    130  interrupted; the same command goes on where it stopped
"""

import argparse
import atexit
import contextlib
import dataclasses
import json
import os
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from typing import Any, NoReturn

from jobs.cli.worker_errors import raised_on_worker
from pipeline.entities.formats import FORMATS
from pipeline.entities.unmatched import MAX_UNMATCHED
from pipeline.errors import ConfigError, RollcallError
from pipeline.text import Alphabet, parse_letters

OK = 0
FAILED = 1
BAD_INPUT = 2
INTERNAL = 70  # EX_SOFTWARE of sysexits.h
INTERRUPTED = 130  # 128 + SIGINT, as shells have it
_PROGRAM: ContextVar[str | None] = ContextVar("program", default=None)
"""Set while the command ``rollcall`` runs a job, so that help texts name what the user typed."""


@dataclasses.dataclass(frozen=True)
class Result:
    """How a command ended: what ``--json`` prints, and the exit code."""

    facts: Mapping[str, Any]
    code: int = OK


def job_parser(module: str, description: str | None) -> argparse.ArgumentParser:
    """Return the parser of ``jobs.<module>`` with what all commands take; ``description`` ends with examples."""
    typed, plain = program_name(module), f"python -m jobs.{module}"
    parser = argparse.ArgumentParser(
        prog=typed,
        description=(description or "").replace(plain, typed),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object on stdout, all else on stderr")
    return parser


def program_name(module: str) -> str:
    """Return how the user calls ``jobs.<module>``."""
    program = _PROGRAM.get()
    return f"python -m jobs.{module}" if program is None else f"{program} {module.replace('_', '-')}"


@contextlib.contextmanager
def called_as(program: str) -> Iterator[None]:
    """Let help texts say that jobs are subcommands of ``program``."""
    token = _PROGRAM.set(program)
    try:
        yield
    finally:
        _PROGRAM.reset(token)


def add_storage_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--storage-options`` (pipeline.storage.s3_options.parse_options reads it)."""
    parser.add_argument(
        "--storage-options",
        metavar="JSON",
        help='for s3://: a JSON object or the path of one, e.g. \'{"endpoint": "http://..."}\'',
    )


def add_entities_format(parser: argparse.ArgumentParser) -> None:
    """Add ``--entities-format`` (pipeline.entities.formats.FORMATS)."""
    parser.add_argument(
        "--entities-format",
        metavar="F",
        choices=FORMATS,
        help="of the entity list, where its name does not tell it: " + ", ".join(FORMATS),
    )


def add_max_unmatched(parser: argparse.ArgumentParser) -> None:
    """Add ``--max-unmatched-lists`` (pipeline.entities.unmatched.check_unmatched)."""
    parser.add_argument(
        "--max-unmatched-lists",
        type=float,
        metavar="X",
        default=MAX_UNMATCHED,
        help="share of lists per utterance, from 0 to 1, that may name no utterance of the audio while utterances have "
        "none (default: %(default)g)",
    )


def add_language(parser: argparse.ArgumentParser) -> None:
    """Add ``--language`` (acoustic.language)."""
    parser.add_argument("--language", metavar="NAME", help="of a model of many languages: which one, as it names it")


def add_calibration(parser: argparse.ArgumentParser) -> None:
    """Add ``--calibration`` (acoustic.calibration)."""
    parser.add_argument(
        "--calibration", metavar="DIR", help="of the model, as jobs.calibrate writes it (default: MODEL_calibration)"
    )


def add_alphabet(parser: argparse.ArgumentParser) -> None:
    """Add ``--alphabet``, which ``read_alphabet`` reads."""
    parser.add_argument(
        "--alphabet",
        metavar="LETTERS",
        help="that the texts are written in, ranges too: a-zäöüß (default: those of the run, else a-z)",
    )


def read_alphabet(arguments: argparse.Namespace) -> Alphabet | None:
    """Return what ``--alphabet`` names, if it is given; raises ConfigError for what are no letters."""
    if arguments.alphabet is None:
        return None
    try:
        return parse_letters(arguments.alphabet)
    except ValueError as error:
        raise ConfigError(f"--alphabet {arguments.alphabet}: {error}") from error


def add_scoring_inputs(parser: argparse.ArgumentParser, reference_required: bool, output: str | None = None) -> None:
    """Add what every command takes that holds transcripts against references; ``output`` is where it writes."""
    parser.add_argument(
        "--reference",
        metavar="R",
        required=reference_required,
        help="AUDIO parquet with text; TSV, CSV, JSONL, Kaldi text, trn or stm",
    )
    parser.add_argument(
        "--lists", metavar="L", help="entity list, or lists per utterance; default: the reference's own, else a run's"
    )
    parser.add_argument("--list-column", metavar="NAME", help="column of per-utterance lists in a parquet of lists")
    add_alphabet(parser)
    about = "folder to write to" + ("" if output is None else " (default %(default)s)")
    parser.add_argument("--output", metavar="O", required=output is None, default=output, help=about)
    parser.add_argument("--replicates", type=int, default=1000, help="bootstrap resamples (default %(default)s)")
    parser.add_argument("--seed", type=int, default=20, help="of the bootstrap (default %(default)s)")


def run_command(body: Callable[[], int | Result], as_json: bool = False) -> int:
    """Run ``body`` and return its exit code; a RollcallError is printed on stderr and becomes exit code 2.

    An error may have an ``exit_code`` of its own. With ``as_json``, stdout gets one JSON object, the facts of the
    Result or ``{"error": ...}``, and everything that ``body`` prints goes to stderr.
    """
    _quiet_libraries()
    with contextlib.redirect_stdout(sys.stderr) if as_json else contextlib.nullcontext():
        result = _guarded(body)
    if as_json:
        print(json.dumps(result.facts, ensure_ascii=False, default=str))
    return result.code


def leave(code: int) -> NoReturn:
    """End the process with ``code`` after all that Python does at its end, but without destructors of C++ libraries.

    Arrow's threads are sometimes still ending then, and abort a process that has done all its work with exit code 134
    (apache/arrow issues 34314 and 39862): one of thirty short commands on two busy cores.
    """
    threading._shutdown()  # type: ignore[attr-defined]  # waits for threads, and first tells idle executors to end
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(BrokenPipeError, ValueError):  # nobody reads any more, or it is closed
            stream.flush()
    os._exit(code)


def _guarded(body: Callable[[], int | Result]) -> Result:
    try:
        done = body()
        return done if isinstance(done, Result) else Result({"exit_code": done}, done)
    except RollcallError as error:
        return _refused(error)
    except KeyboardInterrupt:
        message = "interrupted; the same command resumes where it stopped"
        print(message, file=sys.stderr)
        return Result({"error": message}, INTERRUPTED)
    except BrokenPipeError:
        # Whoever read our output, such as `head`, has enough; what Python flushes at its end must not fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Result({}, OK)
    except Exception as error:
        raised = raised_on_worker(error)
        if raised is not None:
            return _refused(raised)
        traceback.print_exc()
        return Result({"error": f"{type(error).__name__}: {error}"}, INTERNAL)


def _refused(error: RollcallError) -> Result:
    error = raised_on_worker(error) or error
    print(f"error: {error}", file=sys.stderr)
    return Result({"error": str(error)}, getattr(error, "exit_code", BAD_INPUT))


def is_terminal() -> bool:
    """Whether progress may be drawn: only where somebody sees it move."""
    return sys.stderr.isatty() and os.environ.get("TERM") != "dumb"


def _quiet_libraries() -> None:
    """Keep the progress bars of tqdm (transformers, datasets) and of the hub out of logs."""
    if not is_terminal():
        os.environ.setdefault("TQDM_DISABLE", "1")
        os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
