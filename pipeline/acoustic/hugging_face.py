"""CTC models of transformers behind our CtcModel: wav2vec 2.0, HuBERT, wav2vec 2.0 Conformer and Parakeet.

The models' own batched forward passes let padding leak into short utterances: group norm over padded time
(wav2vec2-base), convolutions that read padded frames (Conformer). Hooks here zero what a convolution must not see and
run group norm per utterance, so that a row does not depend on the batch it was computed in.
"""

import contextlib
import hashlib
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import transformers
from torch import nn

from pipeline.acoustic.adapter import OutputLayer
from pipeline.acoustic.hugging_face_tokens import NEVER, FoldedTokens, fold_tokens
from pipeline.acoustic.interface import SAMPLE_RATE, CtcModel
from pipeline.acoustic.precision import autocast, choose_device, choose_dtype
from pipeline.config import AcousticConfig
from pipeline.errors import ConfigError, ModelError
from pipeline.text import ENGLISH
from pipeline.types.emissions import FLOOR_LOG_PROB, Emissions, sparsify
from pipeline.types.tokens import Tokens

CLASSES: dict[str, Any] = {
    "wav2vec2": transformers.Wav2Vec2ForCTC,
    "hubert": transformers.HubertForCTC,
    "wav2vec2-conformer": transformers.Wav2Vec2ConformerForCTC,
    "parakeet_ctc": transformers.ParakeetForCTC,
}
"""``model_type`` in config.json to the class that reads it."""

MAX_SECONDS = 30.0  # these models were trained on segments up to about this long, and attention grows quadratically
MIN_SAMPLES = 1_600  # shorter audio is padded to 0.1 s: several frames even at an eightfold subsampling
_BESIDE = (
    (("vocab.json", "tokenizer.json", "tokenizer.model"), "which has the pieces that the model writes"),
    (("preprocessor_config.json", "processor_config.json"), "which says how the model hears"),
)
"""What lies beside config.json and the weights; one file of each."""
_IDENTITY_FILES = ("*.safetensors", "*.json", "*.model", "*.txt")


def load_hugging_face(config: AcousticConfig) -> CtcModel:
    """Load ``config.model``: a directory as save_pretrained writes it, or a hub id where there is a network.

    Raises ModelError for anything missing, corrupt, pickled or unsupported; ConfigError for impossible tapped layers.
    """
    directory = _locate(config.model)
    _check_files(directory)
    with _explained(directory):
        settings, tokenizer = _read_settings(directory)
        features: Any = transformers.AutoFeatureExtractor
        folded = _fold(directory, settings, tokenizer)
        extractor = features.from_pretrained(directory, local_files_only=True)
        network, report = CLASSES[settings.model_type].from_pretrained(
            directory, local_files_only=True, use_safetensors=True, output_loading_info=True, dtype=torch.float32
        )
    if report["missing_keys"]:
        raise ModelError(
            f"{directory}: the weights lack {sorted(report['missing_keys'])[:4]}; "
            "needed is a checkpoint fine-tuned for CTC, not a bare encoder."
        )
    if extractor.sampling_rate != SAMPLE_RATE:
        raise ModelError(f"{directory}: the model hears {extractor.sampling_rate} Hz, needed is {SAMPLE_RATE} Hz.")
    return HuggingFaceCtc(network, extractor, folded, config, _content_hash(directory))


def load_hugging_face_tokens(config: AcousticConfig) -> Tokens:
    """Return only the token inventory, without reading the weights; raises ModelError as ``load_hugging_face``."""
    directory = _locate(config.model)
    _check_files(directory)
    with _explained(directory):
        settings, tokenizer = _read_settings(directory)
        return _fold(directory, settings, tokenizer).tokens


def _fold(directory: Path, settings: Any, tokenizer: Any) -> FoldedTokens:
    try:
        return fold_tokens(tokenizer, settings.vocab_size, settings.pad_token_id, ENGLISH)
    except ModelError as error:
        raise ModelError(f"{directory}: {error}") from error


def _read_settings(directory: Path) -> tuple[Any, Any]:
    """Return config and tokenizer of a supported model."""
    settings = transformers.AutoConfig.from_pretrained(directory, local_files_only=True)
    if settings.model_type not in CLASSES:
        raise ModelError(f"{directory}: model_type '{settings.model_type}'; supported are {sorted(CLASSES)}.")
    if getattr(settings, "add_adapter", False):
        raise ModelError(f"{directory}: config.add_adapter (a strided adapter after the encoder) is not supported.")
    return settings, transformers.AutoTokenizer.from_pretrained(directory, local_files_only=True)


@contextlib.contextmanager
def _explained(directory: Path) -> Iterator[None]:
    """Turn what transformers raises for broken files (OSError, KeyError, SafetensorError and more) into ModelError."""
    try:
        yield
    except ModelError:
        raise
    except Exception as error:
        reason = str(error).strip().splitlines()[:1]
        raise ModelError(f"{directory}: cannot be loaded ({type(error).__name__}: {''.join(reason)}).") from error


