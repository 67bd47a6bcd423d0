"""Tune weights on labelled speech, for any model: of boosting and boost class, or of the search without a list.

    python -m jobs.tune --audio dev.parquet --lists dev_lists.tsv --output tuning
    python -m jobs.tune --emissions first_pass.parquet --reference dev.parquet --guard sound_alikes.tsv --output tuning
    python -m jobs.tune --fit search --audio dev.parquet --trials 40 --output tuning

Half of the speakers tune, the other half confirms. Writes OUTPUT/best.yaml (for --config of jobs.transcribe),
OUTPUT/trials.jsonl (every trial) and OUTPUT/table.md (the best trials on both halves), and prints the table.
``--fit search`` tunes language_model.alpha, language_model.beta and phone_fusion.weight by word error rate, without
lists.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import yaml
from rich.console import Console

from jobs.cli.command import Result, job_parser, leave, run_command
from jobs.run.first_pass import encode
from pipeline.acoustic.adapter_files import resolved
from pipeline.acoustic.calibration_files import configured
from pipeline.acoustic.loading import load_tokens
from pipeline.config import RunConfig, joint
from pipeline.errors import ConfigError, InputError, StorageError
from pipeline.recognition.recogniser import Recogniser
from pipeline.tuning.evaluation import LabelledSet, adapted, load_labelled_set, sample
from pipeline.tuning.results import nested, trial_scores, trial_table
from pipeline.tuning.tuning import AIMS, Distractors, Trial, Tuner

_SHOWN = 8  # trials in the table


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = job_parser("tune", __doc__)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--audio", metavar="A", nargs="+", help="AUDIO parquet files with text")
    source.add_argument("--emissions", metavar="E", nargs="+", help="EMISSIONS parquet files, to save the encoding")
    parser.add_argument("--reference", metavar="R", nargs="+", help="texts and lists of each file, if not its own")
    parser.add_argument(
        "--lists", metavar="L", nargs="+", help="entity list or lists per utterance of each file; - none"
    )
    parser.add_argument("--fit", choices=AIMS, default="biasing", help="which weights (default: %(default)s)")
    parser.add_argument("--guard", metavar="G", help="lists of words that were not said in the first file's utterances")
    parser.add_argument(
        "--most-harm", type=float, default=0.01, help="WER that the guard lists may cost (0.01: a point)"
    )
    parser.add_argument("--config", metavar="YAML", help="overrides fields of the joint preset, e.g. acoustic.model")
    parser.add_argument("--trials", type=int, default=60, help="default: %(default)s")
    parser.add_argument("--utterances", type=int, help="use about this many of each file while tuning")
    parser.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    parser.add_argument("--output", metavar="O", required=True, help="folder to write to")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the command; exit code 0, or 2 for bad input."""
    arguments = build_parser().parse_args(argv)
    return run_command(lambda: _run(arguments), arguments.json)


def _run(arguments: argparse.Namespace) -> Result:
    console, output = Console(), Path(arguments.output)
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"{output} cannot be written to: {error}") from error
    if arguments.trials < 1:
        raise ConfigError(f"--trials must be 1 or more, got {arguments.trials}.")
    aim = AIMS[arguments.fit]
    if not aim.lists and arguments.guard is not None:
        raise InputError("--guard has lists, and --fit search is about the search without any; leave one of them out.")
    config = resolved(configured(joint(), arguments.config))
    corpora, guard = _load(arguments, config, output)
    halves = [corpus.halves() for corpus in corpora]
    if any(not half.utterances for pair in halves for half in pair):
        raise InputError("tuning needs at least two speakers (or, without speaker labels, two utterances) per file.")
    guards = (None, None) if guard is None else guard.halves()
    tuner, confirmer = (_tuner(arguments, config, [pair[side] for pair in halves], guards[side]) for side in range(2))
    trials = _search(tuner, arguments, output, console)
    confirmed = [(trial, confirmer.trial(trial.values)) for trial in trials[:_SHOWN]]
    table = trial_table([(tuner.unbiased, confirmer.unbiased), *confirmed], aim.lists)
    (output / "table.md").write_text(table)
    (output / "best.yaml").write_text(yaml.safe_dump(nested(trials[0].values)))
    console.print(table, soft_wrap=True, markup=False)
    return Result({"best": nested(trials[0].values), **trial_scores(trials[0]), "output": str(output)})


def _load(
    arguments: argparse.Namespace, config: RunConfig, output: Path
) -> tuple[list[LabelledSet], LabelledSet | None]:
    sources = arguments.emissions or [
        encode(path, config, output / f"emissions_{number}.parquet") for number, path in enumerate(arguments.audio)
    ]
    references = _one_each(arguments.reference or arguments.audio, len(sources), "--reference")
    lists = _one_each(arguments.lists, len(sources), "--lists")
    alphabet = load_tokens(config.acoustic).alphabet
    corpora = [load_labelled_set(*paths, alphabet) for paths in zip(sources, references, lists, strict=True)]
    guard = None if arguments.guard is None else load_labelled_set(sources[0], references[0], arguments.guard, alphabet)
    return corpora, guard


def _one_each(paths: Sequence[str] | None, count: int, option: str) -> list[str | None]:
    if paths is None:
        return [None] * count
    if len(paths) != count:
        raise InputError(f"{option} needs one value per data file ({count}), got {len(paths)}; - stands for none.")
    return [None if path == "-" else path for path in paths]


def _tuner(
    arguments: argparse.Namespace, config: RunConfig, corpora: Sequence[LabelledSet], guard: LabelledSet | None
) -> Tuner:
    if arguments.utterances:
        corpora = [sample(corpus, arguments.utterances) for corpus in corpora]
        guard = None if guard is None else sample(guard, arguments.utterances)
    aim = AIMS[arguments.fit]
    if aim.lists and (adapter := Recogniser.load(config, encodes=False, transcribes=False).adapter):
        corpora = [adapted(corpus, adapter) for corpus in corpora]
        guard = None if guard is None else adapted(guard, adapter)
    guarded = None if guard is None else Distractors(guard, arguments.most_harm)
    return Tuner(config, corpora, guarded, aim)


def _search(tuner: Tuner, arguments: argparse.Namespace, output: Path, console: Console) -> list[Trial]:
    number = 0
    with (output / "trials.jsonl").open("w") as log:

        def note(trial: Trial) -> None:
            nonlocal number
            number += 1
            log.write(json.dumps({**trial.values, "objective": trial.objective, **trial_scores(trial)}) + "\n")
            log.flush()
            console.print(f"trial {number}/{arguments.trials}: objective {trial.objective:.4f}", highlight=False)

        return tuner.search(arguments.trials, arguments.seed, note)


if __name__ == "__main__":
    leave(main())
