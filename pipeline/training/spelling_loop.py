"""Training of the spelling branch: everything else of the network is frozen.

The matrices between its layers are trained with Muon (Jordan et al. 2024; rates matched to AdamW's as in Liu et al.
2025, section 2.2), whose steps are as large along the directions that few examples ask for as along the others; Wang et
al. 2025 show that this is what stores rare facts, and spellings are such. Everything else is trained with AdamW.
"""

import dataclasses
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import jiwer
import numpy as np
import torch

from pipeline.acoustic.network import CtcNetwork
from pipeline.acoustic.precision import autocast, choose_dtype
from pipeline.acoustic.spelling import Spelled, SpellingBranch
from pipeline.training.adapter_states import StateRow
from pipeline.training.base_loop import collapse, ctc
from pipeline.training.spelling_data import SpellingBatch, SpellingData, SpellingExample, collate, posterior_of
from pipeline.training.state import TrainingState

_INPUTS = ("heard.weight", "written.weight", "feedback.weight")  # of posteriors: AdamW's, as embeddings are


@dataclasses.dataclass(frozen=True)
class SpellingTraining:
    """How to train. The learning rate is warmed up, held, and falls to 1% in the last ``cooling_share`` of the steps
    (Hu et al. 2024, MiniCPM): a held rate can be gone on from when there is more time or text."""

    steps: int = 20_000
    warmup_steps: int = 300
    cooling_share: float = 0.4
    learning_rate: float = 8e-4
    matrix_rate: float = 1.5  # times that, of Muon
    weight_decay: float = 1e-2
    batch_frames: int = 4500  # 180 s
    early_weight: float = 0.3  # of the loss of each level before the last
    average_decay: float = 0.999
    validate_every: int = 1000
    seed: int = 1


def learning_rate_share(step: int, config: SpellingTraining) -> float:
    """Return the share of the peak learning rate at a step."""
    left = (config.steps - step) / max(1.0, config.cooling_share * config.steps)
    return min(1.0, (step + 1) / config.warmup_steps, max(0.01, left))


class SpellingTrainer(TrainingState):
    """Trains ``network.spelling``; resumable from its folder. A resumed run draws other examples than a whole one."""

    def __init__(
        self, network: CtcNetwork, config: SpellingTraining, folder: Path, decode: Callable[[Sequence[int]], str]
    ) -> None:
        if network.spelling is None:
            raise ValueError("the network has no spelling branch")
        self.network, self.config, self.decode = network, config, decode
        self.branch: SpellingBranch = network.spelling
        network.requires_grad_(False)
        self.branch.requires_grad_(True)
        trained = dict(self.branch.named_parameters())
        between = {name: p for name, p in trained.items() if p.ndim == 2 and name not in _INPUTS}
        others = [p for name, p in trained.items() if name not in between]
        rate, decay = config.learning_rate, config.weight_decay
        muon = torch.optim.Muon(
            [{"params": [*between.values()], "peak": rate * config.matrix_rate}],
            weight_decay=decay, momentum=0.95, adjust_lr_fn="match_rms_adamw",
        )  # fmt: skip
        groups = [
            {"params": [p for p in others if p.ndim > 1], "peak": rate, "weight_decay": decay},
            {"params": [p for p in others if p.ndim < 2], "peak": rate, "weight_decay": 0.0},
        ]
        super().__init__(folder, trained, muon, torch.optim.AdamW(groups, betas=(0.9, 0.98), fused=True))

    def run(self, data: SpellingData, validation: Sequence[StateRow]) -> None:
        """Train to ``config.steps``; the averaged weights that validate best are kept."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if progress := self._restore():
            self.step, self.best = int(progress[0]), progress[1]
        torch.manual_seed(self.config.seed + self.step)
        batches = data.batches(self.config.batch_frames, np.random.default_rng([self.config.seed, self.step]))
        while self.step < self.config.steps:
            count = min(self.config.validate_every, self.config.steps - self.step)
            self._train(batches, count)
            rates = self.evaluate(validation)
            if rates["wer"] < self.best:
                self.best = rates["wer"]
                self._write("best.safetensors", self.average)
            self.log(kind="validation", **rates)
            self._save([self.step, self.best])

    def _train(self, batches: Iterator[SpellingBatch], count: int) -> None:
        started, losses, frames = time.time(), [], 0
        self.branch.train()
        for _ in range(count):
            batch = next(batches)
            losses.append(self._update(batch))
            frames += int(batch.lengths.sum())
            if self.step % 100 == 0:
                speed = frames / 25 / (time.time() - started)
                self.log(kind="train", loss=float(np.mean(losses[-100:])), x=speed)

    def forward(self, batch: SpellingBatch) -> Spelled:
        """Run the branch on one batch."""
        device = batch.phones.device
        with autocast(device, choose_dtype("auto", device)):
            spelled: Spelled = self.branch(self.network.head.tokens, batch.phones, batch.last, batch.lengths)
            return spelled

    def _update(self, batch: SpellingBatch) -> float:
        spelled = self.forward(batch)
        *early, last = (ctc(level, batch.lengths, batch.tokens, batch.token_lengths) for level in spelled.levels)
        loss = last + self.config.early_weight * sum(early)
        self._descend(loss, self.config.average_decay, learning_rate_share(self.step, self.config))
        return float(loss.detach())

    def evaluate(self, rows: Sequence[StateRow]) -> dict[str, float]:
        """Return greedy word error rates of the averaged weights: on all that the head says, and on phones only."""
        self.branch.eval()
        with self._averaged(), torch.inference_mode():
            return {"wer": self._wer(rows, True), "wer_from_phones": self._wer(rows, False)}

    def _wer(self, rows: Sequence[StateRow], with_last: bool) -> float:
        references, hypotheses = [], []
        ordered = sorted(rows, key=lambda row: row.frames)
        for start in range(0, len(ordered), 8):
            group = ordered[start : start + 8]
            examples = [
                SpellingExample(posterior_of(row), row.states[-1].astype(np.float32) if with_last else None, ())
                for row in group
            ]
            best = self.forward(collate(examples, group[0].states.shape[2])).levels[-1].argmax(-1)
            references += [row.text for row in group]
            hypotheses += [self.decode(collapse(best[n, : row.frames])) for n, row in enumerate(group)]
        return float(jiwer.wer(references, hypotheses))
