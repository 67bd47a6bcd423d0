"""The facts of a model directory, ours or a user's, read without its weights."""

import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.acoustic import model_files
from pipeline.acoustic.adapter_files import BESIDE, CONFIG, base_of
from pipeline.acoustic.companion_files import settled
from pipeline.acoustic.hugging_face_files import checkpoint_language, languages, read_json, weight_files
from pipeline.acoustic.letter_units import columns_of
from pipeline.config import AUTO, LETTERS, AcousticConfig, RunConfig
from pipeline.config.fingerprint import model_fingerprint
from pipeline.errors import ModelError
from pipeline.text import ENGLISH, Alphabet
from pipeline.types.tokens import Tokens


@dataclasses.dataclass(frozen=True)
class ModelFacts:
    """What was found.

    kind:      class that reads it
    weights:   numbers in the files, in millions
    pieces:    outputs that are written; subwords: whether they have several letters
    delimiter: piece between words; None where pieces themselves begin words
    blank:     id of the CTC blank
    lacks:     letters of a to z that it writes words of, and has no piece for
    phones:    that are heard, 0 without any; phones_of: the model that hears them, None for its own head
    heard_letters: letters that are heard in place of phones, 0 where they are not
    language:  as the checkpoint says; languages: that it can be set to
    adapter:   directory of the adapter that was trained on it; no_adapter: why there is none
    calibration: directory of what was fitted to it; None where there is none
    is_default: whether it is the shipped model, which guard and thresholds were fitted on
    """

    model: str
    kind: str
    weights: float
    alphabet: Alphabet
    pieces: int
    subwords: bool
    delimiter: str | None
    blank: int
    lacks: str
    frame_seconds: float
    max_seconds: float
    layers: int
    phones: int
    phones_of: str | None
    heard_letters: int
    language: str | None
    languages: tuple[str, ...]
    adapter: str | None
    no_adapter: str | None
    calibration: str | None
    is_default: bool

    def facts(self) -> dict[str, Any]:
        """Return them for ``--json``."""
        return dataclasses.asdict(self) | {"alphabet": self.alphabet.letters}


def inspect_model(config: RunConfig) -> ModelFacts:
    """Return the facts of the model of ``config``; raises ModelError: what is missing, and where to get it."""
    acoustic = config.acoustic
    is_own = model_files.is_model_directory(Path(acoustic.model))
    tokens, found = _own(acoustic) if is_own else _of_transformers(acoustic)
    adapter, reason = _adapter(config)
    return ModelFacts(
        model=acoustic.model,
        adapter=adapter,
        no_adapter=reason,
        calibration=None if acoustic.calibration == AUTO else acoustic.calibration,
        is_default=is_own and model_fingerprint(acoustic.model) == model_fingerprint(AcousticConfig().model),
        alphabet=tokens.alphabet,
        **_written(tokens),
        **found,
    )


def _own(config: AcousticConfig) -> tuple[Tokens, dict[str, Any]]:
    from pipeline.acoustic import checkpoint
    from pipeline.acoustic.backbone import FRAME_SAMPLES
    from pipeline.acoustic.hugging_face_checkpoint import tensor_shapes
    from pipeline.acoustic.interface import SAMPLE_RATE
    from pipeline.acoustic.model import MAX_SECONDS

    folder = Path(config.model)
    content = read_json(folder / model_files.CONFIG)
    try:
        _, head, spelling = checkpoint.shapes(content)
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{folder / model_files.CONFIG}: is broken ({error}); fetch the model again.") from error
    names = [model_files.WEIGHTS, *([] if spelling is None else [model_files.SPELLING])]
    return model_files.load_tokens(folder / model_files.TOKENISER), {
        "kind": f"{model_files.FORMAT}, Rollcall's own",
        "weights": _millions(tensor_shapes([folder / name for name in names])),
        "delimiter": None,
        "frame_seconds": head.stack * FRAME_SAMPLES / SAMPLE_RATE,
        "max_seconds": MAX_SECONDS,
        "layers": int(content["backbone"]["layers"]) + head.blocks,
        "phones": len(content["phones"]),
        "heard_letters": 0,
        "phones_of": None,
        "language": checkpoint_language(folder) or "en",
        "languages": (),
    }


def _of_transformers(config: AcousticConfig) -> tuple[Tokens, dict[str, Any]]:
    from pipeline.acoustic.hugging_face_checkpoint import CLASSES, read_checkpoint, tensor_shapes

    read = read_checkpoint(config)
    read.check_head()
    heard = settled(config).phones
    letters = len(columns_of(read.folded.tokens).units.names) if heard == LETTERS else 0
    beside = None if heard == LETTERS else heard
    return read.folded.tokens, {
        "kind": CLASSES[read.family],
        "weights": _millions(tensor_shapes(weight_files(read.directory))),
        "delimiter": read.folded.delimiter,
        "frame_seconds": read.timing.frame_seconds,
        "max_seconds": read.timing.max_seconds,
        "layers": read.layers,
        "heard_letters": letters,
        "phones": 0 if beside is None else len(read_json(Path(beside) / model_files.CONFIG).get("phones", ())),
        "phones_of": beside,
        "language": config.language or checkpoint_language(read.directory),
        "languages": languages(read.directory),
    }


def _millions(shapes: Mapping[str, tuple[int, ...]]) -> float:
    return sum(map(math.prod, shapes.values())) / 1e6


def _written(tokens: Tokens) -> dict[str, Any]:
    texts = {piece.lstrip("▁") for piece in tokens.pieces}
    there = set("".join(texts))
    return {
        "pieces": len({piece for piece in tokens.pieces if piece}),
        "subwords": any(len(text) > 1 for text in texts),
        "blank": tokens.blank,
        "lacks": "".join(letter for letter in tokens.alphabet.letters if letter not in there),
    }


def _adapter(config: RunConfig) -> tuple[str | None, str | None]:
    """Return the adapter's directory, or why there is none."""
    wanted = None if config.adapter is None else config.adapter.model
    folder = Path(wanted or config.acoustic.model.rstrip("/") + BESIDE)
    if not (folder / CONFIG).is_file():
        return None, f"there is none at {folder}; `rollcall train-adapter` trains one"
    if not Path(config.acoustic.model).is_dir() or base_of(folder) != model_fingerprint(config.acoustic.model):
        return None, f"the one at {folder} was trained on another model; `rollcall train-adapter` trains one"
    return str(folder), None


def shown_letters(alphabet: Alphabet) -> str:
    """Return the letters as people read them.

    >>> shown_letters(Alphabet(ENGLISH.letters + "äöü"))
    'a to z ä ö ü'
    """
    if alphabet.writes_english:
        return " ".join(["a to z", *(letter for letter in alphabet.letters if letter not in ENGLISH.letters)])
    return " ".join(alphabet.letters)
