"""The training loop of the contextual adapter: losses, checkpoints, validation. The base is not in it at all.

What is trained reads cached states; the only part of the base here is a copy of its output layer, in buffers that no
optimiser knows.
"""

import dataclasses
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import jiwer
import numpy as np
import torch
from torch import distributed, nn

from pipeline.acoustic.adapter import Attention, ContextualAdapter
from pipeline.acoustic.adapter_spelling import Speller
from pipeline.entities.matching import find_entities
from pipeline.training.adapter_data import NO_BIAS, AdapterBatch, ListDrawer, Utterance, collate
from pipeline.training.state import TrainingState, cosine_share
from pipeline.types.entity import Entity, EntityList
from pipeline.types.tokens import Tokens

_LEAST_SHARE = 1e-6
_LEAST_RATE = 0.02  # of the peak learning rate, at the end


@dataclasses.dataclass(frozen=True)
class AdapterTraining:
    """How to train. Steps count batches of all workers together as one."""

    steps: int = 2000
    warmup_steps: int = 100
    learning_rate: float = 2e-3
    scalar_rate: float = 20.0  # times that for single weights and offsets, which have far to go
    weight_decay: float = 1e-2
    batch_frames: int = 2500  # padded frames per batch
    cell_budget: int = 6_000_000  # frames x spellings x subwords per batch; bounds time and memory
    guidance: float = 0.5  # weight of the attention's own loss, in nats per frame against CTC's nats per subword
    silence_share: float = 0.3  # weight of a blank frame in it
    average_decay: float = 0.995
    validate_every: int = 200
    seed: int = 1


def guidance_loss(attention: Attention, batch: AdapterBatch, silence_share: float) -> torch.Tensor:
    """Return -log of the share of what should be attended to: mean over entity frames plus mean over the others."""
    flat = attention.subwords.flatten(2)  # [B, T, J * N]
    said = batch.attended >= 0
    wanted = flat.gather(2, batch.attended.clamp(min=0)[..., None])[..., 0]
    entity = -(wanted[said] + _LEAST_SHARE).log()
    other = batch.attended == NO_BIAS
    spoken = torch.zeros_like(other)
    for row, one in enumerate(batch.utterances):
        spoken[row, : one.frames] = torch.from_numpy(one.spoken >= 0)
    weights = torch.where(spoken, 1.0, silence_share)[other]
    rest = -(attention.no_bias[other] + _LEAST_SHARE).log() * weights
    loss: torch.Tensor = entity.sum() / max(1, len(entity)) + rest.sum() / weights.sum().clamp(min=1.0)
    return loss


def ctc_loss(log_probs: torch.Tensor, batch: AdapterBatch, blank: int) -> torch.Tensor:
    """Return the CTC loss in nats per target."""
    loss = nn.functional.ctc_loss(
        log_probs.transpose(0, 1), batch.targets, batch.lengths, batch.target_sizes, blank=blank, reduction="sum",
        zero_infinity=True,
    )  # fmt: skip
    return loss / batch.target_sizes.sum()


def run_adapter(adapter: ContextualAdapter, batch: AdapterBatch) -> tuple[torch.Tensor, Attention, torch.Tensor]:
    """Return biased log-probs [B, T, V], the attention, and the base's own log-probs."""
    # Cached runs hand the adapter float16 queries; training on rounded ones would only stop gradients.
    query = adapter.query_of(batch.states)
    frames = adapter.frames(batch.states[:, -1], query, batch.lengths, batch.phones)
    catalog = adapter.catalog(batch.spelled)
    biased, attention = adapter(frames, catalog, batch.members)
    return biased, attention, frames.log_probs


