"""Read what reviewers answered, check it against the run, and add it to a folder of reviews.

    python -m jobs.review_import reviews-1f3a.json --run out/1f3a... --output reviews
    python -m jobs.review_import project-7.json --run out/1f3a... --audio corpus --output reviews

Files of the page, Label Studio, Prodigy and csv are told apart by their content. Every answer becomes a row of
REVIEWS/reviews/*.parquet. One that cannot count has the reason in `error`: an unknown utterance, another run, a span
without a proposal, a verdict that is none, a review that a later one takes the place of, reviewers who contradict each
other. The same file twice is one import. REVIEWS/missed.csv has the missed names as an entity list; with --audio,
REVIEWS/heard/ has the utterances that were heard whole as audio with their text.
"""

import argparse
import collections
import sys

from rich.console import Console

from jobs.cli.command import OK, Result, add_storage_options, job_parser, run_command
from pipeline import storage
from pipeline.review.answers import read_answers
from pipeline.review.check import Review, reviews_of
from pipeline.review.folder import CONFLICT, SUPERSEDED, ReviewsFolder
from pipeline.review.heard import heard_texts, missed_names, write_heard
from pipeline.review.tasks import name_of
from pipeline.runs.letters import alphabet_of_record
from pipeline.runs.reader import Run
from pipeline.storage.s3_options import parse_options

_SHOWN = 5  # reviews that do not count, on the terminal
_COLUMNS = ("utterance_id", "text", "words", "entities", "duration_seconds", "audio_sha256", "error")


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = job_parser("review_import", __doc__)
    parser.add_argument("file", metavar="FILE", help="what the page saved, or Label Studio, Prodigy or csv")
    parser.add_argument("--run", metavar="RUN", required=True, help="the run that was reviewed; local or s3://")
    parser.add_argument(
        "--output", metavar="REVIEWS", required=True, help="folder of reviews to add to; local or s3://"
    )
    parser.add_argument("--audio", metavar="A", help="AUDIO parquet, for the utterances that were heard whole")
    parser.add_argument("--reviewer", metavar="NAME", help="who it was, where the file does not say")
    add_storage_options(parser)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the command; exit code 0, or 2 for bad input."""
    arguments = build_parser().parse_args(argv)
    return run_command(lambda: _run(arguments), arguments.json)


def _run(arguments: argparse.Namespace) -> Result:
    options = parse_options(arguments.storage_options)
    run = Run(arguments.run, options)
    audio = storage.list_parquet(arguments.audio, options) if arguments.audio else None
    output = storage.open_filesystem(arguments.output, options)
    storage.check_writable(output)
    answers = read_answers(storage.open_filesystem(arguments.file, options))
    named = {str(one.get("utterance_id")) for one in answers.answers}
    rows = {row["utterance_id"]: row for row in run.rows(named, _COLUMNS)}
    name, alphabet = name_of(run), alphabet_of_record(run.record)
    reviews = reviews_of(answers, rows, name, arguments.reviewer, alphabet)
    folder = ReviewsFolder(output)
    files = folder.add(reviews, alphabet)
    everything = [one for found in files.values() for one in found]
    facts = {
        "run": name,
        "format": answers.form,
        "reviews": len(reviews),
        "unanswered": answers.unanswered,
        "verdicts": dict(collections.Counter(one["verdict"] or "heard whole" for one in reviews if not one["error"])),
        "with_error": sum(one["error"] is not None for one in reviews),
        "folder": {
            "reviews": len(everything),
            "counting": sum(one["error"] is None for one in everything),
            "superseded": sum((one["error"] or "").startswith(SUPERSEDED) for one in everything),
            "in_conflict": sum((one["error"] or "").startswith(CONFLICT) for one in everything),
        },
        "output": output.uri,
    }
    names = missed_names(files)
    if names is None:
        storage.remove(folder.missed)
    else:
        storage.write_atomic(folder.missed, names)
    if audio is not None:
        texts = heard_texts(files, run, name, alphabet)
        facts["heard_whole"] = write_heard(texts, audio, folder.heard(name))
    _show(facts, everything)
    return Result(facts | {"errors": [_brief(one) for one in everything if one["error"]]}, OK)


def _brief(review: Review) -> dict[str, str | None]:
    return {name: review[name] for name in ("run", "utterance_id", "entity", "verdict", "reviewer", "error")}


def _show(facts: dict[str, object], everything: list[Review]) -> None:
    console = Console(highlight=False, soft_wrap=True, markup=False)
    console.print(f"{facts['reviews']:,} reviews read ({facts['format']}), {facts['with_error']:,} do not count; "
                  f"{facts['unanswered']:,} tasks were not answered")  # fmt: skip
    failed = [one for one in everything if one["error"]]
    for one in failed[:_SHOWN]:
        console.print(f"  {one['utterance_id'] or '(no id)'}: {one['error']}")
    if len(failed) > _SHOWN:
        console.print(f"  and {len(failed) - _SHOWN:,} more (--json has all)")
    folder = facts["folder"]
    assert isinstance(folder, dict)
    console.print(f"the folder: {folder['reviews']:,} reviews, {folder['counting']:,} count, "
                  f"{folder['superseded']:,} superseded, {folder['in_conflict']:,} in conflict")  # fmt: skip
    if "heard_whole" in facts:
        console.print(f"heard whole, as audio with text: {facts['heard_whole']:,} utterances")
    console.print(f"written: {facts['output']}")


if __name__ == "__main__":
    sys.exit(main())
