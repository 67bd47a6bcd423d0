"""Train the contextual adapter of a base model, which stays as it is.

    python -m jobs.train_adapter --train FILE ... --validation-speakers S ... --cache CACHE --output DIR

States of the frozen base are computed once into ``--cache`` (0.2 GB an hour of audio for the shipped base); training
reads only them. The same command resumes a run that was broken off. ``--workers N`` trains in N processes on Ray
Train, one GPU each where there are any. The weights that validated best, averaged, are written to ``--output``.
"""

import argparse
import contextlib
import dataclasses
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch

from jobs.cli.command import Result, job_parser, run_command
from jobs.cli.training_options import add_settings, add_speech, cache_states, keep_out, settings
from pipeline.acoustic import adapter_checkpoint
from pipeline.acoustic.adapter import AdapterShape, ContextualAdapter
from pipeline.acoustic.adapter_spelling import Speller
from pipeline.acoustic.loading import load_model
from pipeline.config import PRONUNCIATIONS, AcousticConfig, LanguageModelConfig
from pipeline.config.fingerprint import model_fingerprint
from pipeline.decoding.language_model import common_words
from pipeline.lexicon.pronunciation import Pronouncer, read_dictionary
from pipeline.training import adapter_states
from pipeline.training.adapter_data import ListConfig, ListDrawer, SoundAlikes, Utterance, label
from pipeline.training.adapter_loop import AdapterTrainer, AdapterTraining

COMMON = 5000
"""Most frequent words of the language model: not rare, so not on a training list unless drawn as common words."""
TRAINING_WORDS = "training_words.txt"
"""Rare words that were said in training, beside the weights: reports tell seen and unseen entities apart by it."""
_DISTRACTORS = 30_000  # words of the pronouncing dictionary that distractors are drawn from


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = job_parser("train_adapter", __doc__)
    add_speech(parser)
    parser.add_argument("--init", type=Path, help="adapter directory to start from, of a base of the same shapes")
    parser.add_argument("--workers", type=int, default=1, help="processes on Ray Train (default %(default)s: none)")
    add_settings(parser, AdapterTraining, ListConfig)
    return parser


@dataclasses.dataclass(frozen=True)
class Task:
    """All that training needs, ready to run in any process."""

    training: list[Utterance]  # sorted by length
    validation: list[Utterance]
    trainer: AdapterTrainer


def prepare(options: argparse.Namespace, entries: Sequence[Path]) -> Task:
    """Load states, labels and lists, and make the trainer; raises InputError without validation speakers."""
    model = load_model(AcousticConfig(model=options.model, device="cpu"))
    utterances = [
        one for entry in entries for one in label(adapter_states.read(entry), model.tokens, model.output_layer())
    ]
    training, held_out = keep_out(options, utterances, lambda one: one.row.speaker)
    training.sort(key=lambda one: one.frames)
    pronouncer = Pronouncer()
    states = training[0].row.states
    shape = AdapterShape(
        levels=states.shape[0], width=states.shape[2], vocabulary=len(model.tokens.pieces), blank=model.tokens.blank,
        phones=0 if model.phones is None else len(model.phones) + 1,
    )  # fmt: skip
    torch.manual_seed(options.seed)
    adapter = ContextualAdapter(shape, model.output_layer())
    if options.init:
        adapter_checkpoint.carry_over(adapter, adapter_checkpoint.load(options.init).adapter)
    speller = Speller(model.tokens, None if model.phones is None else pronouncer)
    trainer = AdapterTrainer(
        adapter, settings(options, AdapterTraining), options.output / "training", model.tokens, speller,
        list_drawer(settings(options, ListConfig), training, pronouncer),
    )  # fmt: skip
    return Task(training, held_out, trainer)


def list_drawer(config: ListConfig, training: Sequence[Utterance], pronouncer: Pronouncer) -> ListDrawer:
    """Return what draws lists: half of the distractors are rare words of the texts, half of the dictionary."""
    common = frozenset(common_words(LanguageModelConfig().path, COMMON))
    rare = sorted({word for one in training for word in one.words} - common)
    dictionary = sorted(
        word for word in read_dictionary(PRONUNCIATIONS / "cmudict.txt.gz") if word.isalpha() and len(word) > 2
    )
    others = [word for word in dictionary if word not in common]
    generator = np.random.default_rng(0)
    drawn = [others[k] for k in generator.permutation(len(others))[:_DISTRACTORS]]
    repeats = max(1, len(drawn) // max(1, len(rare)))
    alike = SoundAlikes(sorted({*drawn, *rare, *common} - {""}), pronouncer)
    return ListDrawer(config, common, [*drawn, *(rare * repeats)], alike.of)


def train(options: argparse.Namespace) -> Result:
    """Run the recipe."""
    entries = cache_states(options, load_model(AcousticConfig(model=options.model, device=options.device)))
    if options.workers > 1:
        train_together(options, entries)
    else:
        run(options, entries)
    task = prepare(options, entries)
    task.trainer.use_best()
    adapter_checkpoint.save(options.output, task.trainer.adapter, model_fingerprint(options.model))
    words = sorted({word for one in task.training for word in one.words} - task.trainer.drawer.common)
    (options.output / TRAINING_WORDS).write_text("\n".join(words) + "\n", encoding="utf-8")
    return Result({"output": str(options.output), "validation_wer": task.trainer.best, "training_words": len(words)})


def run(options: argparse.Namespace, entries: Sequence[Path]) -> None:
    """Train in this process."""
    task = prepare(options, entries)
    task.trainer.run(task.training, task.validation)


def train_together(options: argparse.Namespace, entries: Sequence[Path]) -> None:
    """Train in ``--workers`` processes of Ray Train; states and output must lie where all of them can reach them."""
    import ray.train
    from ray.train.torch import TorchTrainer

    from jobs.run.session import ray_session

    trainer = TorchTrainer(
        lambda given: run(given["options"], given["entries"]),
        train_loop_config={"options": options, "entries": [str(entry.resolve()) for entry in entries]},
        scaling_config=ray.train.ScalingConfig(num_workers=options.workers, use_gpu=torch.cuda.is_available()),
        run_config=ray.train.RunConfig(storage_path=str((options.output / "ray").resolve())),
    )
    with ray_session(), _interrupts_as_before():
        trainer.fit()


@contextlib.contextmanager
def _interrupts_as_before() -> Iterator[None]:
    """Put back what Ctrl-C does: Ray Train leaves its own handler, which asks a controller that is gone to abort."""
    before = signal.getsignal(signal.SIGINT)
    try:
        yield
    finally:
        if signal.getsignal(signal.SIGINT) is not before:  # it does so in the main thread only, where it can be undone
            signal.signal(signal.SIGINT, before)


def main(argv: list[str] | None = None) -> int:
    options = build_parser().parse_args(argv)
    return run_command(lambda: train(options), options.json)


if __name__ == "__main__":
    raise SystemExit(main())
