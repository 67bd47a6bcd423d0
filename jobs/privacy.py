"""Report what private exports of a run would tell, would still be good for, and what attackers would reach.

    python -m jobs.privacy --run out/1f3a... --output privacy.html
    python -m jobs.privacy --run out/1f3a... --private privacy.yaml --epsilon 1 3 5 --output privacy.html
    python -m jobs.privacy --build-embeddings vectors.txt --output vectors.npz

Every mechanism stands beside the others, each at several epsilons, audited exactly over all pairs of words. Nothing is
released: the page holds figures and no text. --labels (utterance, tab, class) adds how well a classifier that was
trained on private texts does on original ones. --build-embeddings turns word vectors of your own into what
privacy.yaml's ``embeddings`` takes: 64 directions, rounded, with public groups.
"""

import argparse
import dataclasses
import json
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from rich.console import Console

from jobs.cli.command import OK, Result, add_storage_options, job_parser, run_command
from pipeline import storage
from pipeline.config import LanguageModelConfig
from pipeline.decoding.language_model import load_language_model
from pipeline.errors import ConfigError, InputError
from pipeline.privacy import embeddings
from pipeline.privacy.config import GROUPED, KARY, LAPLACE, TEM, PrivacyConfig
from pipeline.privacy.config_file import read_config
from pipeline.privacy.measure import measure
from pipeline.privacy.page import Measured, build_page
from pipeline.privacy.release import tags_of
from pipeline.runs.reader import Run
from pipeline.storage.s3_options import parse_options

_COMPARED = {GROUPED: (1.0, 3.0, 5.0), TEM: (1.0, 3.0, 6.0), LAPLACE: (10.0, 20.0, 40.0), "truncated_gumbel": (300.0,)}


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = job_parser("privacy", __doc__)
    parser.add_argument("--run", metavar="RUN", help="run directory, or TRANSCRIPTS parquet; local or s3://")
    parser.add_argument("--private", metavar="YAML", help="only this mechanism; default: every one")
    parser.add_argument("--epsilon", type=float, nargs="+", metavar="E", help="of --private; default: that of the file")
    parser.add_argument("--labels", metavar="TSV", help="utterance id, tab, class")
    parser.add_argument("--rows", type=int, default=2000, metavar="N", help="of the run (default: %(default)s)")
    parser.add_argument(
        "--build-embeddings", metavar="FILE", help="word vectors as text: a word and its numbers a line; or 'shipped'"
    )
    parser.add_argument(
        "--group-words", type=int, metavar="N", help="of --build-embeddings: words of a group (default: 20)"
    )
    parser.add_argument("--output", metavar="FILE", required=True, help="the page; with --build-embeddings an .npz")
    add_storage_options(parser)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the command; exit code 0, or 2 for bad input."""
    arguments = build_parser().parse_args(argv)
    return run_command(lambda: _run(arguments), arguments.json)


def _run(arguments: argparse.Namespace) -> Result:
    if arguments.build_embeddings is not None:
        if arguments.build_embeddings == "shipped":
            built = embeddings.load()
        else:
            built = embeddings.build(*embeddings.read_text(Path(arguments.build_embeddings)))
        if arguments.group_words is not None:
            built = embeddings.regrouped(built, arguments.group_words)
        embeddings.save(built, Path(arguments.output))
        facts = {"words": len(built), "groups": len(built.members), "hash": built.content_hash}
        Console(highlight=False, soft_wrap=True).print(f"written: {arguments.output} ({facts['words']:,} words)")
        return Result(facts, OK)
    if arguments.run is None:
        raise ConfigError("needed is --run, or --build-embeddings.")
    options = parse_options(arguments.storage_options)
    run = Run(arguments.run, options)
    rows = _rows(run, arguments.rows)
    lists = None if run.folder is None else run.folder.lists
    model, labels = load_language_model(LanguageModelConfig()).model, _labels(arguments.labels)
    found: list[Measured] = []
    console = Console(highlight=False, soft_wrap=True)
    for config in _configs(arguments):
        tags = {} if lists is None else tags_of(lists, config)
        found.append(measure(config, rows, tags, model, labels))
        audit = found[-1].audit
        verdict = "more than claimed" if audit.exceeds else "holds"
        console.print(f"{config.mechanism} at {config.epsilon:g}: audited {audit.measured:.4g}, {verdict}")
    page = build_page(found, f"{len(rows):,} utterances of a run; every figure is of this build of Rollcall.")
    storage.write_atomic(storage.open_filesystem(arguments.output, options), page.encode())
    console.print(f"written: {arguments.output}")
    return Result({"rows": len(rows), "measured": [json.loads(one.config.parameters) for one in found]}, OK)


def _configs(arguments: argparse.Namespace) -> list[PrivacyConfig]:
    if arguments.private is None:
        compared = [PrivacyConfig(name, epsilon) for name, epsilons in _COMPARED.items() for epsilon in epsilons]
        groups = [PrivacyConfig(GROUPED, epsilon, within=KARY) for epsilon in _COMPARED[GROUPED]]
        return [*compared, *groups, PrivacyConfig("redact")]
    config = read_config(arguments.private)
    return [dataclasses.replace(config, epsilon=epsilon) for epsilon in arguments.epsilon or (config.epsilon,)]


def _rows(run: Run, most: int) -> pa.Table:
    tables, count = [], 0
    for batch in run.batches():
        kept = batch.filter(pc.and_(pc.is_valid(batch["text"]), pc.is_null(batch["error"])))
        tables.append(kept.slice(0, most - count))
        count += len(tables[-1])
        if count >= most:
            break
    if not count:
        raise InputError(f"{run.uri}: has no transcript to measure on.")
    return pa.concat_tables(tables)


def _labels(path: str | None) -> dict[str, str]:
    if path is None:
        return {}
    lines = Path(path).read_text(encoding="utf-8").splitlines()
    pairs = [line.split("\t") for line in lines if line.strip()]
    if any(len(pair) != 2 for pair in pairs):
        raise InputError(f"--labels {path}: needed is an utterance id, a tab and a class on every line.")
    return {name: label for name, label in pairs}


if __name__ == "__main__":
    sys.exit(main())