class AdapterTrainer(TrainingState):
    """Trains an adapter from cached states; resumable from its folder, deterministic by seed and worker count.

    Several processes train together when torch.distributed is initialised: each takes its share of the batches and
    gradients are averaged. Only the first writes.
    """

    def __init__(
        self, adapter: ContextualAdapter, config: AdapterTraining, folder: Path, tokens: Tokens,
        speller: Speller, drawer: ListDrawer,
    ) -> None:  # fmt: skip
        self.adapter, self.config = adapter, config
        self.tokens, self.speller, self.drawer = tokens, speller, drawer
        trained = dict(adapter.named_parameters())
        scalars = [value for name, value in trained.items() if name in adapter.scalars()]
        others = [value for name, value in trained.items() if name not in adapter.scalars()]
        groups = [
            {"params": others, "peak": config.learning_rate, "weight_decay": config.weight_decay},
            {"params": scalars, "peak": config.learning_rate * config.scalar_rate, "weight_decay": 0.0},
        ]
        together = distributed.is_available() and distributed.is_initialized()
        self.rank, self.workers = (distributed.get_rank(), distributed.get_world_size()) if together else (0, 1)
        optimiser = torch.optim.AdamW(groups, lr=0.0, betas=(0.9, 0.98))
        super().__init__(folder, trained, optimiser, writes=self.rank == 0)

    def run(
        self, utterances: Sequence[Utterance], validation: Sequence[Utterance],
        after_save: Callable[[], None] = lambda: None,
    ) -> None:  # fmt: skip
        """Train to ``config.steps``. A run that was broken off goes on after its last validation."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.resume()
        torch.manual_seed(self.config.seed * 100_003 + self.step + self.rank)
        losses: list[tuple[float, float]] = []
        started = time.time()
        while self.step < self.config.steps:
            generator = np.random.default_rng([self.config.seed, self.step, self.rank])
            batch = self.draw(utterances, generator)
            if batch is None:
                continue
            losses.append(self._update(batch))
            if self.step % 20 == 0:
                ctc, guidance = np.mean(losses[-20:], axis=0)
                self.log(kind="train", ctc=float(ctc), guidance=float(guidance), seconds=time.time() - started)
            if self.step % self.config.validate_every == 0 or self.step >= self.config.steps:
                self._validate(validation)
                self.save()
                after_save()

    def draw(self, utterances: Sequence[Utterance], generator: np.random.Generator) -> AdapterBatch | None:
        """Return a random batch of neighbours in length with their lists."""
        start = int(generator.integers(len(utterances)))
        group: list[Utterance] = []
        longest = 0
        for one in utterances[start:]:  # sorted by length
            longest = max(longest, one.frames)
            if group and longest * (len(group) + 1) > self.config.batch_frames:
                break
            group.append(one)
        lists = [self.drawer.draw(one.words, generator, one.rivals) for one in group]
        most = max(1, self.config.cell_budget // (longest * len(group) * self.drawer.config.longest))
        return collate(group, thin(lists, most), self.speller, self.drawer.config.longest)

    def _update(self, batch: AdapterBatch) -> tuple[float, float]:
        self.adapter.train()
        biased, attention, _ = run_adapter(self.adapter, batch)
        ctc = ctc_loss(biased, batch, self.tokens.blank)
        guidance = guidance_loss(attention, batch, self.config.silence_share)
        rate = cosine_share(self.step, self.config.warmup_steps, self.config.steps, _LEAST_RATE)
        self._descend(ctc + self.config.guidance * guidance, self.config.average_decay, rate)
        return float(ctc.detach()), float(guidance.detach())

    def _share_gradients(self) -> None:
        if self.workers == 1:
            return
        for parameter in self.trained.values():
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            distributed.all_reduce(parameter.grad)
            parameter.grad /= self.workers

    def _validate(self, utterances: Sequence[Utterance]) -> None:
        with self._averaged():
            rates = self.evaluate(utterances)
        if rates["wer"] < self.best:
            self.best = rates["wer"]
            self._write("best.safetensors", self.average)
        self.log(kind="validation", **rates)

    def evaluate(self, utterances: Sequence[Utterance]) -> dict[str, float]:
        """Return greedy WER without and with the adapter, and of entities recall and false accepts; lists are fixed."""
        self.adapter.eval()
        texts: dict[str, list[str]] = {"reference": [], "base": [], "biased": []}
        said = recalled = known = false = 0
        for number, one in enumerate(utterances):
            generator = np.random.default_rng([0, number])
            listed = self.drawer.draw(one.words, generator, one.rivals)[: self.config.cell_budget // (one.frames * 14)]
            batch = collate([one], [listed], self.speller, self.drawer.config.longest)
            if batch is None:
                continue
            with torch.inference_mode():
                biased, _, base = run_adapter(self.adapter, batch)
            written = {"reference": " ".join(one.words)}
            written |= {name: self.greedy(values[0]) for name, values in (("base", base), ("biased", biased))}
            counts = {name: _counted(text, batch.texts) for name, text in written.items()}
            for name, text in written.items():
                texts[name].append(text)
            wanted, plain, found = counts["reference"], counts["base"], counts["biased"]
            said += len(wanted)
            recalled += len(wanted & found)
            known += len(wanted & plain)
            false += len(found - wanted) - len(plain - wanted)
        return {
            "wer_base": float(jiwer.wer(texts["reference"], texts["base"])),
            "wer": float(jiwer.wer(texts["reference"], texts["biased"])),
            "recall_base": known / max(1, said),
            "recall": recalled / max(1, said),
            "more_false": false / max(1, said),
        }

    def greedy(self, log_probs: torch.Tensor) -> str:
        """Return the text of the best path of [T, V]."""
        best = torch.unique_consecutive(log_probs.argmax(-1))
        return self.tokens.decode(best[best != self.tokens.blank].tolist())

    def save(self) -> None:
        """Write everything that ``resume`` needs, whole or not at all."""
        self._save([self.step, self.best])

    def resume(self) -> None:
        """Continue from ``last.safetensors`` if there is one."""
        if progress := self._restore():
            step, self.best = progress
            self.step = int(step)


def thin(lists: Sequence[Sequence[str]], most: int) -> list[list[str]]:
    """Shorten lists from their ends, all alike, until together they hold at most ``most`` texts."""
    share = max(1, most // max(1, len(lists)))
    longest = sorted(len(texts) for texts in lists)
    room = most - sum(min(size, share) for size in longest)  # short lists leave room to the others
    keep = share + max(0, room) // max(1, sum(size > share for size in longest))
    return [list(texts[:keep]) for texts in lists]


def _counted(text: str, listed: Sequence[str]) -> set[tuple[str, int]]:
    """Return the listed entities of ``text``, the k-th occurrence of each as (entity, k)."""
    found = find_entities(text.split(), EntityList(tuple(Entity(entry, entry) for entry in sorted(listed))))
    seen: dict[str, int] = {}
    result = set()
    for one in found:
        seen[one.entity.text] = seen.get(one.entity.text, 0) + 1
        result.add((one.entity.text, seen[one.entity.text]))
    return result