def _locate(model: str) -> Path:
    if Path(model).is_dir():
        return Path(model)
    if Path(model).is_absolute() or model.count("/") != 1 or model.startswith("."):
        raise ModelError(f"model directory '{model}' does not exist; give a directory or a hub id such as 'org/name'.")
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(model, allow_patterns=list(_IDENTITY_FILES)))
    except Exception as error:  # no network, unknown id, gated: the hub has an exception for each
        raise ModelError(
            f"'{model}' is neither a directory here nor a model that the hub gave ({type(error).__name__}); "
            "download it where there is a network and give the directory."
        ) from error


def _check_files(directory: Path) -> None:
    if not (directory / "config.json").is_file():
        raise ModelError(f"{directory}: config.json is missing; needed is a directory as save_pretrained writes it.")
    for names, what in _BESIDE:
        if not any((directory / name).is_file() for name in names):
            raise ModelError(
                f"{directory}: {' or '.join(names)} is missing, {what}; needed is a directory as save_pretrained of "
                "the model and of its processor writes it."
            )
    if any(directory.glob("*.safetensors")):
        return
    if any(directory.glob("pytorch_model*.bin")):
        raise ModelError(
            f"{directory}: the weights are a pickle (pytorch_model.bin), which can run code when it is read; needed "
            "is model.safetensors. Convert it where you trust it: AutoModelForCTC.from_pretrained(directory)"
            ".save_pretrained(new_directory), and copy the tokenizer files."
        )
    raise ModelError(f"{directory}: there is no *.safetensors file with the weights.")


def _content_hash(directory: Path) -> str:
    """sha256 over names and bytes of the weights, tokenizer and configuration files, 64 hex digits."""
    digest = hashlib.sha256()
    for path in sorted({path for pattern in _IDENTITY_FILES for path in directory.glob(pattern)}):
        digest.update(f"{path.name}\0{path.stat().st_size}\0".encode())
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


class _PerUtterance(nn.Module):
    """A convolutional front run on each row's own samples; [B, S] -> [B, C, T], padded with zeros."""

    def __init__(self, front: nn.Module, padding: "_Padding") -> None:
        super().__init__()
        self.front, self._padding = front, padding

    def forward(self, samples: torch.Tensor) -> torch.Tensor:
        rows = [self.front(row[None, :length])[0].T for row, length in zip(samples, self._padding.samples, strict=True)]
        return nn.utils.rnn.pad_sequence(rows, batch_first=True).transpose(1, 2)


class _Padding:
    """What is padding in the current batch, for the hooks."""

    samples: Sequence[int] = ()  # of every row
    frames: Sequence[int] = ()

    def zero(self, module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...] | None:
        """Forward pre-hook of a Conv1d over frames [B, C, T]."""
        width = inputs[0].shape[-1]
        if min(self.frames) >= width:
            return None
        lengths = torch.tensor(self.frames, device=inputs[0].device)
        valid = torch.arange(width, device=inputs[0].device)[None] < lengths[:, None]  # [B, T]
        return (inputs[0] * valid[:, None], *inputs[1:])


