"""Compare two runs on the same utterances: paired differences with significance, entities lost and gained.

    python -m jobs.compare out/1f3a... out/7c20... --reference corpus.parquet --lists names.tsv --output comparison
    python -m jobs.compare out/1f3a... out/7c20...

Without a reference, what RUN_A wrote stands for what was said. Writes OUTPUT/comparison.json and
OUTPUT/comparison.html, and prints a summary.
"""

import argparse
import sys

from jobs.cli.command import FAILED, OK, Result, add_scoring_inputs, job_parser, read_alphabet, run_command
from jobs.cli.score_tables import print_summary
from pipeline import storage
from pipeline.errors import ConfigError
from pipeline.report import ComparisonInput, ExampleSource, build_comparison
from pipeline.runs.facts import run_facts
from pipeline.runs.find import transcripts_of
from pipeline.runs.letters import alphabet_of_run, joined
from pipeline.scoring.bootstrap import Bootstrap
from pipeline.scoring.comparison import Comparison, compare
from pipeline.scoring.difference import verdict
from pipeline.scoring.inputs import (
    ScoringSet,
    is_parquet,
    load_scoring_set,
    run_folder_of,
    scoring_set_of_run,
)
from pipeline.scoring.metrics import RATE_NAMES, show_p
from pipeline.scoring.output import comparison_metrics, write_json
from pipeline.text import Alphabet

_LABELS = ("Run A", "Run B")
_NAMED = 10  # entities named on the terminal


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = job_parser("compare", __doc__)
    parser.add_argument("first", metavar="RUN_A", help="run directory, TRANSCRIPTS parquet, or TSV id<tab>text")
    parser.add_argument("second", metavar="RUN_B", help="the run to compare with it")
    add_scoring_inputs(parser, reference_required=False, output="comparison")
    parser.add_argument("--fail-on-worse", action="store_true", help="exit code 1 if a rate of RUN_B is clearly worse")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the command; exit code 0, 1 with --fail-on-worse and a clear regression, or 2 for bad input."""
    arguments = build_parser().parse_args(argv)
    return run_command(lambda: _run(arguments), arguments.json)


def _run(arguments: argparse.Namespace) -> Result:
    if arguments.fail_on_worse and arguments.reference is None:
        raise ConfigError("--fail-on-worse needs --reference: without it nothing is better or worse, only different.")
    output = storage.open_filesystem(arguments.output)
    storage.check_writable(output)
    corpus = _corpus(arguments)
    bootstrap = Bootstrap(arguments.replicates, arguments.seed)
    comparison = compare(corpus.score(arguments.first, bootstrap), corpus.score(arguments.second, bootstrap))
    page = ComparisonInput(
        comparison,
        _LABELS,
        (run_facts(run_folder_of(arguments.first)), run_facts(run_folder_of(arguments.second))),
        _examples(arguments, corpus.alphabet),
        against_first=arguments.reference is None,
    )
    document = build_comparison(page)
    metrics = comparison_metrics(comparison, judged=arguments.reference is not None)
    write_json(output, "comparison.json", metrics)
    storage.write_atomic(output.join("comparison.html"), document.encode())
    if arguments.reference is None:
        _print_difference(comparison)
    else:
        _print_judgement(comparison)
    print(f"written: {output.uri}/comparison.json, comparison.html")
    worse = arguments.fail_on_worse and comparison.worse
    return Result(metrics | {"output": output.uri}, FAILED if worse else OK)


def _corpus(arguments: argparse.Namespace) -> ScoringSet:
    runs = run_folder_of(arguments.first), run_folder_of(arguments.second)
    alphabet = read_alphabet(arguments) or joined(*map(alphabet_of_run, runs))
    if arguments.reference is None:
        return scoring_set_of_run(arguments.first, arguments.lists, arguments.list_column, alphabet)
    return load_scoring_set(arguments.reference, arguments.lists, arguments.list_column, runs[1], alphabet)


def _examples(arguments: argparse.Namespace, alphabet: Alphabet) -> ExampleSource:
    return ExampleSource(
        transcripts=transcripts_of(arguments.second) if is_parquet(arguments.second) else None,
        audio=arguments.reference if arguments.reference and is_parquet(arguments.reference) else None,
        alphabet=alphabet,
    )


def _print_judgement(comparison: Comparison) -> None:
    print_summary(comparison.second, comparison.first, _LABELS)
    for name, difference in comparison.rates.items():
        tests = {"bootstrap": difference.p_value, "matched pairs": comparison.matched_pairs.get(name)}
        chances = ", ".join(f"{test} {show_p(p)}" for test, p in tests.items() if p is not None)
        print(f"{RATE_NAMES[name]}: {verdict(name, difference)}" + (f" (p: {chances})" if chances else ""))
    for title, kind in (("lost", "lost"), ("newly inserted", "new_false"), ("gained", "gained")):
        _print_entities(f"entities {title}", comparison, kind)


def _print_difference(comparison: Comparison) -> None:
    counts = comparison.second.word_counts("wer")
    print(f"{len(comparison.changes)} of {len(comparison.second.utterances)} utterances differ, ", end="")
    print(f"{counts.errors} words differ from the {counts.words} of run A")
    _print_entities("entities only in run A", comparison, "lost")
    _print_entities("entities only in run B", comparison, "new_false")


def _print_entities(title: str, comparison: Comparison, kind: str) -> None:
    names = [one.entity for one in comparison.entities if getattr(one, kind)]
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    print(f"{title}: {', '.join(names[:_NAMED]) or 'none'}{more}")


if __name__ == "__main__":
    sys.exit(main())
