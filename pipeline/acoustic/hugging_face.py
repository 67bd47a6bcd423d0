"""CTC models of transformers behind our CtcModel: wav2vec 2.0 and its kin, Wav2Vec2-BERT and Parakeet.

The models' own batched forward passes let padding leak into short utterances: group norm over padded time
(wav2vec2-base), convolutions that read padded frames (Conformer). Hooks here zero what a convolution must not see and
run group norm per utterance, so that a row does not depend on the batch it was computed in. Wav2Vec2-BERT masks by
itself. A model of another rate, such as one of telephones, hears the audio at that rate.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import soxr
import torch
import transformers
from torch import nn

from pipeline.acoustic.adapter import OutputLayer
from pipeline.acoustic.batching import Audio, Heard, Query, Results, pad, padded_length, start
from pipeline.acoustic.hugging_face_checkpoint import (
    BERT,
    BERT_HOP,
    BERT_WINDOW,
    CLASSES,
    PARAKEET,
    Checkpoint,
    check_loaded,
    read_checkpoint,
)
from pipeline.acoustic.hugging_face_files import explained
from pipeline.acoustic.hugging_face_tokens import NEVER, FoldedTokens
from pipeline.acoustic.interface import SAMPLE_RATE, CtcModel
from pipeline.acoustic.precision import autocast, choose_device, choose_dtype
from pipeline.config import AcousticConfig
from pipeline.errors import ConfigError
from pipeline.types.emissions import FLOOR_LOG_PROB, Emissions
from pipeline.types.tokens import Tokens

MIN_SAMPLES = 1_600  # shorter audio is padded to 0.1 s: several frames even at an eightfold subsampling
_LEAST_VARIANCE = 1e-7  # of samples, as wav2vec 2.0 extracts its features
_LEAST_SPREAD = 1e-5  # of features, as Parakeet does


def load_hugging_face(config: AcousticConfig) -> CtcModel:
    """Load ``config.model``: a directory as save_pretrained writes it, or a hub id where there is a network.

    Raises ModelError for anything missing, corrupt, pickled or unsupported; ConfigError for impossible tapped layers.
    """
    checkpoint = read_checkpoint(config)
    directory, folded = checkpoint.directory, checkpoint.folded
    with explained(directory):
        network, report = getattr(transformers, CLASSES[checkpoint.family]).from_pretrained(
            directory, local_files_only=True, use_safetensors=True, output_loading_info=True, dtype=torch.float32
        )
        check_loaded(directory, set(report["missing_keys"]))
        if checkpoint.language is not None:
            network.load_adapter(checkpoint.language, local_files_only=True, use_safetensors=True)
    return HuggingFaceCtc(network, checkpoint.extractor, folded, config, checkpoint)


def load_hugging_face_tokens(config: AcousticConfig) -> Tokens:
    """Return only the token inventory, without reading the weights; raises ModelError as ``load_hugging_face``."""
    return read_checkpoint(config).folded.tokens


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
        """Keep what the next forward pass is about; ``frames`` are those of the encoder."""
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
    phone_frame_seconds: float | None = None
    takes_threads = False  # the hooks keep what belongs to the batch at hand

    def __init__(
        self, network: Any, extractor: Any, folded: FoldedTokens, config: AcousticConfig, checkpoint: Checkpoint
    ) -> None:
        self.model_id = checkpoint.model_id
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
        self._parakeet, self._bert = checkpoint.family == PARAKEET, checkpoint.family == BERT
        self._encoder = network.encoder if self._parakeet else network.base_model.encoder
        self._rate, timing, self._thinned = checkpoint.rate, checkpoint.timing, checkpoint.thinned
        self.frame_seconds, self.max_seconds = timing.frame_seconds, timing.max_seconds
        self._taps = _tapped_layers(config.tapped_layers, len(self._encoder.layers))
        self._padding = _Padding()
        self._seen: dict[int, torch.Tensor] = {}
        self._register_hooks()

    def _register_hooks(self) -> None:
        for module in [] if self._bert else self._encoder.modules():
            if isinstance(module, nn.Conv1d) and module.kernel_size[0] > 1:
                module.register_forward_pre_hook(self._padding.zero)
        if self._thinned > 1:
            (layer,) = self._network.base_model.adapter.layers
            for module in (layer.residual_conv, layer.self_attn_conv):
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
        if self._rate != SAMPLE_RATE:
            waveforms = [soxr.resample(waveform, SAMPLE_RATE, self._rate, quality="HQ") for waveform in waveforms]
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
            last = self._seen[0]
            kept = [self._seen[layer][:, :: self._thinned][:, : last.shape[1]] for layer in self._taps]
            states = torch.stack([*kept, last], dim=1) if with_states else None
            self._seen.clear()
            return start(Heard(self._log_probs(logits.float()), None, states), frames, self._top_k, query)

    def _features(self, waveforms: Sequence[Audio]) -> tuple[dict[str, torch.Tensor], list[int]]:
        """Return the padded inputs and every row's frames; normalisation is per utterance, before padding."""
        samples = [max(len(waveform), MIN_SAMPLES) for waveform in waveforms]
        unit = round(self.frame_seconds * self._rate)
        width = (padded_length(max(samples) // unit) + 1) * unit
        batch = pad(waveforms, MIN_SAMPLES, width, self._device)
        inside = _inside(batch.samples, batch.lengths)
        if self._bert:
            rows = [self._stacked_mel(one[:length]) for one, length in zip(batch.samples.cpu(), samples, strict=True)]
            features = nn.utils.rnn.pad_sequence(rows, batch_first=True).to(self._device)
            heard = torch.tensor([len(row) for row in rows])
            inputs = {"input_features": features, "attention_mask": _inside(features[..., 0], heard.to(self._device))}
            frames = self._network._get_feat_extract_output_lengths(heard)
        elif self._parakeet:
            inputs = self._mel(batch.samples * inside, batch.lengths)
            frames = self._encoder._get_subsampling_output_length(self._mel_frames(torch.tensor(samples)))
        else:
            values = self._normalised(batch.samples, inside, batch.lengths)
            inputs = {"input_values": values, "attention_mask": inside.long()}
            frames = self._network._get_feat_extract_output_lengths(torch.tensor(samples))
        self._padding.hold(samples, (heard if self._bert else frames).tolist(), self._device)
        return inputs, frames.tolist()

    def _normalised(self, samples: torch.Tensor, inside: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Return samples [B, N] of mean 0 and variance 1 where the model wants that, as its extractor does it."""
        samples = samples * inside
        if not self._extractor.do_normalize:
            return samples
        mean = samples.sum(1, keepdim=True) / lengths[:, None]
        centred = (samples - mean) * inside
        variance = centred.square().sum(1, keepdim=True) / lengths[:, None]
        return centred / (variance + _LEAST_VARIANCE).sqrt()

    def _stacked_mel(self, samples: torch.Tensor) -> torch.Tensor:
        """Return [T, stride * M] of one waveform, as Wav2Vec2-BERT's extractor makes them; no frame is half padding."""
        stride = self._extractor.stride
        mel = ((len(samples) - BERT_WINDOW) // BERT_HOP + 1) // stride * stride
        heard: torch.Tensor = self._extractor(
            samples.numpy(), sampling_rate=self._rate, pad_to_multiple_of=None, return_tensors="pt"
        )["input_features"][0]
        return heard[: mel // stride].float()

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
