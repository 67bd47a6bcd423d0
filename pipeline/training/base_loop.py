"""The training loop of the default model, from audio: losses, learning rates, checkpoints, validation.

A run is a leg: so many hours of audio heard, at the end of which the learning rate is zero and the averaged weights
are a usable model. A leg can be broken off anywhere; the next one begins at the model of the one before.
"""

import dataclasses
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import jiwer
import numpy as np
import torch
from torch import nn

from pipeline.acoustic.blocks import ChannelDropout
from pipeline.acoustic.features import log_mel_batch
from pipeline.acoustic.head import HeadOutput
from pipeline.acoustic.network import CtcNetwork
from pipeline.acoustic.precision import autocast, choose_dtype
from pipeline.errors import ConfigError
from pipeline.training.augmentation import Augmentation, augment, mask_features, padded
from pipeline.training.base_data import Example, Source
from pipeline.training.batches import Targets, draw_epoch, draw_voices, pack, targets, waveforms
from pipeline.training.state import TrainingState

BLANK = 0
_VOICES = 12  # utterances that a batch draws its babble from
_MEL_PER_FRAME = 2  # mel frames of a backbone frame


@dataclasses.dataclass(frozen=True)
class TrainingConfig:
    """How to train. A leg ends after ``hours`` of audio, or sooner after ``minutes`` of training."""

    hours: float = 100.0  # of audio heard, before its speed is changed
    minutes: float = 0.0  # of training in all, however often broken off; 0 is no limit, and then the seed decides all
    warmup_share: float = 0.02  # of the leg
    head_rate: float = 5e-4
    encoder_rate: float = 1.2e-4  # of the encoder's last layer
    layer_decay: float = 0.85  # of the rate, from each encoder layer to the one below
    frozen_layers: int = 0  # lowest encoder layers that stay as they are, and the convolutions below them
    dropout: float = 0.15  # of the head
    weight_decay: float = 1e-2
    batch_seconds: float = 120.0
    bucket: int = 2  # seconds that audio is padded to a multiple of
    intermediate_weight: float = 0.3
    phone_weight: float = 0.3
    average_decay: float = 0.999  # exponential moving average of the weights that validation and export use
    validations: int = 5
    checkpoint_seconds: float = 600.0
    seed: int = 1


def ctc(log_probs: torch.Tensor, lengths: torch.Tensor, targets: torch.Tensor, sizes: torch.Tensor) -> torch.Tensor:
    """Return the CTC loss in nats per target (Graves et al. 2006), summed over the batch and divided once."""
    loss = nn.functional.ctc_loss(
        log_probs.transpose(0, 1), targets, lengths, sizes, blank=BLANK, reduction="sum", zero_infinity=True
    )
    return loss / sizes.sum()


def joint_loss(output: HeadOutput, lengths: torch.Tensor, said: Targets, config: TrainingConfig) -> torch.Tensor:
    """Return final CTC + intermediate CTC (Lee and Watanabe 2021) + phone CTC, weighted; ``lengths`` [B] in frames."""
    loss = ctc(output.tokens, lengths, said.tokens, said.token_lengths)
    for level in output.intermediate:
        share = config.intermediate_weight / len(output.intermediate)
        loss = loss + share * ctc(level, lengths, said.tokens, said.token_lengths)
    return loss + config.phone_weight * ctc(output.phones, lengths, said.phones, said.phone_lengths)


def rate_share(done: float, warmup: float) -> float:
    """Return the share of the peak learning rate when ``done`` of the leg is done: linear warm-up, then half a cosine
    down to zero.
    """
    if done < warmup:
        return done / warmup
    return 0.5 * (1 + float(np.cos(np.pi * min(1.0, (done - warmup) / max(1e-9, 1 - warmup)))))


