"""Score transcripts against references: WER, U-WER, B-WER, entity precision, recall and F1, false accepts per hour.

    python -m jobs.score --transcripts out/1f3a... --reference corpus.parquet --lists names.tsv --output scores
    python -m jobs.score --hypotheses other_system.tsv --reference corpus.parquet --lists names.tsv --output scores

    python -m jobs.score --transcripts out/1f3a... --reviews reviews --reference corpus.parquet --output scores

Writes OUTPUT/metrics.json, OUTPUT/scores.parquet (one row per utterance) and OUTPUT/report.html, and prints a summary.

--reviews lays what people said over the run's words first, by audio and time; OUTPUT/reviewed.jsonl has the rows that
it changed, with the run's own text. The run stays as it is, and so does --baseline.

--variants names other runs on the same references, which the report draws as ablations and curves:

    [{"kind": "ablation", "name": "without boosting", "transcripts": "out/9b1d..."},
     {"kind": "list_size", "value": 1000, "transcripts": "out/55e0...", "lists": "lists_1000.tsv"},
     {"kind": "boost_weight", "value": 2.5, "transcripts": "out/e812..."}]
"""

import argparse
import sys
import tempfile
from collections import Counter
from typing import Any

from jobs.cli.command import Result, add_scoring_inputs, job_parser, read_alphabet, run_command
from jobs.cli.score_tables import print_summary
from pipeline import storage
from pipeline.errors import ConfigError
from pipeline.report import ExampleSource, ReportInput, build_report, read_attention
from pipeline.review.folder import read_reviews
from pipeline.review.laid import write_laid
from pipeline.review.overlay import Overlay, summary
from pipeline.runs.facts import run_facts, vocabulary_of
from pipeline.runs.find import transcripts_of
from pipeline.runs.folder import RunFolder
from pipeline.runs.letters import alphabet_of_run
from pipeline.runs.reader import Run
from pipeline.scoring.bootstrap import Bootstrap
from pipeline.scoring.breakdowns import Knowledge, count_words
from pipeline.scoring.inputs import ScoringSet, is_parquet, load_scoring_set, run_folder_of
from pipeline.scoring.output import all_metrics, write_json, write_scores
from pipeline.scoring.score import ScoreResult
from pipeline.scoring.variants import read_variants
from pipeline.text import Alphabet

