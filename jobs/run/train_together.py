"""Training in several processes, on Ray Train."""

import argparse
import contextlib
import signal
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import ray.train
import torch
from ray.train.torch import TorchTrainer

from jobs.run.session import ray_session


def train_together(
    run: Callable[[argparse.Namespace, Sequence[Path]], None], options: argparse.Namespace, entries: Sequence[Path]
) -> None:
    """Train in ``--workers`` processes of Ray Train; states and output must lie where all of them can reach them."""
    trainer = TorchTrainer(
        lambda given: run(given["options"], given["entries"]),
        train_loop_config={"options": options, "entries": [str(entry.resolve()) for entry in entries]},
        scaling_config=ray.train.ScalingConfig(num_workers=options.workers, use_gpu=torch.cuda.is_available()),
        run_config=ray.train.RunConfig(storage_path=str((options.output / "ray").resolve())),
    )
    with ray_session(), _interrupts_as_before():
        trainer.fit()


@contextlib.contextmanager
def _interrupts_as_before() -> Iterator[None]:
    """Put back what Ctrl-C does: Ray Train leaves its own handler, which asks a controller that is gone to abort."""
    before = signal.getsignal(signal.SIGINT)
    try:
        yield
    finally:
        if signal.getsignal(signal.SIGINT) is not before:  # it does so in the main thread only, where it can be undone
            signal.signal(signal.SIGINT, before)