def rate_groups(network: CtcNetwork, config: TrainingConfig) -> list[tuple[list[nn.Parameter], float]]:
    """Return what is trained with its peak learning rates, which decay from layer to layer down the encoder (Howard and
    Ruder 2018): what the lowest layers know of sound is good already.

    Raises ConfigError if there are fewer layers than ``frozen_layers``.
    """
    encoder, depth = network.backbone.encoder, network.backbone.depth
    if not 0 <= config.frozen_layers <= depth:
        raise ConfigError(f"frozen_layers {config.frozen_layers}: the encoder has {depth} layers.")
    groups = [(list(network.head.parameters()), config.head_rate)]
    if config.frozen_layers < depth:
        groups.append((list(encoder.layer_norm.parameters()), config.encoder_rate))
    for layer in range(config.frozen_layers, depth):
        rate = config.encoder_rate * config.layer_decay ** (depth - 1 - layer)
        groups.append((list(encoder.layers[layer].parameters()), rate))
    if not config.frozen_layers:
        convolutions = [*encoder.conv1.parameters(), *encoder.conv2.parameters()]
        groups.append((convolutions, config.encoder_rate * config.layer_decay**depth))
    return groups


def collapse(best: torch.Tensor) -> list[int]:
    """Return ids with repeats merged and blanks removed."""
    merged = torch.unique_consecutive(best)
    ids: list[int] = merged[merged != BLANK].tolist()
    return ids


def _edit_rate(pairs: Sequence[tuple[Sequence[int], Sequence[int]]]) -> float:
    # jiwer counts words: ids as words make it count phones.
    references = [" ".join(map(str, reference)) for reference, _ in pairs]
    return float(jiwer.wer(references, [" ".join(map(str, hypothesis)) for _, hypothesis in pairs]))