_REVIEWED = "reviewed.jsonl"
_NAMED = 5  # ids and entries named on the terminal


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = job_parser("score", __doc__)
    scored = parser.add_mutually_exclusive_group(required=True)
    scored.add_argument("--transcripts", metavar="T", help="run directory, or folder or file of TRANSCRIPTS parquet")
    scored.add_argument("--hypotheses", metavar="TSV", help="any system's output, a text file as for --reference")
    add_scoring_inputs(parser, reference_required=True)
    parser.add_argument("--reviews", metavar="REVIEWS", help="folder that review-import wrote: reviewed text wins")
    parser.add_argument("--baseline", metavar="T0", help="transcripts or TSV to put beside it, e.g. without the list")
    parser.add_argument(
        "--variants", metavar="JSON", help="other runs: ablations, list sizes, boost weights (see above)"
    )
    parser.add_argument(
        "--vocabulary",
        metavar="FILE",
        help="words of the language model, for the report's breakdown; default: those that the run names",
    )
    parser.add_argument(
        "--training-text",
        metavar="FILE",
        action="append",
        default=[],
        help="text or parquet that the model was trained on, likewise; may be given more than once",
    )
    parser.add_argument(
        "--attention", metavar="JSONL", help="what the adapter attended to in chosen utterances, for the report's plots"
    )
    parser.add_argument("--title", default="Entity-F1 report", help="of the report")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the command; exit code 0, or 2 for bad input."""
    arguments = build_parser().parse_args(argv)
    return run_command(lambda: _run(arguments), arguments.json)


def _run(arguments: argparse.Namespace) -> Result:
    output = storage.open_filesystem(arguments.output)
    storage.check_writable(output)
    scored = arguments.transcripts or arguments.hypotheses
    run = run_folder_of(scored)
    alphabet = read_alphabet(arguments) or alphabet_of_run(run)
    if arguments.reviews is None:
        return _score(arguments, scored, run, output, alphabet)
    if arguments.transcripts is None:
        raise ConfigError("--reviews needs --transcripts: other systems' output says no times to lay reviews over.")
    with tempfile.TemporaryDirectory(prefix="rollcall-reviewed-") as scratch:
        overlay = Overlay(read_reviews(arguments.reviews, alphabet), alphabet)
        laid = f"{scratch}/reviewed.parquet"
        lines = write_laid(Run(transcripts_of(scored)), overlay, laid)
        storage.write_atomic(output.join(_REVIEWED), "".join(lines).encode())
        return _score(arguments, laid, run, output, alphabet, overlay.facts())


def _score(
    arguments: argparse.Namespace,
    scored: str,
    run: RunFolder | None,
    output: storage.Location,
    alphabet: Alphabet,
    reviewed: dict[str, Any] | None = None,
) -> Result:
    """Score what lies at ``scored``: the output of ``run``, or that with ``reviewed`` laid over it."""
    corpus = load_scoring_set(arguments.reference, arguments.lists, arguments.list_column, run, alphabet)
    bootstrap = Bootstrap(arguments.replicates, arguments.seed)
    result = corpus.score(scored, bootstrap)
    baseline = corpus.score(arguments.baseline, bootstrap) if arguments.baseline else None
    variants = read_variants(arguments.variants, corpus, bootstrap) if arguments.variants else []
    report = ReportInput(
        result,
        baseline,
        arguments.title,
        run_facts(run) | ({"Reviews": summary(reviewed)} if reviewed else {}),
        _examples(scored, arguments.reference, corpus.alphabet),
        _knowledge(arguments, run, corpus.alphabet),
        variants,
        read_attention(arguments.attention) if arguments.attention else (),
    )
    document = build_report(report)
    write_scores(output, result)
    metrics = all_metrics(result, baseline, variants) | corpus.facts() | ({"reviewed": reviewed} if reviewed else {})
    write_json(output, "metrics.json", metrics)
    storage.write_atomic(output.join("report.html"), document.encode())
    print_summary(result, baseline)
    if reviewed:
        print(summary(reviewed))
    print_notes(result, corpus, output.uri)
    return Result(metrics | {"output": output.uri})


def _knowledge(arguments: argparse.Namespace, run: RunFolder | None, alphabet: Alphabet) -> Knowledge:
    vocabulary = arguments.vocabulary or vocabulary_of(run)
    training = [count_words(path, alphabet) for path in arguments.training_text]
    return Knowledge(
        vocabulary=set(count_words(vocabulary, alphabet)) if vocabulary else None,
        training_words=sum(training, Counter()) if training else None,
    )


def _examples(scored: str, reference: str, alphabet: Alphabet) -> ExampleSource:
    return ExampleSource(
        transcripts=transcripts_of(scored) if is_parquet(scored) else None,
        audio=reference if is_parquet(reference) else None,
        alphabet=alphabet,
    )


def print_notes(result: ScoreResult, corpus: ScoringSet, output: str) -> None:
    """Print what a reader must know before trusting the table, and where the files are."""
    failed = {one.utterance_id: one.error for one in result.utterances if one.error is not None}
    notes = {
        "utterances have no hypothesis and count as deleted": result.missing,
        "transcripts have an error and count as empty": [
            f"{name} ({error})" for name, error in failed.items() if name not in set(result.missing)
        ],
        "references have no text and are not scored": corpus.unscored,
        "utterances have no entity list": corpus.listless,
        "list entries cannot be used": [f"row {one.row} '{one.entry}' {one.reason}" for one in corpus.lists.rejected],
    }
    for text, names in notes.items():
        if names:
            print(f"{len(names)} {text}: {', '.join(names[:_NAMED])}", file=sys.stderr)
    print(f"written: {output}/metrics.json, scores.parquet, report.html")


if __name__ == "__main__":
    sys.exit(main())
