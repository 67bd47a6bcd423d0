"""Train the default model from audio, all layers of it.

    python -m jobs.train_base --init MODEL --train FILE[=WEIGHT] ... --state STATE --output DIR

One run is a leg: it hears ``--hours`` of audio, made harder for every batch (pipeline.training.augmentation), the
learning rate falls to zero, and the averaged weights are written to ``--output``. Everything that the same command
needs to go on after it was broken off lies in ``--state``, written every ten minutes; keep that outside of the
repository. The next leg begins with ``--init`` at the model of the one before, with a new ``--state``. With
``--backbone`` in place of ``--init`` the encoder is Whisper's and the head new.

A spelling branch that the model has is left out of the new one: it corrects what the head said before. Make
another with jobs.train_spelling.
"""

import argparse
import json
from pathlib import Path

import torch
from safetensors.torch import load_file

from jobs.cli.command import Result, job_parser, leave, run_command
from jobs.cli.training_options import add_settings, settings
from pipeline.acoustic import checkpoint, model_files
from pipeline.acoustic.head import HeadConfig
from pipeline.acoustic.network import BackboneConfig, CtcNetwork
from pipeline.acoustic.precision import choose_device
from pipeline.errors import ConfigError, ModelError
from pipeline.lexicon.pronunciation import PHONES
from pipeline.training.augmentation import Augmentation
from pipeline.training.base_data import Labels, read_examples, read_sources, split
from pipeline.training.base_loop import Trainer, TrainingConfig
from pipeline.training.kept_out import VALIDATION


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = job_parser("train_base", __doc__)
    begin = parser.add_mutually_exclusive_group(required=True)
    begin.add_argument("--init", type=Path, help="model directory to go on from")
    begin.add_argument("--backbone", type=Path, help="transformers directory of Whisper base.en, for a new head")
    parser.add_argument(
        "--tokeniser", type=Path, help="SentencePiece unigram model, <unk> at id 0; default: that of --init"
    )
    parser.add_argument("--train", required=True, nargs="+", help="AUDIO parquet, globs allowed, each with =WEIGHT")
    parser.add_argument(
        "--validation-speakers", nargs="+", default=list(VALIDATION), help="kept out of training, used to validate"
    )
    parser.add_argument(
        "--report", nargs="*", default=[], type=Path, help="parquet to report error rates on at the end"
    )
    parser.add_argument("--state", required=True, type=Path, help="folder for what a resumed run needs (0.5 GB)")
    parser.add_argument("--curve", type=Path, help="append the curve of the leg to this file when it ends")
    parser.add_argument("--output", required=True, type=Path, help="model directory to write at the end of the leg")
    parser.add_argument("--device", default="auto", help="cpu, cuda or auto (default)")
    parser.add_argument("--workers", type=int, default=2, help="threads that decode audio (default %(default)s)")
    add_settings(parser, TrainingConfig, Augmentation)
    return parser


def build_network(options: argparse.Namespace, vocabulary: int) -> tuple[CtcNetwork, BackboneConfig]:
    """Return the network with the backbone's published weights, or with all weights of ``--init``."""
    if options.init:
        network, config = checkpoint.load(options.init)
        network.spelling = None
        return network, checkpoint.shapes(config)[0]
    backbone = BackboneConfig()
    head = HeadConfig(
        inputs=len(backbone.taps) * backbone.width, width=320, blocks=4, heads=5, kernel=15,
        vocabulary=vocabulary, phones=len(PHONES) + 1, token_levels=(2, 3), phone_level=2,
    )  # fmt: skip
    torch.manual_seed(options.seed)
    network = CtcNetwork(backbone, head)
    path = options.backbone / "model.safetensors"
    if not path.exists():
        raise ModelError(f"{path}: not found; DESIGN.md section 6 tells how to get Whisper base.en.")
    prefix = "model.encoder."
    tensors = {key.removeprefix(prefix): value for key, value in load_file(path).items() if key.startswith(prefix)}
    network.backbone.encoder.load_state_dict(tensors)
    return network, backbone


def append_curve(state: Path, curve: Path) -> None:
    """Append the curve of a leg to ``curve``; of steps that were taken again after a break the last line counts."""
    points: dict[tuple[int, str, str], str] = {}
    for line in (state / "curve.jsonl").read_text(encoding="utf-8").splitlines():
        point = json.loads(line)
        points[(point["step"], point["kind"], point.get("file", ""))] = line
    known = set(curve.read_text(encoding="utf-8").splitlines()) if curve.exists() else set()
    with open(curve, "a", encoding="utf-8") as sink:
        sink.writelines(points[at] + "\n" for at in sorted(points, key=lambda at: at[0]) if points[at] not in known)


def train(options: argparse.Namespace) -> Result:
    """Run one leg."""
    tokeniser = options.tokeniser or (options.init and options.init / model_files.TOKENISER)
    if tokeniser is None:
        raise ConfigError("--tokeniser: is missing; --backbone has none.")
    labels = Labels(tokeniser)
    network, backbone = build_network(options, len(labels.tokens.pieces))
    training, validation = split(read_sources(options.train, labels, options.workers), options.validation_speakers)
    trainer = Trainer(
        network, settings(options, TrainingConfig), settings(options, Augmentation), options.state,
        labels.tokens.decode, choose_device(options.device),
    )  # fmt: skip
    trainer.run(training, validation)
    checkpoint.save(options.output, network, backbone, tokeniser, PHONES)
    for parquet in options.report:
        examples = read_examples(parquet, labels, options.workers)
        trainer.log(kind="report", file=parquet.name, **trainer.evaluate(examples))
    if options.curve:
        append_curve(options.state, options.curve)
    return Result({"output": str(options.output), "hours": trainer.heard / 3600, "steps": trainer.step})


def main(argv: list[str] | None = None) -> int:
    options = build_parser().parse_args(argv)
    return run_command(lambda: train(options), options.json)


if __name__ == "__main__":
    leave(main())
