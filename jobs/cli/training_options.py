"""What the trainings of a part of a frozen base share: options, what the base hears, speakers that are kept out."""

import argparse
import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from pipeline.acoustic.interface import CtcModel
from pipeline.config import AcousticConfig
from pipeline.errors import InputError
from pipeline.storage import matching
from pipeline.training import adapter_states
from pipeline.training.adapter_states import Hardening
from pipeline.training.kept_out import KEPT_OUT

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

One = TypeVar("One")
Settings = TypeVar("Settings", bound="DataclassInstance")
_TENTH = 10


def add_speech(parser: argparse.ArgumentParser, beside: str | None = None) -> None:
    """Add the options of the base and of the speech that it hears.

    beside: ending of the directory beside the model that is written by default; without it one must be named
    """
    parser.add_argument("--model", default=AcousticConfig().model, help="base model directory (default: the shipped)")
    parser.add_argument("--train", required=True, nargs="+", help="AUDIO parquet with text; globs allowed")
    parser.add_argument(
        "--validation-speakers",
        nargs="+",
        default=[],
        help="kept out of training, used to validate (default: a tenth of them)",
    )
    parser.add_argument("--cache", type=Path, help="folder for the base's states (default: OUTPUT/training/states)")
    parser.add_argument("--speeds", nargs="+", type=float, default=[1.0], help="each utterance is heard at one of them")
    parser.add_argument("--noise", nargs=2, type=float, metavar=("LOW", "HIGH"), help="signal to noise range in dB")
    parser.add_argument("--most", type=int, help="at most this many utterances of each file")
    parser.add_argument(
        "--output", required=beside is None, type=Path, help=None if beside is None else f"default: MODEL{beside}"
    )
    parser.add_argument("--device", default="cpu", help="of the base while states are computed")


def add_settings(parser: argparse.ArgumentParser, *kinds: "type[DataclassInstance]") -> None:
    """Add an option for every field of the dataclasses ``kinds``."""
    for kind in kinds:
        for field in dataclasses.fields(kind):
            parser.add_argument("--" + field.name.replace("_", "-"), type=type(field.default), default=field.default)


def settings(options: argparse.Namespace, kind: type[Settings]) -> Settings:
    """Return the dataclass ``kind`` filled from the options of the same names."""
    return kind(**{field.name: getattr(options, field.name) for field in dataclasses.fields(kind)})


def cache_states(options: argparse.Namespace, model: CtcModel) -> list[Path]:
    """Return the cache entry of every training file, computing what is missing."""
    hardening = Hardening(tuple(options.speeds), tuple(options.noise) if options.noise else None)
    files = [file for pattern in options.train for file in matching(pattern)]
    if not files:
        raise InputError(f"--train {' '.join(options.train)}: no such file.")
    cache = options.cache or options.output / "training" / "states"
    return [adapter_states.build(Path(file), cache, model, hardening, options.most) for file in files]


def keep_out(
    options: argparse.Namespace, utterances: Sequence[One], speaker: Callable[[One], str]
) -> tuple[list[One], list[One]]:
    """Return what to train on, without the speakers that no training hears, and what to validate on.

    Without --validation-speakers every tenth speaker validates; of one speaker, every tenth utterance.
    Raises InputError if one of them is empty.
    """
    speakers = sorted({speaker(one) for one in utterances} - KEPT_OUT)
    if not options.validation_speakers and len(speakers) == 1:
        known = [one for one in utterances if speaker(one) not in KEPT_OUT]
        held_out = known[::_TENTH]
        training = [one for at, one in enumerate(known) if at % _TENTH]
    else:
        chosen = set(options.validation_speakers or speakers[::_TENTH])
        held_out = [one for one in utterances if speaker(one) in chosen]
        training = [one for one in utterances if speaker(one) not in KEPT_OUT | chosen]
    if not held_out or not training:
        raise InputError(
            f"--validation-speakers {' '.join(options.validation_speakers)}: {len(held_out)} utterances to validate "
            f"on and {len(training)} to train on; both are needed."
        )
    return training, held_out
