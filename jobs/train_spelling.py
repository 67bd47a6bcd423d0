"""Train the spelling branch of a base model from text and a little speech; the rest of the model stays as it is.

    python -m jobs.train_spelling --train FILE ... --text FILE[=WEIGHT] ... --validation-speakers S ... \\
        --cache CACHE --output DIR

``--text`` is plain text, a sentence per line in reading order, an empty line between books; it is turned into what the
phone head would hear of it, with segments of what it heard of the speech. Speech may be made harder (``--speeds``,
``--noise``), as the base makes few errors on what it was trained on. The same command resumes a run that was broken
off. A branch that ``--model`` has is gone on from, unless it is to be made ``--anew``. The model with the branch that
validated best, averaged, is written to ``--output``.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch

from jobs.cli.command import Result, job_parser, leave, run_command
from jobs.cli.training_options import add_settings, add_speech, cache_states, keep_out, settings
from pipeline.acoustic import checkpoint, model_files
from pipeline.acoustic.loading import load_model
from pipeline.acoustic.network import BackboneConfig, CtcNetwork
from pipeline.acoustic.spelling import SpellingBranch, SpellingConfig
from pipeline.config import PRONUNCIATIONS, AcousticConfig
from pipeline.errors import InputError
from pipeline.lexicon.pronunciation import PHONES, Pronouncer, read_dictionary
from pipeline.storage import matching
from pipeline.training import adapter_states
from pipeline.training.adapter_states import StateRow
from pipeline.training.spelling_data import SpellingData, TextConfig, TextWindows
from pipeline.training.spelling_loop import SpellingTrainer, SpellingTraining
from pipeline.training.spoken_text import SpokenSegments

SHAPE = SpellingConfig(width=320, blocks=4, heads=5, kernel=15)
"""7.2 M parameters; 12.5 positions a second, so it costs less than the head."""


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = job_parser("train_spelling", __doc__)
    add_speech(parser)
    parser.add_argument("--text", required=True, nargs="+", help="text files, globs allowed, each with =WEIGHT")
    parser.add_argument("--anew", action="store_true", help="begin a new branch, even where --model has one")
    add_settings(parser, SpellingTraining, TextConfig)
    return parser


def begin(options: argparse.Namespace) -> tuple[CtcNetwork, BackboneConfig, Path]:
    """Return the base with a branch to train, its own or a new one, and a copy of its directory without any."""
    network, config = checkpoint.load(Path(options.model))
    torch.manual_seed(options.seed)
    kept = None if options.anew else network.spelling
    branch = kept or SpellingBranch(SHAPE, network.head.config.phones, network.head.tokens)
    network.spelling = None
    folder: Path = options.output / "training" / "base"
    tokeniser = Path(options.model) / model_files.TOKENISER
    backbone = checkpoint.shapes(config)[0]
    checkpoint.save(folder, network, backbone, tokeniser, PHONES)
    network.spelling = branch
    return network, backbone, folder


def hear(options: argparse.Namespace, base: Path) -> tuple[list[StateRow], list[StateRow]]:
    """Return what the base hears of the speech to train on, and of the speakers kept out."""
    model = load_model(AcousticConfig(model=str(base), device=options.device))
    rows = [row for entry in cache_states(options, model) for row in adapter_states.read(entry)]
    return keep_out(options, rows, lambda row: row.speaker)


def text_files(patterns: Sequence[str]) -> list[tuple[Path, float]]:
    """Return the files of FILE[=WEIGHT] options. Raises InputError where one names no file."""
    found = []
    for pattern in patterns:
        name, _, weight = pattern.partition("=")
        files = matching(name)
        if not files:
            raise InputError(f"--text {name}: no such file.")
        found += [(Path(file), float(weight or 1.0)) for file in files]
    return found


def train(options: argparse.Namespace) -> Result:
    """Run the recipe."""
    files = text_files(options.text)
    network, backbone, base = begin(options)
    training, held_out = hear(options, base)
    tokens = model_files.load_tokens(base / model_files.TOKENISER)
    pronouncer, config = Pronouncer(), settings(options, TextConfig)
    words = sorted(read_dictionary(PRONUNCIATIONS / "cmudict.txt.gz"))
    windows = TextWindows(files, tokens.encoder, pronouncer, words, config, tokens.alphabet)
    segments = SpokenSegments.collect(training, pronouncer)
    trainer = SpellingTrainer(network, settings(options, SpellingTraining), options.output / "training", tokens.decode)
    trainer.run(SpellingData(windows, segments, training, tokens.encoder, config), held_out)
    trainer.use_best()
    checkpoint.save(options.output, network, backbone, base / model_files.TOKENISER, PHONES)
    return Result({"output": str(options.output), "validation_wer": trainer.best, "segments": len(segments)})


def main(argv: list[str] | None = None) -> int:
    options = build_parser().parse_args(argv)
    return run_command(lambda: train(options), options.json)


if __name__ == "__main__":
    leave(main())
