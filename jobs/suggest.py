"""Suggest what an entity list lacks: sounds that recur in a run and that it doubts, with how they may be spelled.

    python -m jobs.suggest out/1f3a... --output missing
    python -m jobs.suggest out/1f3a... --audio corpus --count 50 --output missing

No reviews are needed. What counts are words outside of the list's entities that the language model does not know or
hardly expects, that the run is unsure of or that fit the sound badly; those that sound alike in several utterances are
one suggestion: an entity that is missing, or a pronunciation that a listed entity lacks. With --cache-emissions the run
knows what was heard; without, it is guessed from what was written. Writes DIR/list.csv, which `lint-list` and
`transcribe --entities` read, DIR/suggestions.csv with counts and places, and DIR/suggestions.html, with --audio to
listen to.
"""

import argparse
import sys
from collections import Counter

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from jobs.cli.command import OK, Result, add_storage_options, job_parser, run_command
from pipeline import storage
from pipeline.config import joint
from pipeline.config.config_file import with_file
from pipeline.entities import snapshot
from pipeline.entities.lists import EntitySource
from pipeline.errors import ConfigError
from pipeline.lexicon.pronunciation import Pronouncer
from pipeline.runs.cache import cached_files
from pipeline.runs.folder import RunFolder
from pipeline.runs.letters import alphabet_of_record
from pipeline.runs.reader import Run
from pipeline.storage.s3_options import Options, parse_options
from pipeline.suggest import files
from pipeline.suggest.doubtful import Doubts, read_language
from pipeline.suggest.found import LEAST_UTTERANCES, recurring
from pipeline.suggest.gather import Gathered, gather
from pipeline.suggest.page import build_page, snippets
from pipeline.suggest.suggestions import Listed, Suggestion, suggest
from pipeline.text import Alphabet

_COUNT = 200
_CLIPS = 400
_SHOWN = 20  # suggestions on the terminal
_RECORD = "suggestions.json"


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = job_parser("suggest", __doc__)
    parser.add_argument("run", metavar="RUN", help="run directory, or TRANSCRIPTS parquet; local or s3://")
    parser.add_argument("--output", metavar="DIR", required=True, help="folder to write to; local or s3://")
    parser.add_argument("--audio", metavar="A", help="AUDIO parquet with the sound, for the page")
    parser.add_argument(
        "--count", type=int, default=_COUNT, metavar="N", help="suggestions at most (default: %(default)s)"
    )
    parser.add_argument(
        "--least",
        type=int,
        default=LEAST_UTTERANCES,
        metavar="N",
        help="utterances in which a sound must come (default: %(default)s)",
    )
    parser.add_argument("--config", metavar="YAML", help="configuration with another language model")
    add_storage_options(parser)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the command; exit code 0, or 2 for bad input."""
    arguments = build_parser().parse_args(argv)
    return run_command(lambda: _run(arguments), arguments.json)


def _run(arguments: argparse.Namespace) -> Result:
    for name, least in (("count", 1), ("least", LEAST_UTTERANCES)):
        if getattr(arguments, name) < least:
            raise ConfigError(f"--{name} must be {least} or more, got {getattr(arguments, name)}.")
    options = parse_options(arguments.storage_options)
    run = Run(arguments.run, options)
    audio = storage.list_parquet(arguments.audio, options) if arguments.audio else []
    output = storage.open_filesystem(arguments.output, options)
    storage.check_writable(output)
    language, pronouncer = read_language(with_file(joint(), arguments.config)), Pronouncer()
    gathered = gather(run, cached_files(run.record, options), Doubts(language, pronouncer))
    found = recurring(gathered.spans, gathered.words, arguments.least, arguments.count)
    alphabet = alphabet_of_record(run.record)
    listed = Listed(_lists(arguments.run, options, alphabet), pronouncer)
    suggestions = suggest(found, listed, pronouncer, language)
    facts = _facts(run, gathered, suggestions, listed) | {"output": output.uri}
    clips = snippets(suggestions, audio, _CLIPS)
    storage.write_atomic(output.join("list.csv"), files.entity_list(suggestions, pronouncer))
    storage.write_atomic(output.join("suggestions.csv"), files.table(suggestions))
    shown = {name.replace("_", " ").capitalize(): str(value) for name, value in facts.items()}
    storage.write_atomic(output.join("suggestions.html"), build_page(suggestions, clips, shown).encode())
    storage.write_json(output.join(_RECORD), facts)
    _show(facts, suggestions)
    return Result(facts, OK)


def _lists(path: str, options: Options, alphabet: Alphabet) -> EntitySource:
    """Return the lists that a run was made with; none where its transcripts lie alone."""
    location = storage.open_filesystem(path, options)
    lists = None if storage.is_pattern(location) else RunFolder(location).lists
    return EntitySource() if lists is None or not storage.exists(lists) else snapshot.load(lists, alphabet)


def _facts(run: Run, gathered: Gathered, suggestions: list[Suggestion], listed: Listed) -> dict[str, object]:
    kinds = Counter(one.kind for one in suggestions)
    return {
        "run": run.uri,
        "rows": gathered.rows,
        "hours": round(gathered.seconds / 3600, 3),
        "words": gathered.words,
        "heard": gathered.heard,
        "spans": len(gathered.spans),
        "left_out": gathered.left_out,
        "suggestions": len(suggestions),
        **dict(sorted(kinds.items())),
        "compared_to_list": listed.is_compared,
    }


def _show(facts: dict[str, object], suggestions: list[Suggestion]) -> None:
    console = Console(highlight=False, soft_wrap=True)
    shown = Table("suggestion", "kind", "heard as", "utterances", "written as", box=None)
    for one in suggestions[:_SHOWN]:
        written = ", ".join(text for text, _ in Counter(span.text for span in one.heard.spans).most_common(2))
        cells = (one.name, one.kind, " ".join(one.heard.phones), str(one.heard.utterances), written)
        shown.add_row(*map(escape, cells))
    if suggestions:
        console.print(shown)
    if len(suggestions) > _SHOWN:
        console.print(f"and {len(suggestions) - _SHOWN:,} more in suggestions.csv")
    if facts["heard"] == 0:
        console.print("The run has no cached first pass: sounds are guessed from what was written.")
    console.print(f"{len(suggestions):,} suggestions from {facts['rows']:,} utterances; written: {facts['output']}")


if __name__ == "__main__":
    sys.exit(main())
