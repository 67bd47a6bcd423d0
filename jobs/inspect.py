"""Say what a model is and which techniques work with it, without loading its weights.

    python -m jobs.inspect my_model
    python -m jobs.inspect facebook/mms-1b-all --language deu
    python -m jobs.inspect my_model --config no_lm.yaml --json

Takes what --model of jobs.transcribe takes. What makes a model unfit for a run is said in one line, with where to get
what is missing, and exit code 2.
"""

import argparse
import dataclasses
import sys
import time
from collections.abc import Iterator, Sequence

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from jobs.cli.command import Result, add_calibration, add_language, job_parser, run_command
from pipeline import config as configuration
from pipeline.acoustic.calibration_files import configured
from pipeline.config import RunConfig
from pipeline.inspection.model import ModelFacts, inspect_model, shown_letters
from pipeline.inspection.techniques import LanguageModelMatch, Verdict, judge, match_language_model

_STYLES = {"yes": "green", "partly": "yellow", "no": "red"}


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = job_parser("inspect", __doc__)
    parser.add_argument("model", metavar="MODEL", help="a directory of ours or of transformers, or a hub id")
    add_language(parser)
    add_calibration(parser)
    parser.add_argument("--config", metavar="YAML", help="overrides single fields of the joint preset")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the command; exit code 0, or 2 for a model that cannot be used."""
    arguments = build_parser().parse_args(argv)
    return run_command(lambda: _run(arguments), arguments.json)


def _run(arguments: argparse.Namespace) -> Result:
    began = time.monotonic()
    config = _config(arguments)
    found = inspect_model(config)
    language = None if config.language_model is None else match_language_model(config.language_model, found)
    verdicts = judge(found, config, language)
    seconds = round(time.monotonic() - began, 2)
    _show(found, language, verdicts)
    return Result(
        found.facts()
        | {
            "language_model": None if language is None else dataclasses.asdict(language),
            "techniques": [dataclasses.asdict(verdict) for verdict in verdicts],
            "wall_seconds": seconds,
        }
    )


def _config(arguments: argparse.Namespace) -> RunConfig:
    given = {name: value for name in ("model", "language", "calibration") if (value := getattr(arguments, name))}
    return configured(configuration.joint(), arguments.config, given)


def _show(found: ModelFacts, language: LanguageModelMatch | None, verdicts: Sequence[Verdict]) -> None:
    console = Console(highlight=False)
    table = Table(show_header=False, box=box.SIMPLE_HEAD, title=escape(found.model), title_justify="left")
    for name, value in _lines(found, language):
        table.add_row(name, escape(value))
    console.print(table)
    table = Table(box=box.SIMPLE_HEAD)
    for column in ("technique", "works", ""):
        table.add_column(column, overflow="fold")
    for one in verdicts:
        table.add_row(one.part, f"[{_STYLES[one.works]}]{one.works}[/]", escape(one.why))
    console.print(table)


def _phones(found: ModelFacts) -> str:
    if found.heard_letters:
        return f"its own {found.heard_letters} letters in their place, as there are no pronunciations in its language"
    if found.phones:
        return f"{found.phones}, of {'its own output' if found.phones_of is None else found.phones_of}"
    if found.language is None:
        return "none; those of the shipped model come along where the language is English (--language en)"
    return "none, of English there are; its own letters can take their place (acoustic.phones: letters)"


def _no_calibration(found: ModelFacts) -> str:
    if found.is_default:
        return "shipped, fitted on this model"
    return "none of its own, so the default model's; `rollcall calibrate` makes one"


def _lines(found: ModelFacts, language: LanguageModelMatch | None) -> Iterator[tuple[str, str]]:
    yield "class", f"{found.kind}, {found.layers} layers, {found.weights:.1f} M weights"
    yield "letters", shown_letters(found.alphabet)
    if found.lacks:
        yield "", f"no piece for {' '.join(found.lacks)}: words with them cannot be written"
    yield "pieces", f"{found.pieces} {'subwords' if found.subwords else 'letters and signs'}, blank {found.blank}"
    yield "words", "begin with a piece's ▁" if found.delimiter is None else f"delimiter '{found.delimiter}'"
    yield "frames", f"{1000 * found.frame_seconds:g} ms, at most {found.max_seconds:g} s at once"
    yield "language", found.language or "not said by the checkpoint; name it with acoustic.language (--language)"
    if found.languages:
        yield "", f"{len(found.languages)} to choose from: {', '.join(found.languages[:12])}"
    yield "phones", _phones(found)
    yield "adapter", found.adapter or str(found.no_adapter)
    yield "calibration", found.calibration or _no_calibration(found)
    if language is not None:
        unknown = f", none with {' '.join(language.unknown[:12])}" if language.unknown else ""
        yield "language model", f"{language.path}: {language.words:,} words, {language.writable:.1%} writable{unknown}"


if __name__ == "__main__":
    sys.exit(main())