class HuggingFaceCtc:
    """One of CLASSES as a CtcModel; see pipeline.acoustic.interface for what the attributes mean."""

    phones: tuple[str, ...] | None = None
    takes_threads = False  # the hooks keep what belongs to the batch at hand

    def __init__(
        self, network: Any, extractor: Any, folded: FoldedTokens, config: AcousticConfig, model_id: str
    ) -> None:
        self.model_id = model_id
        self._device = choose_device(config.device)
        self._dtype = choose_dtype(config.dtype, self._device)
        self._network, self._extractor, self._top_k = network.eval().to(self._device), extractor, config.top_k
        self.tokens, self._fold = folded.tokens, folded.fold
        self._parakeet = network.config.model_type == "parakeet_ctc"
        self._encoder = network.encoder if self._parakeet else network.base_model.encoder
        self.frame_seconds, self.max_seconds = self._timing()
        self._taps = _tapped_layers(config.tapped_layers, len(self._encoder.layers))
        self._padding = _Padding()
        self._seen: dict[int, torch.Tensor] = {}
        self._register_hooks()

    def _timing(self) -> tuple[float, float]:
        config = self._network.config
        if self._parakeet:
            step = self._extractor.hop_length * config.encoder_config.subsampling_factor / SAMPLE_RATE
            return step, min(MAX_SECONDS, step * config.encoder_config.max_position_embeddings)
        step = math.prod(config.conv_stride) / SAMPLE_RATE
        positions = getattr(config, "max_source_positions", None)
        return step, MAX_SECONDS if positions is None else min(MAX_SECONDS, step * positions)

    def _register_hooks(self) -> None:
        for module in self._encoder.modules():
            if isinstance(module, nn.Conv1d) and module.kernel_size[0] > 1:
                module.register_forward_pre_hook(self._padding.zero)
        for layer in self._taps:
            self._encoder.layers[layer - 1].register_forward_hook(self._remember(layer))
        head = self._network.ctc_head if self._parakeet else self._network.lm_head
        head.register_forward_pre_hook(lambda module, inputs: self._seen.__setitem__(0, inputs[0]))
        if getattr(self._network.config, "feat_extract_norm", None) == "group":
            base = self._network.base_model
            base.feature_extractor = _PerUtterance(base.feature_extractor, self._padding)

    def _remember(self, layer: int) -> Any:
        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            self._seen[layer] = output[0] if isinstance(output, tuple) else output

        return hook

    def output_layer(self) -> OutputLayer:
        """Return a copy of the CTC layer, for what biases the last state (pipeline.acoustic.adapter)."""
        layer = self._network.ctc_head if self._parakeet else self._network.lm_head
        weight = layer.weight.reshape(layer.weight.shape[0], -1)  # Parakeet's is a convolution over one frame
        return OutputLayer(weight, layer.bias, torch.from_numpy(self._fold))

    def encode(self, waveforms: Sequence[npt.NDArray[np.float32]], with_states: bool = False) -> list[Emissions]:
        """Return the emissions of each mono 16 kHz waveform, computed as one padded batch."""
        if not waveforms:
            return []
        inputs, lengths = self._features(waveforms)
        with torch.inference_mode(), autocast(self._device, self._dtype):
            logits = self._network(**inputs).logits
        log_probs = self._log_probs(logits.float())  # [B, T, V]
        states = self._states() if with_states else None
        self._seen.clear()
        return [
            Emissions(
                tokens=sparsify(log_probs[row, :length], self._top_k),
                states=None if states is None else states[row][:, :length],
            )
            for row, length in enumerate(lengths)
        ]

    def _features(self, waveforms: Sequence[npt.NDArray[np.float32]]) -> tuple[dict[str, torch.Tensor], list[int]]:
        """Return the padded inputs and every row's frames; normalisation is per utterance, before padding."""
        padded = [np.pad(wave, (0, max(0, MIN_SAMPLES - len(wave)))).astype(np.float32) for wave in waveforms]
        if self._parakeet:
            batch = self._extractor(padded, sampling_rate=SAMPLE_RATE, return_tensors="pt")
            inputs = {"input_features": batch["input_features"], "attention_mask": batch["attention_mask"]}
            lengths = self._encoder._get_subsampling_output_length(inputs["attention_mask"].sum(-1))
        else:
            rows = [self._extractor(wave, sampling_rate=SAMPLE_RATE)["input_values"][0] for wave in padded]
            samples = torch.tensor([len(row) for row in rows])
            values = nn.utils.rnn.pad_sequence([torch.from_numpy(np.asarray(row)) for row in rows], batch_first=True)
            mask = torch.arange(values.shape[1])[None] < samples[:, None]
            inputs = {"input_values": values, "attention_mask": mask.long()}
            lengths = self._network._get_feat_extract_output_lengths(samples)
        frames = [int(length) for length in lengths]
        self._padding.samples, self._padding.frames = [len(wave) for wave in padded], frames
        return {name: value.to(self._device) for name, value in inputs.items()}, frames

    def _log_probs(self, logits: torch.Tensor) -> npt.NDArray[np.float32]:
        """Log-softmax over what can be written, folded: pieces that are equal once normalised add up."""
        fold = torch.from_numpy(self._fold).to(logits.device)
        kept = torch.nonzero(fold != NEVER)[:, 0]
        probs = logits[..., kept].softmax(-1)
        summed = torch.zeros_like(logits).index_add_(-1, fold[kept], probs)
        floored: npt.NDArray[np.float32] = summed.clamp_min(math.exp(FLOOR_LOG_PROB)).log().cpu().numpy()
        return floored

    def _states(self) -> npt.NDArray[np.float16]:
        """[B, L + 1, T, D]: the tapped layers in order, then what the head saw."""
        levels = [self._seen[layer] for layer in (*self._taps, 0)]
        stacked: npt.NDArray[np.float16] = torch.stack(levels, dim=1).to(torch.float16).cpu().numpy()
        return stacked


def _tapped_layers(wanted: tuple[int, ...] | None, depth: int) -> tuple[int, ...]:
    """Layers counted from 1; by default those at one and two thirds of the depth."""
    if wanted is None:
        return tuple(sorted({max(1, round(depth / 3)), max(1, round(2 * depth / 3))}))
    wrong = [layer for layer in wanted if not 1 <= layer <= depth]
    if wrong:
        raise ConfigError(f"acoustic.tapped_layers has {wrong}; the model's layers are 1 to {depth}.")
    return wanted