class Trainer(TrainingState):
    """Trains ``network`` from audio; resumable from its folder, deterministic by seed on one thread."""

    def __init__(
        self, network: CtcNetwork, config: TrainingConfig, augmentation: Augmentation, folder: Path,
        decode: Callable[[Sequence[int]], str], device: torch.device,
    ) -> None:  # fmt: skip
        self.network, self.config, self.augmentation = network.to(device), config, augmentation
        self.decode, self.device, self._dtype = decode, device, choose_dtype("auto", device)
        for module in network.head.modules():
            if isinstance(module, ChannelDropout):
                module.rate = config.dropout
        groups = rate_groups(network, config)
        network.requires_grad_(False)
        for parameters, _ in groups:
            for parameter in parameters:
                parameter.requires_grad_(True)
        optimiser = torch.optim.AdamW(
            [{"params": parameters, "peak": rate} for parameters, rate in groups],
            lr=0.0, betas=(0.9, 0.98), weight_decay=config.weight_decay, fused=True,
        )  # fmt: skip
        super().__init__(folder, {name: p for name, p in network.named_parameters() if p.requires_grad}, optimiser)
        self.epoch, self.used, self.validated = 0, 0, 0  # epochs before this one, batches of it, validations
        self.heard, self.spent = 0.0, 0.0  # seconds of audio, and of training
        self._saved = time.monotonic()

    @property
    def done(self) -> float:
        """The share of the leg that is done."""
        by_clock = self.spent / (60 * self.config.minutes) if self.config.minutes else 0.0
        return min(1.0, max(self.heard / (3600 * self.config.hours), by_clock))

    def run(self, sources: Sequence[Source], validation: Sequence[Example]) -> None:
        """Train to the end of the leg; then the averaged weights are in the network."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if progress := self._restore():
            self.step, self.epoch, self.used, self.validated = (int(value) for value in progress[:4])
            self.heard, self.spent = progress[4:]
            self.log(kind="resumed", done=self.done)
        else:
            self._validate(validation)
        while self.done < 1:
            generator = np.random.default_rng([self.config.seed, self.epoch])
            drawn = draw_epoch(sources, generator)
            if not drawn:
                raise ConfigError("--train: the weights are so low that an epoch has no utterance.")
            batches = pack(drawn, self.config.batch_seconds, self.config.bucket, generator)
            self._train(batches[self.used :], drawn, validation)
            if self.done < 1:
                self.epoch, self.used = self.epoch + 1, 0
        self.save()
        self._put(self.average)

    def _train(self, batches: Sequence[list[Example]], drawn: Sequence[Example], validation: Sequence[Example]) -> None:
        losses: list[float] = []
        seconds, began = 0.0, self.spent
        for group in batches:
            started = time.monotonic()
            losses.append(self._update(group, drawn))
            audio = sum(example.seconds for example in group)
            self.used, self.heard, seconds = self.used + 1, self.heard + audio, seconds + audio
            self.spent += time.monotonic() - started
            if self.step % 50 == 0:
                speed = seconds / max(1e-9, self.spent - began)
                loss = float(np.mean(losses[-50:]))
                self.log(kind="train", loss=loss, hours=self.heard / 3600, done=self.done, x=speed)
            if self.done * self.config.validations >= self.validated:
                self._validate(validation)
            if self.done >= 1:
                return
            if time.monotonic() - self._saved >= self.config.checkpoint_seconds:
                self.save()

    def _update(self, group: Sequence[Example], drawn: Sequence[Example]) -> float:
        """Take one step. What is random in it follows from the seed and the step's number."""
        seed = [self.config.seed, self.step]
        drawing = np.random.default_rng(seed)
        generator = torch.Generator(self.device).manual_seed(int(drawing.integers(2**62)))
        torch.manual_seed(int(drawing.integers(2**62)))  # dropout's
        samples, lengths = waveforms(group, self.config.bucket)
        voices = draw_voices(drawn, _VOICES, samples.shape[1], drawing).to(self.device)
        with torch.no_grad():
            heard = augment(
                samples.to(self.device), lengths.to(self.device), voices, generator, self.augmentation
            )  # fmt: skip
            mel, frames = log_mel_batch(padded(*heard, self.config.bucket), heard[1])
            mel = mask_features(mel, frames, generator, self.augmentation)
        self.network.train()
        output, counts = self.forward(mel, frames)
        loss = joint_loss(output, counts, self._on_device(targets(group)), self.config)
        self._descend(loss, self.config.average_decay, rate_share(self.done, self.config.warmup_share))
        return float(loss.detach())

    def forward(self, mel: torch.Tensor, frames: torch.Tensor) -> tuple[HeadOutput, torch.Tensor]:
        """Run the network on [B, 80, M] features of ``frames`` [B]; return what it says and the output frames [B]."""
        lengths = frames // _MEL_PER_FRAME
        with autocast(self.device, self._dtype):
            output: HeadOutput = self.network(mel, lengths)
        return output, lengths // self.network.head.config.stack

    def _on_device(self, said: Targets) -> Targets:
        return Targets(*(getattr(said, field.name).to(self.device) for field in dataclasses.fields(said)))

    def evaluate(self, examples: Sequence[Example]) -> dict[str, float]:
        """Return greedy word and phone error rates of the averaged weights on audio as it is."""
        self.network.eval()
        references, hypotheses, phones = [], [], []
        ordered = sorted(examples, key=lambda example: len(example.samples))
        with self._averaged(), torch.inference_mode():
            for start in range(0, len(ordered), 8):
                group = ordered[start : start + 8]
                samples, lengths = waveforms(group, self.config.bucket)
                output, counts = self.forward(*log_mel_batch(samples.to(self.device), lengths.to(self.device)))
                for row, example in enumerate(group):
                    length = int(counts[row])
                    references.append(example.text)
                    hypotheses.append(self.decode(collapse(output.tokens[row, :length].argmax(-1))))
                    phones.append((example.phones, collapse(output.phones[row, :length].argmax(-1))))
        return {"wer": float(jiwer.wer(references, hypotheses)), "per": _edit_rate(phones)}

    def _validate(self, validation: Sequence[Example]) -> None:
        self.validated += 1
        self.log(kind="validation", hours=self.heard / 3600, done=self.done, **self.evaluate(validation))

    def save(self) -> None:
        """Write everything that a resumed run needs, whole or not at all."""
        self._save([self.step, self.epoch, self.used, self.validated, self.heard, self.spent])
        self._saved = time.monotonic()
