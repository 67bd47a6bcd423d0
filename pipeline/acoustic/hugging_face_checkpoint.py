"""What a user's checkpoint says of itself, without its weights: class, pieces, language, frame rate, what it hears."""

import dataclasses
import functools
import json
import math
import struct
from pathlib import Path
from typing import Any

from pipeline.acoustic.hugging_face_files import (
    check_files,
    content_hash,
    explained,
    language_file,
    languages,
    locate,
    read_json,
    weight_files,
)
from pipeline.acoustic.hugging_face_tokens import FoldedTokens, fold_tokens
from pipeline.config import AcousticConfig
from pipeline.errors import ModelError

BERT, PARAKEET = "wav2vec2-bert", "parakeet_ctc"
"""The families that hear a spectrogram; the others hear samples."""
CLASSES = {
    "wav2vec2": "Wav2Vec2ForCTC",
    "hubert": "HubertForCTC",
    "wav2vec2-conformer": "Wav2Vec2ConformerForCTC",
    "wavlm": "WavLMForCTC",
    "unispeech": "UniSpeechForCTC",
    "unispeech-sat": "UniSpeechSatForCTC",
    "data2vec-audio": "Data2VecAudioForCTC",
    BERT: "Wav2Vec2BertForCTC",
    PARAKEET: "ParakeetForCTC",
}
"""``model_type`` in config.json to the class of transformers that reads it."""

MAX_SECONDS = 30.0  # these models were trained on segments up to about this long, and attention grows quadratically
LOWEST_RATE, HIGHEST_RATE = 8_000, 48_000  # Hz, of telephones and of studios: beyond, it is an error in the file
BERT_HOP, BERT_WINDOW = 160, 400  # samples; transformers' SeamlessM4TFeatureExtractor has no setting for them
_BERT_WIDTH = 1024  # the default of Wav2Vec2BertConfig, which config.json may leave out
_PHONEMES = "Wav2Vec2PhonemeCTCTokenizer"
_HEADS = {PARAKEET: "ctc_head"}
"""Name of the CTC layer, where it is not lm_head."""
_MOST_HEADER = 100_000_000  # bytes, as safetensors allows


@dataclasses.dataclass(frozen=True)
class Timing:
    """Seconds between output frames, and the longest audio that one forward pass takes."""

    frame_seconds: float
    max_seconds: float


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """A directory that was found fit to be loaded, its weights apart.

    settings, tokenizer, extractor: as transformers reads them
    language: of a model of many languages (MMS), the one that is asked for; None: as the checkpoint is
    outputs:  of the CTC layer
    """

    directory: Path
    settings: Any
    tokenizer: Any
    extractor: Any
    language: str | None
    outputs: int

    @property
    def family(self) -> str:
        """Key of CLASSES."""
        return str(self.settings.model_type)

    @functools.cached_property
    def folded(self) -> FoldedTokens:
        """The inventory as this program writes it; raises ModelError."""
        with explained(self.directory):
            try:
                return fold_tokens(self.tokenizer, self.outputs, self.settings.pad_token_id)
            except ModelError as error:
                raise ModelError(f"{self.directory}: {error}") from error

    @functools.cached_property
    def model_id(self) -> str:
        """Hash of the content, and the language where one of many is asked for."""
        content = content_hash(self.directory)
        return content if self.language is None else f"{content}-{self.language}"

    @property
    def rate(self) -> int:
        """Samples per second that the model hears."""
        return int(self.extractor.sampling_rate)

    @property
    def thinned(self) -> int:
        """Frames of the encoder for each that is written: what is fine-tuned after Wav2Vec2-BERT often halves them."""
        return int(self.settings.adapter_stride) if self.family == BERT and self.settings.add_adapter else 1

    @property
    def timing(self) -> Timing:
        settings = self.settings
        if self.family == PARAKEET:
            encoder = settings.encoder_config
            step = self.extractor.hop_length * encoder.subsampling_factor / self.rate
            return Timing(step, min(MAX_SECONDS, step * encoder.max_position_embeddings))
        if self.family == BERT:
            return Timing(BERT_HOP * self.extractor.stride * self.thinned / self.rate, MAX_SECONDS)
        step = math.prod(settings.conv_stride) / self.rate
        positions = getattr(settings, "max_source_positions", None)
        return Timing(step, MAX_SECONDS if positions is None else min(MAX_SECONDS, step * positions))

    @property
    def layers(self) -> int:
        """Of the encoder."""
        settings = self.settings.encoder_config if self.family == PARAKEET else self.settings
        return int(settings.num_hidden_layers)

    def check_head(self) -> None:
        """Raise ModelError unless the weights have the CTC layer that config.json speaks of; reads headers only."""
        name = f"{_HEADS.get(self.family, 'lm_head')}.weight"
        shapes = tensor_shapes(weight_files(self.directory))
        if self.language is not None and language_file(self.directory, self.language).is_file():
            shapes |= tensor_shapes([language_file(self.directory, self.language)])
        if name not in shapes:
            raise ModelError(_no_head(self.directory, [name]))
        if shapes[name][0] != self.outputs:
            raise ModelError(
                f"{self.directory}: config.json has vocab_size {self.outputs}, {name} has {shapes[name][0]} rows; copy "
                "the config.json that was saved with these weights."
            )


def _no_head(directory: Path, missing: list[str]) -> str:
    return (
        f"{directory}: the weights lack {missing[:4]}; needed is a checkpoint fine-tuned for CTC, not a bare encoder."
    )


