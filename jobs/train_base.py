"""Train the default model.

    python -m jobs.train_base --backbone WHISPER_DIR --tokeniser T --train FILE[=WEIGHT] ... --cache C --output DIR

Features of the frozen Whisper encoder are computed once into ``--cache``; the head is trained on them with subword
CTC on three levels and phone CTC on one; ``--tune-layers 2`` goes on with the last encoder layers unfrozen. Run the
same command again to resume. The weights that validated best, averaged, are written to ``--output``.
"""

import argparse
import dataclasses
from pathlib import Path

import torch
from safetensors.torch import load_file

from jobs.cli.command import Result, job_parser, run_command
from pipeline.acoustic import checkpoint
from pipeline.acoustic.head import HeadConfig
from pipeline.acoustic.network import BackboneConfig, CtcNetwork
from pipeline.errors import ModelError
from pipeline.lexicon.pronunciation import PHONES
from pipeline.text import Alphabet
from pipeline.training import feature_cache
from pipeline.training.base_data import Labels, cache_entries, held_out, training_sources
from pipeline.training.base_loop import Trainer, TrainingConfig


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = job_parser("train_base", __doc__)
    parser.add_argument("--backbone", required=True, type=Path, help="transformers directory of Whisper base.en")
    parser.add_argument("--tokeniser", required=True, type=Path, help="SentencePiece unigram model, <unk> at id 0")
    parser.add_argument("--train", required=True, nargs="+", help="AUDIO parquet, globs allowed, each with =WEIGHT")
    parser.add_argument("--validation-speakers", nargs="+", default=[], help="kept out of training, used to validate")
    parser.add_argument(
        "--report", nargs="*", default=[], type=Path, help="parquet to report error rates on at the end"
    )
    parser.add_argument("--speeds", nargs="+", type=float, default=[1.0], help="speed perturbation of real speech")
    parser.add_argument("--cache", required=True, type=Path, help="folder for backbone features (0.4 GB an hour)")
    parser.add_argument(
        "--cached-only", action="store_true", help="use what the cache holds at each epoch; compute nothing"
    )
    parser.add_argument("--init", type=Path, help="model directory to start from")
    parser.add_argument("--output", required=True, type=Path)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    for field in dataclasses.fields(TrainingConfig):
        name = "--" + field.name.replace("_", "-")
        parser.add_argument(name, type=type(field.default), default=field.default)
    return parser


def build_network(options: argparse.Namespace, vocabulary: int) -> tuple[CtcNetwork, BackboneConfig]:
    """Return the network with the backbone's published weights, or with all weights of ``--init``."""
    backbone = BackboneConfig()
    head = HeadConfig(
        inputs=len(backbone.taps) * backbone.width, width=320, blocks=4, heads=5, kernel=15,
        vocabulary=vocabulary, phones=len(PHONES) + 1, token_levels=(2, 3), phone_level=2,
    )  # fmt: skip
    if options.init:
        network, config = checkpoint.load(options.init)
        network.spelling = None  # it corrects what the head says now; train_spelling makes another for the new head
        return network, checkpoint.shapes(config)[0]
    network = CtcNetwork(backbone, head)
    path = options.backbone / "model.safetensors"
    if not path.exists():
        raise ModelError(f"{path}: not found; DESIGN.md section 6 tells how to get Whisper base.en.")
    prefix = "model.encoder."
    tensors = {key.removeprefix(prefix): value for key, value in load_file(path).items() if key.startswith(prefix)}
    network.backbone.encoder.load_state_dict(tensors)
    return network, backbone


def _entries(options: argparse.Namespace, network: CtcNetwork, alphabet: Alphabet) -> list[tuple[Path, float]]:
    device = None if options.cached_only else options.device
    return cache_entries(options.train, options.speeds, options.cache, network, device, alphabet)


def train(options: argparse.Namespace) -> Result:
    """Run the recipe."""
    labels = Labels(options.tokeniser)
    alphabet = labels.tokens.alphabet
    network, backbone = build_network(options, len(labels.tokens.pieces))
    config = TrainingConfig(**{f.name: getattr(options, f.name) for f in dataclasses.fields(TrainingConfig)})
    validation = held_out(_entries(options, network, alphabet), labels, options.validation_speakers)
    trainer = Trainer(network, config, options.output / "training", labels.tokens.decode)
    trainer.run(
        lambda: training_sources(_entries(options, network, alphabet), labels, options.validation_speakers), validation
    )
    trainer.use_best()
    checkpoint.save(options.output, network, backbone, options.tokeniser, PHONES)
    for parquet in options.report:
        stack = network.head.config.stack
        index = feature_cache.build(parquet, options.cache, network.backbone, 1.0, stack, options.device, alphabet)
        trainer.log(kind="report", file=parquet.name, **trainer.evaluate(labels.examples(index)))
    return Result({"output": str(options.output)})


def main(argv: list[str] | None = None) -> int:
    options = build_parser().parse_args(argv)
    return run_command(lambda: train(options), options.json)


if __name__ == "__main__":
    raise SystemExit(main())
