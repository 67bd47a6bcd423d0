"""The training loop: losses, learning rate, checkpoints, validation."""

import dataclasses
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import jiwer
import numpy as np
import torch
from torch import nn

from pipeline.acoustic.head import HeadOutput
from pipeline.acoustic.network import CtcNetwork
from pipeline.acoustic.precision import autocast, choose_dtype
from pipeline.training.batches import Batch, Example, Source, collate, draw_epoch, mask_time, pack
from pipeline.training.feature_cache import FeatureReader
from pipeline.training.state import TrainingState, cosine_share

BLANK = 0


@dataclasses.dataclass(frozen=True)
class TrainingConfig:
    """How to train. Steps count batches; an epoch is one pass over the weighted sources."""

    steps: int = 4000
    warmup_steps: int = 300
    learning_rate: float = 1.2e-3
    backbone_learning_rate: float = 3e-5
    tuned_layers: int = 0  # last backbone layers that are trained too; 0 keeps the backbone frozen
    tune_after: int = 0  # steps before they are: the head first learns to read the published encoder
    weight_decay: float = 1e-2
    batch_seconds: float = 160.0
    intermediate_weight: float = 0.3
    phone_weight: float = 0.3
    masks_per_second: float = 0.25
    longest_mask: int = 12  # frames of 40 ms
    average_decay: float = 0.998  # exponential moving average of the weights that validation and export use
    patience: int = 5  # validations without improvement before stopping
    seed: int = 1


def ctc(log_probs: torch.Tensor, lengths: torch.Tensor, targets: torch.Tensor, sizes: torch.Tensor) -> torch.Tensor:
    """Return the CTC loss in nats per target (Graves et al. 2006), summed over the batch and divided once."""
    loss = nn.functional.ctc_loss(
        log_probs.transpose(0, 1), targets, lengths, sizes, blank=BLANK, reduction="sum", zero_infinity=True
    )
    return loss / sizes.sum()


def joint_loss(output: HeadOutput, batch: Batch, config: TrainingConfig) -> torch.Tensor:
    """Return final CTC + intermediate CTC (Lee and Watanabe 2021) + phone CTC, weighted."""
    loss = ctc(output.tokens, batch.lengths, batch.tokens, batch.token_lengths)
    for level in output.intermediate:
        share = config.intermediate_weight / len(output.intermediate)
        loss = loss + share * ctc(level, batch.lengths, batch.tokens, batch.token_lengths)
    return loss + config.phone_weight * ctc(output.phones, batch.lengths, batch.phones, batch.phone_lengths)


def learning_rate_share(step: int, config: TrainingConfig) -> float:
    """Linear warm-up, then half a cosine to 1% of the peak."""
    return cosine_share(step, config.warmup_steps, config.steps, 0.01)


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
    """Trains ``network`` from cached features; resumable from its folder, deterministic by seed."""

    def __init__(
        self, network: CtcNetwork, config: TrainingConfig, folder: Path, decode: Callable[[Sequence[int]], str]
    ) -> None:
        self.network, self.config, self.decode = network, config, decode
        head = network.head.config
        self.reader = FeatureReader(head.inputs * head.stack)
        tuned = list(network.backbone.encoder.layers[network.backbone.depth - config.tuned_layers :].parameters())
        if config.tuned_layers:
            tuned += list(network.backbone.encoder.layer_norm.parameters())
        network.backbone.requires_grad_(False)
        for parameter in tuned:
            parameter.requires_grad_(True)
        groups = [{"params": list(network.head.parameters()), "peak": config.learning_rate}]
        if tuned:
            groups.append({"params": tuned, "peak": config.backbone_learning_rate})
        optimiser = torch.optim.AdamW(groups, lr=0.0, betas=(0.9, 0.98), weight_decay=config.weight_decay)
        super().__init__(folder, {name: p for name, p in network.named_parameters() if p.requires_grad}, optimiser)
        self.epoch, self.stale = 0, 0

    def run(self, sources: Callable[[], Sequence[Source]], validation: Sequence[Example]) -> None:
        """Train to ``config.steps`` or until validation stops improving. ``sources`` is asked anew every epoch."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.resume()
        while self.step < self.config.steps and self.stale < self.config.patience:
            generator = np.random.default_rng([self.config.seed, self.epoch])
            torch.manual_seed(self.config.seed * 100_003 + self.epoch)
            started, losses, seconds = time.time(), [], 0.0
            examples = draw_epoch(sources(), generator)
            batches = pack(examples, int(self.config.batch_seconds * 25), generator)
            for group in batches[: self.config.steps - self.step]:
                batch = collate(group, self.reader)
                mask_time(batch, generator, self.config.masks_per_second, self.config.longest_mask)
                losses.append(self._update(batch))
                seconds += float(batch.lengths.sum()) / 25
                if len(losses) % 20 == 0:
                    self.log(kind="train", loss=float(np.mean(losses[-20:])), x=seconds / (time.time() - started))
            self.epoch += 1
            self._validate(validation, float(np.mean(losses)), time.time() - started)
            self.save()

    def forward(self, batch: Batch) -> HeadOutput:
        """Run what is trained on one batch."""
        device = batch.features.device
        with autocast(device, choose_dtype("auto", device)):
            if self.config.tuned_layers and self.step >= self.config.tune_after:
                return self.network.tune_last(batch.features, batch.lengths, self.config.tuned_layers)
            output: HeadOutput = self.network.head(batch.features, batch.lengths)
            return output

    def _update(self, batch: Batch) -> float:
        self.network.train()
        loss = joint_loss(self.forward(batch), batch, self.config)
        self._descend(loss, self.config.average_decay, learning_rate_share(self.step, self.config))
        return float(loss.detach())

    def evaluate(self, examples: Sequence[Example]) -> dict[str, float]:
        """Return greedy word and phone error rates of the averaged weights."""
        self.network.eval()
        references, hypotheses, phones = [], [], []
        ordered = sorted(examples, key=lambda example: example.utterance.frames)
        with self._averaged(), torch.inference_mode():
            for start in range(0, len(ordered), 16):
                group = ordered[start : start + 16]
                batch = collate(group, self.reader)
                output = self.forward(batch)
                for row, example in enumerate(group):
                    length = int(batch.lengths[row])
                    references.append(example.utterance.text)
                    hypotheses.append(self.decode(collapse(output.tokens[row, :length].argmax(-1))))
                    phones.append((example.phones, collapse(output.phones[row, :length].argmax(-1))))
        return {"wer": float(jiwer.wer(references, hypotheses)), "per": _edit_rate(phones)}

    def _validate(self, validation: Sequence[Example], loss: float, seconds: float) -> None:
        rates = self.evaluate(validation)
        improved = rates["wer"] < self.best
        self.best, self.stale = (rates["wer"], 0) if improved else (self.best, self.stale + 1)
        self.log(kind="validation", epoch=self.epoch, loss=loss, seconds=seconds, **rates)
        if improved:
            self._write("best.safetensors", self.average)

    def save(self) -> None:
        """Write everything that ``resume`` needs, each file whole or not at all."""
        self._save([self.step, self.epoch, self.best, self.stale])

    def resume(self) -> None:
        """Continue from ``last.safetensors`` if there is one."""
        if progress := self._restore(joined_later=True):
            step, epoch, self.best, stale = progress
            self.step, self.epoch, self.stale = int(step), int(epoch), int(stale)
