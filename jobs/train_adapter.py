"""Train the contextual adapter of a base model, which stays as it is.

    python -m jobs.train_adapter --model my_model --train speech.parquet
    python -m jobs.train_adapter --train FILE ... --validation-speakers S ... --cache CACHE --output DIR

The base is a model of ours or of transformers. Its states are computed once into ``--cache`` (0.2 GB an hour of audio
for the shipped base); training reads only them. The same command resumes a run that was broken off. ``--workers N``
trains in N processes on Ray Train, one GPU each where there are any. The weights that validated best, averaged, are
written to ``--output`` with a card; beside the model, as my_model_adapter, runs find them.

``--rivals LIST`` names a large list, of 5,000 entities and more. What retrieval finds of it in the training speech and
nobody says there stands on the lists to learn from, as it will in runs with large lists.
"""

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path

import torch

from jobs.cli.command import Result, add_language, job_parser, leave, run_command
from jobs.cli.training_options import add_settings, add_speech, cache_states, keep_out, settings
from jobs.run.catalogs import catalogued
from pipeline.acoustic import adapter_checkpoint
from pipeline.acoustic.adapter import AdapterShape, ContextualAdapter
from pipeline.acoustic.adapter_files import BESIDE
from pipeline.acoustic.adapter_spelling import Speller
from pipeline.acoustic.companion_files import settled
from pipeline.acoustic.interface import CtcModel
from pipeline.acoustic.letter_units import letter_pronouncer
from pipeline.acoustic.loading import load_model
from pipeline.config import LETTERS, AcousticConfig, RunConfig, joint, override
from pipeline.config.fingerprint import model_fingerprint
from pipeline.entities.lists import load_entities
from pipeline.errors import ConfigError, InputError
from pipeline.lexicon.pronunciation import Pronouncer
from pipeline.retrieval.ranked import Ranked
from pipeline.storage import open_filesystem
from pipeline.training import adapter_states
from pipeline.training.adapter_data import ListConfig, Utterance, label
from pipeline.training.adapter_lists import list_drawer
from pipeline.training.adapter_loop import AdapterTrainer, AdapterTraining
from pipeline.training.rivals import FROM, with_rivals
from pipeline.types.entity import EntityList
from pipeline.types.tokens import WORD_START, Tokens

CARD = "MODEL_CARD.md"
_LETTERS = 2  # letters per subword, roughly, of the words on a list
TRAINING_WORDS = "training_words.txt"
"""Rare words that were said in training, beside the weights: reports tell seen and unseen entities apart by it."""


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = job_parser("train_adapter", __doc__)
    add_speech(parser, BESIDE)
    add_language(parser)
    parser.add_argument("--init", type=Path, help="adapter directory to start from, of a base of the same shapes")
    parser.add_argument("--workers", type=int, default=1, help="processes on Ray Train (default %(default)s: none)")
    parser.add_argument("--rivals", metavar="LIST", help="large list of names or catalog that rivals are found in")
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
    model = load_model(AcousticConfig(model=options.model, language=options.language, device="cpu"))
    utterances = [
        one for entry in entries for one in label(adapter_states.read(entry), model.tokens, model.output_layer())
    ]
    if options.rivals:
        utterances = rivalled(options, utterances, model)
    training, held_out = keep_out(options, utterances, lambda one: one.row.speaker)
    training.sort(key=lambda one: one.frames)
    heard = settled(AcousticConfig(model=options.model, language=options.language)).phones
    pronouncer = letter_pronouncer(model.tokens) if heard == LETTERS else Pronouncer()
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
        list_drawer(lists_of(options, model.tokens), [one.words for one in training], pronouncer),
    )  # fmt: skip
    return Task(training, held_out, trainer)


