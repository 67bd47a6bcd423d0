"""What every training keeps: trained weights, their moving average, the optimisers' states, and the curve."""

import contextlib
import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from pipeline.errors import ModelError

_MOMENTS = ("step", "exp_avg", "exp_avg_sq", "momentum_buffer")  # of AdamW; the last of Muon


def cosine_share(step: int, warmup_steps: int, steps: int, least: float) -> float:
    """Return the share of the peak learning rate: linear warm-up, then half a cosine down to ``least``."""
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    done = min(1.0, (step - warmup_steps) / max(1, steps - warmup_steps))
    return least + (1 - least) * 0.5 * (1 + math.cos(math.pi * done))


class TrainingState:
    """Weights in training with all that a resumed run needs, in a folder of its own."""

    def __init__(
        self, folder: Path, trained: Mapping[str, nn.Parameter], *optimisers: torch.optim.Optimizer,
        writes: bool = True,
    ) -> None:  # fmt: skip
        """``optimisers``: each group of theirs has its highest learning rate as "peak".

        ``writes``: whether this process keeps the files; of several that train together only one may.
        """
        self.folder, self.trained, self._optimisers, self._writes = folder, dict(trained), optimisers, writes
        self.average = {name: value.detach().clone() for name, value in self.trained.items()}
        self.step, self.best = 0, math.inf

    def log(self, **values: float | str) -> None:
        """Print one line of the curve and append it to ``curve.jsonl``."""
        if not self._writes:
            return
        rounded = {key: round(value, 4) if isinstance(value, float) else value for key, value in values.items()}
        line = json.dumps({"step": self.step, **rounded})
        print(line, flush=True)
        with open(self.folder / "curve.jsonl", "a", encoding="utf-8") as log:
            log.write(line + "\n")

    def use_best(self) -> None:
        """Put the averaged weights that validated best into the network and into the average."""
        best = load_file(self.folder / "best.safetensors")
        self._put(best)
        self.average = best

    def _descend(self, loss: torch.Tensor, average_decay: float, rate: float) -> None:
        """Take one step down the gradient of ``loss``, its norm clipped at 1, at ``rate`` of the peak rates."""
        for optimiser in self._optimisers:
            optimiser.zero_grad(set_to_none=True)
            for group in optimiser.param_groups:
                group["lr"] = group["peak"] * rate
        loss.backward()  # type: ignore[no-untyped-call]
        self._share_gradients()
        nn.utils.clip_grad_norm_(list(self.trained.values()), 1.0)
        for optimiser in self._optimisers:
            optimiser.step()
        self._advance(average_decay)

    def _share_gradients(self) -> None:
        """Where several processes train together: make the gradients those of all."""

    def _advance(self, average_decay: float) -> None:
        """Count a step, and let the average follow; it follows fast at first, when the weights still move far."""
        self.step += 1
        decay = min(average_decay, self.step / (self.step + 10))
        with torch.no_grad():
            averages = [self.average[name] for name in self.trained]
            torch._foreach_lerp_(averages, list(self.trained.values()), 1 - decay)

    @contextlib.contextmanager
    def _averaged(self) -> Iterator[None]:
        """Put the averaged weights into the network for a while."""
        live = {name: value.detach().clone() for name, value in self.trained.items()}
        self._put(self.average)
        try:
            yield
        finally:
            self._put(live)

    def _optimiser_of(self, parameter: nn.Parameter) -> torch.optim.Optimizer:
        return next(
            optimiser
            for optimiser in self._optimisers
            for group in optimiser.param_groups
            if any(parameter is one for one in group["params"])
        )

    def _put(self, values: Mapping[str, torch.Tensor]) -> None:
        with torch.no_grad():
            for name, parameter in self.trained.items():
                parameter.copy_(values[name])

    def _write(self, name: str, tensors: Mapping[str, torch.Tensor]) -> None:
        if not self._writes:
            return
        partial = self.folder / f"{name}.part"
        save_file({key: value.detach().contiguous() for key, value in tensors.items()}, partial)
        os.replace(partial, self.folder / name)

    def _save(self, progress: Sequence[float]) -> None:
        """Write ``last.safetensors``, whole or not at all; ``progress`` is what ``_restore`` gives back."""
        moments = {
            f"{key}:{name}": value
            for name, parameter in self.trained.items()
            for optimiser in self._optimisers
            for key, value in optimiser.state.get(parameter, {}).items()  # empty before the first step
        }
        average = {f"average:{name}": value for name, value in self.average.items()}
        kept = {"progress": torch.tensor(progress, dtype=torch.float64)}
        self._write("last.safetensors", self.trained | moments | average | kept)

    def _restore(self) -> list[float] | None:
        """Continue from ``last.safetensors`` and return its progress; None if there is none.

        Raises ModelError if the file is of a training of other weights.
        """
        path = self.folder / "last.safetensors"
        if not path.exists():
            return None
        stored = load_file(path)
        if missing := sorted(set(self.trained) - set(stored)):
            raise ModelError(
                f"{path}: is of a training that left {missing[0]} as it was ({len(missing)} weights); go on with the "
                "options that it began with, or give another folder."
            )
        self._put(stored)
        for name, parameter in self.trained.items():
            self.average[name].copy_(stored[f"average:{name}"])
            moments = {key: stored[f"{key}:{name}"] for key in _MOMENTS if f"{key}:{name}" in stored}
            if moments:
                here = {key: value if key == "step" else value.to(parameter.device) for key, value in moments.items()}
                self._optimiser_of(parameter).state[parameter] = here
        progress: list[float] = stored["progress"].tolist()
        return progress
