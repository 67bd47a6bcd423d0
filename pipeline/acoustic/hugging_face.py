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
import torch
import transformers
from torch import nn

from pipeline.acoustic.adapter import OutputLayer
from pipeline.acoustic.batching import Audio, Heard, Query, Results, pad, padded_length, start
from pipeline.acoustic.hugging_face_tokens import NEVER, FoldedTokens, fold_tokens
from pipeline.acoustic.interface import SAMPLE_RATE, CtcModel
from pipeline.acoustic.precision import autocast, choose_device, choose_dtype
from pipeline.config import AcousticConfig
from pipeline.errors import ConfigError, ModelError
from pipeline.text import ENGLISH
from pipeline.types.emissions import FLOOR_LOG_PROB, Emissions
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
_LEAST_VARIANCE = 1e-7  # of samples, as wav2vec 2.0 extracts its features
_LEAST_SPREAD = 1e-5  # of features, as Parakeet does
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
    _lengths: torch.Tensor  # [B] frames, on the device

    def hold(self, samples: Sequence[int], frames: Sequence[int], device: torch.device) -> None:
        """Keep what the next forward pass is about."""
        self.samples, self.frames = samples, frames
        self._lengths = torch.tensor(frames, pin_memory=device.type == "cuda").to(device, non_blocking=True)

    def zero(self, module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...] | None:
        """Forward pre-hook of a Conv1d over frames [B, C, T]."""
        width = inputs[0].shape[-1]
        if min(self.frames) >= width:
            return None
        valid = torch.arange(width, device=inputs[0].device)[None] < self._lengths[:, None]  # [B, T]
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
        self.together = self._device.type != "cpu"
        self._dtype = choose_dtype(config.dtype, self._device)
        self._network, self._extractor, self._top_k = network.eval().to(self._device), extractor, config.top_k
        self.tokens, self._fold = folded.tokens, folded.fold
        kept = np.flatnonzero(folded.fold != NEVER)
        self._kept = torch.from_numpy(kept).to(self._device)
        self._folded = torch.from_numpy(folded.fold[kept]).to(self._device)
        if hasattr(extractor, "mel_filters") and isinstance(extractor.mel_filters, torch.Tensor):
            extractor.mel_filters = extractor.mel_filters.to(self._device)
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

    def begin(self, waveforms: Sequence[Audio], with_states: bool = False, query: Query | None = None) -> Results:
        """Begin with mono 16 kHz waveforms; see pipeline.acoustic.interface."""
        groups = [waveforms] if self.together and waveforms else [[waveform] for waveform in waveforms]
        begun = [self._start(group, with_states or query is not None, query) for group in groups]
        return lambda: [emissions for results in begun for emissions in results()]

    def encode(self, waveforms: Sequence[Audio], with_states: bool = False) -> list[Emissions]:
        """Return the emissions of each mono 16 kHz waveform."""
        return self.begin(waveforms, with_states)()

    def _start(self, waveforms: Sequence[Audio], with_states: bool, query: Query | None) -> Results:
        with torch.inference_mode():
            inputs, frames = self._features(waveforms)
            with autocast(self._device, self._dtype):
                logits = self._network(**inputs).logits
            states = torch.stack([self._seen[layer] for layer in (*self._taps, 0)], dim=1) if with_states else None
            self._seen.clear()
            return start(Heard(self._log_probs(logits.float()), None, states), frames, self._top_k, query)

    def _features(self, waveforms: Sequence[Audio]) -> tuple[dict[str, torch.Tensor], list[int]]:
        """Return the padded inputs and every row's frames; normalisation is per utterance, before padding."""
        samples = [max(len(waveform), MIN_SAMPLES) for waveform in waveforms]
        unit = round(self.frame_seconds * SAMPLE_RATE)
        width = (padded_length(max(samples) // unit) + 1) * unit
        batch = pad(waveforms, MIN_SAMPLES, width, self._device)
        inside = _inside(batch.samples, batch.lengths)
        if self._parakeet:
            inputs = self._mel(batch.samples * inside, batch.lengths)
            frames = self._encoder._get_subsampling_output_length(self._mel_frames(torch.tensor(samples)))
        else:
            values = self._normalised(batch.samples, inside, batch.lengths)
            inputs = {"input_values": values, "attention_mask": inside.long()}
            frames = self._network._get_feat_extract_output_lengths(torch.tensor(samples))
        self._padding.hold(samples, frames.tolist(), self._device)
        return inputs, list(self._padding.frames)

    def _normalised(self, samples: torch.Tensor, inside: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Return samples [B, N] of mean 0 and variance 1 where the model wants that, as its extractor does it."""
        samples = samples * inside
        if not self._extractor.do_normalize:
            return samples
        mean = samples.sum(1, keepdim=True) / lengths[:, None]
        centred = (samples - mean) * inside
        variance = centred.square().sum(1, keepdim=True) / lengths[:, None]
        return centred / (variance + _LEAST_VARIANCE).sqrt()

    def _mel_frames(self, samples: torch.Tensor) -> torch.Tensor:
        """Return the mel frames of so many samples, as Parakeet's extractor counts them."""
        counted: torch.Tensor = torch.floor_divide(
            samples + self._extractor.n_fft // 2 * 2 - self._extractor.n_fft, self._extractor.hop_length
        )
        return counted

    def _mel(self, samples: torch.Tensor, lengths: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return Parakeet's features of a padded batch, normalised per utterance, as its extractor does it."""
        extractor = self._extractor
        if extractor.preemphasis is not None:
            previous = torch.nn.functional.pad(samples[:, :-1], (1, 0))
            samples = (samples - extractor.preemphasis * previous) * _inside(samples, lengths)
        mel = extractor._torch_extract_fbank_features(samples, self._device)  # [B, M, F]
        frames = self._mel_frames(lengths)
        inside = _inside(mel[..., 0], frames)
        mask, count = inside[..., None], frames[:, None, None]
        mean = (mel * mask).sum(1, keepdim=True) / count
        spread = (((mel - mean) * mask).square().sum(1, keepdim=True) / (count - 1)).sqrt()
        return {"input_features": (mel - mean) / (spread + _LEAST_SPREAD) * mask, "attention_mask": inside}

    def _log_probs(self, logits: torch.Tensor) -> torch.Tensor:
        """Log-softmax [B, T, V] over what can be written, folded: pieces that are equal once normalised add up."""
        probs = logits.index_select(-1, self._kept).softmax(-1)
        summed = torch.zeros_like(logits).index_add_(-1, self._folded, probs)
        return summed.clamp_min(math.exp(FLOOR_LOG_PROB)).log()


def _inside(values: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """Return the [B, N] mask of what is no padding in values [B, N]."""
    return torch.arange(values.shape[1], device=values.device)[None] < lengths[:, None]


def _tapped_layers(wanted: tuple[int, ...] | None, depth: int) -> tuple[int, ...]:
    """Layers counted from 1; by default those at one and two thirds of the depth."""
    if wanted is None:
        return tuple(sorted({max(1, round(depth / 3)), max(1, round(2 * depth / 3))}))
    wrong = [layer for layer in wanted if not 1 <= layer <= depth]
    if wrong:
        raise ConfigError(f"acoustic.tapped_layers has {wrong}; the model's layers are 1 to {depth}.")
    return wanted