def train(options: argparse.Namespace) -> Result:
    """Run the recipe."""
    if options.output is None:
        options.output = Path(options.model.rstrip("/") + BESIDE)
        if options.model == AcousticConfig().model:
            raise ConfigError("--output is needed: beside the shipped model there is its own adapter already.")
    acoustic = AcousticConfig(model=options.model, language=options.language, device=options.device)
    model = load_model(acoustic)
    entries = cache_states(options, model)
    if options.workers > 1:
        from jobs.run.train_together import train_together  # Ray takes seconds to import

        if options.rivals:
            rival_names(options, model)  # built once, and found by all processes
        train_together(run, options, entries)
        task = prepare(options, entries)
    else:
        task = prepare(options, entries)
        task.trainer.run(task.training, task.validation)
    task.trainer.use_best()
    adapter_checkpoint.save(options.output, task.trainer.adapter, model_fingerprint(options.model))
    words = sorted({word for one in task.training for word in one.words} - task.trainer.drawer.common)
    (options.output / TRAINING_WORDS).write_text("\n".join(words) + "\n", encoding="utf-8")
    (options.output / CARD).write_text(card(options, task), encoding="utf-8")
    return Result({"output": str(options.output), "validation_wer": task.trainer.best, "training_words": len(words)})


def rivalled(options: argparse.Namespace, utterances: list[Utterance], model: CtcModel) -> list[Utterance]:
    """Return the utterances with their rivals among the names of ``--rivals``; raises as rival_names."""
    entities, config = rival_names(options, model)
    ranked = Ranked.build(config, Pronouncer(), model.tokens)
    found = with_rivals(utterances, entities, ranked, model.output_layer(), config.acoustic.top_k)
    counts = [len(one.rivals) for one in found]
    print(f"rivals: {sum(counts) / len(counts):.1f} an utterance, at most {max(counts)}", flush=True)
    return found


def rival_names(options: argparse.Namespace, model: CtcModel) -> tuple[EntityList, RunConfig]:
    """Return the names of ``--rivals`` as a catalog, built where it is not there, and how they are retrieved.

    Raises InputError if the base hears no phones, by which retrieval finds them, or if the list is too small for it.
    """
    if model.phones is None:
        raise InputError(f"--rivals: {options.model} has no phone head, and rivals are found by phones; leave it out.")
    config = override(joint(), {"acoustic": {"model": options.model}, "cut": {"bound": FROM}})
    assert config.cut is not None
    source = load_entities(options.rivals, alphabet=model.tokens.alphabet)
    if len(source.corpus) <= config.cut.above:
        raise InputError(
            f"--rivals {options.rivals}: {len(source.corpus):,} entities; more than {config.cut.above:,} are needed, "
            "as of smaller lists nothing is retrieved. For these, sound-alikes of a dictionary are drawn without it."
        )
    below = open_filesystem(str(options.cache or options.output / "training" / "states"))
    return catalogued(source, below, config).corpus, config


def lists_of(options: argparse.Namespace, tokens: Tokens) -> ListConfig:
    """Return how lists are drawn; for a model that writes letters, entries may be as many times longer."""
    config = settings(options, ListConfig)
    in_letters = all(len(piece.lstrip(WORD_START)) <= 1 for piece in tokens.pieces)
    longer = config.longest == ListConfig.longest and in_letters
    return dataclasses.replace(config, longest=_LETTERS * config.longest) if longer else config


def card(options: argparse.Namespace, task: Task) -> str:
    """Return the adapter's card, in Markdown: of what model it is, from what speech, and what it does to others'."""
    rates = task.trainer.evaluate(task.validation)
    speakers = len({one.row.speaker for one in task.training})
    return "\n".join(
        [
            f"# Contextual adapter of `{Path(options.model).name}`", "",
            f"Belongs to one model only, {model_fingerprint(options.model)}; for another, train it again.", "",
            f"- trained by `rollcall train-adapter`, {options.steps:,} steps",
            f"- on {len(task.training):,} utterances of {speakers:,} speakers: {', '.join(options.train)}",
            *([f"- with what retrieval finds there of `{Path(options.rivals).name}`"] if options.rivals else []),
            f"- {adapter_checkpoint.parameters(task.trainer.adapter):,} weights; the model's own are as they were",
            f"- on {len(task.validation):,} utterances that were kept out, with lists made for them, greedy: "
            f"WER {rates['wer_base']:.1%} to {rates['wer']:.1%}, names found {rates['recall_base']:.1%} to "
            f"{rates['recall']:.1%}", "",
        ]
    )  # fmt: skip


def run(options: argparse.Namespace, entries: Sequence[Path]) -> None:
    """Train in a process of Ray Train."""
    task = prepare(options, entries)
    task.trainer.run(task.training, task.validation)


def main(argv: list[str] | None = None) -> int:
    options = build_parser().parse_args(argv)
    return run_command(lambda: train(options), options.json)


if __name__ == "__main__":
    leave(main())
