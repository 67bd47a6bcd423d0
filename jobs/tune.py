"""Tune the weights of boosting and boost class on labelled speech, for any model.

    python -m jobs.tune --audio dev.parquet --lists dev_lists.tsv --output tuning
    python -m jobs.tune --emissions first_pass.parquet --reference dev.parquet --guard sound_alikes.tsv --output tuning

Half of the speakers tune, the other half confirms. Writes OUTPUT/best.yaml (for --config of jobs.transcribe),
OUTPUT/trials.jsonl (every trial) and OUTPUT/table.md (the best trials on both halves), and prints the table.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from rich.console import Console
from rich.progress import track

from jobs.cli.command import Result, is_terminal, job_parser, run_command
from pipeline.acoustic.adapter_files import settle
from pipeline.acoustic.loading import load_tokens
from pipeline.config import RunConfig, joint
from pipeline.config.config_file import with_file
from pipeline.errors import ConfigError, InputError, StorageError
from pipeline.recognition.recogniser import Recogniser
from pipeline.tuning.evaluation import Corpus, Evaluation, adapted, load_corpus, sample
from pipeline.tuning.tuning import Guard, Trial, Tuner, Values

_ENCODE_ROWS = 64  # utterances decoded to samples at a time
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
    config = settle(with_file(joint(), arguments.config))
    corpora, guard = _load(arguments, config, output)
    halves = [corpus.halves() for corpus in corpora]
    if any(not half.utterances for pair in halves for half in pair):
        raise InputError("tuning needs at least two speakers (or, without speaker labels, two utterances) per file.")
    guards = (None, None) if guard is None else guard.halves()
    tuner, confirmer = (_tuner(arguments, config, [pair[side] for pair in halves], guards[side]) for side in range(2))
    trials = _search(tuner, arguments, output, console)
    confirmed = [(trial, confirmer.trial(trial.values)) for trial in trials[:_SHOWN]]
    table = _table([(tuner.unbiased, confirmer.unbiased), *confirmed])
    (output / "table.md").write_text(table)
    (output / "best.yaml").write_text(yaml.safe_dump(_nested(trials[0].values)))
    console.print(table, soft_wrap=True, markup=False)
    return Result({"best": _nested(trials[0].values), **_scores(trials[0]), "output": str(output)})


def _load(arguments: argparse.Namespace, config: RunConfig, output: Path) -> tuple[list[Corpus], Corpus | None]:
    sources = arguments.emissions or [
        encode(path, config, output / f"emissions_{number}.parquet") for number, path in enumerate(arguments.audio)
    ]
    references = _one_each(arguments.reference or arguments.audio, len(sources), "--reference")
    lists = _one_each(arguments.lists, len(sources), "--lists")
    alphabet = load_tokens(config.acoustic).alphabet
    corpora = [load_corpus(*paths, alphabet) for paths in zip(sources, references, lists, strict=True)]
    guard = None if arguments.guard is None else load_corpus(sources[0], references[0], arguments.guard, alphabet)
    return corpora, guard


def _one_each(paths: Sequence[str] | None, count: int, option: str) -> list[str | None]:
    if paths is None:
        return [None] * count
    if len(paths) != count:
        raise InputError(f"{option} needs one value per data file ({count}), got {len(paths)}; - stands for none.")
    return [None if path == "-" else path for path in paths]


def encode(path: str, config: RunConfig, target: Path) -> str:
    """Encode an AUDIO file once, with what the adapter needs if there is one; the result is kept beside the others."""
    encoder = Recogniser.load(config, transcribes=False).encoder
    try:
        with pq.ParquetFile(path) as file:
            batches = track(file.iter_batches(_ENCODE_ROWS), "encode", disable=not is_terminal())
            tables = [encoder.encode(pa.Table.from_batches([batch])) for batch in batches]
    except (pa.ArrowInvalid, OSError, KeyError) as error:
        raise InputError(f"{path} cannot be read as AUDIO parquet: {error}; `jobs.ingest` writes it.") from error
    pq.write_table(pa.concat_tables(tables), target)
    return str(target)


def _tuner(arguments: argparse.Namespace, config: RunConfig, corpora: Sequence[Corpus], guard: Corpus | None) -> Tuner:
    if arguments.utterances:
        corpora = [sample(corpus, arguments.utterances) for corpus in corpora]
        guard = None if guard is None else sample(guard, arguments.utterances)
    if adapter := Recogniser.load(config, encodes=False, transcribes=False).adapter:
        corpora = [adapted(corpus, adapter) for corpus in corpora]
        guard = None if guard is None else adapted(guard, adapter)
    guarded = None if guard is None else Guard(guard, arguments.most_harm)
    return Tuner(config, corpora, guarded)


def _search(tuner: Tuner, arguments: argparse.Namespace, output: Path, console: Console) -> list[Trial]:
    number = 0
    with (output / "trials.jsonl").open("w") as log:

        def note(trial: Trial) -> None:
            nonlocal number
            number += 1
            log.write(json.dumps({**trial.values, "objective": trial.objective, **_scores(trial)}) + "\n")
            log.flush()
            console.print(f"trial {number}/{arguments.trials}: objective {trial.objective:.4f}", highlight=False)

        return tuner.search(arguments.trials, arguments.seed, note)


def _scores(trial: Trial) -> dict[str, float]:
    names = ("wer", "u_wer", "f1", "precision", "recall", "false_accepts_per_hour")
    scores = {f"{at}.{name}": one.rate(name) for at, one in enumerate(trial.evaluations) for name in names}
    if trial.guard is not None:
        scores |= {f"guard.{name}": trial.guard.rate(name) for name in ("wer", "false_accepts_per_hour")}
    return scores


def _nested(values: Values) -> dict[str, dict[str, float]]:
    nested: dict[str, dict[str, float]] = {}
    for key, value in values.items():
        section, name = key.split(".")
        nested.setdefault(section, {})[name] = value
    return nested


def _table(rows: Sequence[tuple[Trial, Trial]]) -> str:
    """Markdown: one row per trial, the unbiased search first; tuning half / confirming half in every cell."""
    sets = range(len(rows[0][0].evaluations))
    heads = [f"{name} {at}" for at in sets for name in ("F1", "U-WER %", "WER %")]
    heads += ["guard WER %", "guard false accepts/h"] if rows[0][0].guard is not None else []
    lines = ["| trial | " + " | ".join(heads) + " | values |", "|---" * (len(heads) + 2) + "|"]
    for number, pair in enumerate(rows):
        cells = [
            _cell([trial.evaluations[at] for trial in pair], name) for at in sets for name in ("f1", "u_wer", "wer")
        ]
        guards = [trial.guard for trial in pair if trial.guard is not None]
        cells += [_cell(guards, name) for name in ("wer", "false_accepts_per_hour")] if guards else []
        values = " ".join(f"{key}={value:g}" for key, value in pair[0].values.items())
        lines.append(f"| {number or 'unbiased'} | " + " | ".join(cells) + f" | {values} |")
    return "\n".join(["Each cell: tuning half / confirming half of the speakers.", "", *lines, ""])


def _cell(pair: Sequence[Evaluation], name: str) -> str:
    shown = {"f1": "{:.3f}", "false_accepts_per_hour": "{:.0f}"}.get(name, "{:.2f}")
    scale = 100.0 if "wer" in name else 1.0
    return " / ".join(shown.format(scale * one.rate(name)) for one in pair)


if __name__ == "__main__":
    raise SystemExit(main())