def check_loaded(directory: Path, missing: set[str]) -> None:
    """Raise ModelError if weights that the class needs were not in the files."""
    if missing:
        raise ModelError(_no_head(directory, sorted(missing)))


def read_checkpoint(config: AcousticConfig) -> Checkpoint:
    """Read everything of ``config.model`` but its weights: a directory, or a hub id where there is a network.

    Raises ModelError for anything missing, broken or not supported.
    """
    directory = locate(config.model)
    check_files(directory)
    _check_type(directory)
    import transformers

    features: Any = transformers.AutoFeatureExtractor
    language = _language(directory, config.language)
    named: dict[str, Any] = {} if language is None else {"target_lang": language}
    with explained(directory):
        settings = transformers.AutoConfig.from_pretrained(directory, local_files_only=True)
        tokenizer = transformers.AutoTokenizer.from_pretrained(directory, local_files_only=True, **named)
        extractor = features.from_pretrained(directory, local_files_only=True)
    outputs = _outputs(directory, language, settings.vocab_size)
    checkpoint = Checkpoint(directory, settings, tokenizer, extractor, language, outputs)
    _check_rate(checkpoint)
    return checkpoint


def _check_type(directory: Path) -> None:
    """Raise ModelError for a class that is not supported; before transformers reads anything, as it may not know it."""
    content = read_json(directory / "config.json")
    family, named = content.get("model_type"), content.get("architectures") or []
    if family not in CLASSES:
        raise ModelError(
            f"{directory}: model_type '{family}'; supported are {sorted(CLASSES)}. Encoder-decoders (Whisper) and "
            "transducers have no CTC output to search in."
        )
    if content.get("add_adapter", False) and not _has_one_layer(content):
        raise ModelError(
            f"{directory}: config.add_adapter (strided layers after the encoder) is supported for {BERT} with one "
            "layer as wide as the encoder; needed is a model fine-tuned with that, or without add_adapter."
        )
    told = directory / "tokenizer_config.json"
    if told.is_file() and read_json(told).get("tokenizer_class") == _PHONEMES:
        raise ModelError(f"{directory}: writes phonemes and no words; needed is a model fine-tuned to write letters.")
    if any(str(name).endswith("Classification") for name in named):
        raise ModelError(
            f"{directory}: {named[0]} labels audio and writes no text; needed is a model fine-tuned as "
            f"{CLASSES[family]}."
        )


def _has_one_layer(content: dict[str, Any]) -> bool:
    """Whether what comes after the encoder of Wav2Vec2-BERT is one layer of its width, as it is by default."""
    if content.get("model_type") != BERT or content.get("num_adapter_layers", 1) != 1:
        return False
    return content.get("output_hidden_size") in (None, content.get("hidden_size", _BERT_WIDTH))


def _language(directory: Path, wanted: str | None) -> str | None:
    """Return the language to load of a model of many; None for a model of one, and for what the checkpoint is set to.

    Raises ModelError for a language that is not there, and where none is set.
    """
    known = languages(directory)
    if not known:
        return None
    path = directory / "tokenizer_config.json"
    current = (read_json(path) if path.is_file() else {}).get("target_lang")
    if wanted is None and current is None:
        raise ModelError(
            f"{directory}: vocab.json has {len(known)} languages and none is set; name one with acoustic.language "
            f"(--language): {_some(known)}."
        )
    if wanted is None or wanted == current:
        return None
    if wanted not in known:
        raise ModelError(f"{directory}: has no language '{wanted}'; there are {_some(_alike(known, wanted))}.")
    if not language_file(directory, wanted).is_file():
        raise ModelError(
            f"{directory}: {language_file(directory, wanted).name} is missing, the weights of '{wanted}'; copy it from "
            "where the model came from."
        )
    return wanted


def _alike(known: tuple[str, ...], wanted: str) -> tuple[str, ...]:
    return tuple(sorted(known, key=lambda name: (name[:2] != wanted[:2], name[:1] != wanted[:1], name)))


def _some(names: tuple[str, ...]) -> str:
    return ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "")


def _outputs(directory: Path, language: str | None, default: int) -> int:
    """Return the outputs of the CTC layer, which the weights of a language bring along."""
    if language is None:
        return int(default)
    return int(tensor_shapes([language_file(directory, language)])["lm_head.weight"][0])


def _check_rate(checkpoint: Checkpoint) -> None:
    if not LOWEST_RATE <= checkpoint.rate <= HIGHEST_RATE:
        raise ModelError(
            f"{checkpoint.directory}: the model hears {checkpoint.rate} Hz, needed are {LOWEST_RATE} to {HIGHEST_RATE} "
            "Hz; correct sampling_rate in preprocessor_config.json if it was trained at another rate."
        )


def tensor_shapes(files: list[Path]) -> dict[str, tuple[int, ...]]:
    """Return name and shape of every tensor, from the headers of safetensors files; raises ModelError."""
    return {
        name: tuple(about["shape"]) for path in files for name, about in _header(path).items() if name != "__metadata__"
    }


def _header(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            (size,) = struct.unpack("<Q", file.read(8))
            if size > min(_MOST_HEADER, path.stat().st_size):
                raise ValueError("no header")
            content: dict[str, Any] = json.loads(file.read(size))
            return content
    except (OSError, ValueError, struct.error) as error:
        raise ModelError(f"{path}: is not a safetensors file, or cut ({error}); copy or download it again.") from error
