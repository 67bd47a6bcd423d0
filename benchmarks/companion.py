"""What phones of the shipped model cost beside a user's recogniser: a wav2vec2-base with random weights.

    python -m benchmarks.companion [--utterances 16] [--json FILE]

Processor seconds of each model alone on the same audio, in turns, one thread; the share is the companion's front
against the user's model.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import transformers

from benchmarks.table import show
from pipeline.acoustic.companion import PhoneFront
from pipeline.acoustic.interface import SAMPLE_RATE
from pipeline.acoustic.loading import load_model
from pipeline.config import AcousticConfig
from tests.support.checkpoints import LETTERS, save_tokenizer

SECONDS = 8.0
"""Of one utterance."""


def main(argv: list[str] | None = None) -> int:
    """Measure and print; exit code 0."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--utterances", type=int, default=16, help="of 8 s (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(argv)
    torch.set_num_threads(1)
    made = np.random.default_rng(20)
    audio = [made.normal(0, 0.1, int(SECONDS * SAMPLE_RATE)).astype(np.float32) for _ in range(options.utterances)]
    with tempfile.TemporaryDirectory() as folder:
        _save_base(Path(folder))
        config = AcousticConfig(model=folder, device="cpu")
        model, front = load_model(config), PhoneFront(Path(AcousticConfig().model), config)
    work: dict[str, Callable[[], object]] = {
        "wav2vec2-base": lambda: model.encode(audio),
        "phones of base_en_ctc": lambda: front.begin(audio, together=False)(),
    }
    spent = {name: statistics.median(times) for name, times in _in_turns(work, options.rounds).items()}
    whole = spent["wav2vec2-base"]
    rows = [
        {
            "part": name,
            "processor s per audio s": seconds / (SECONDS * options.utterances),
            "x real time": SECONDS * options.utterances / seconds,
            "share": seconds / whole,
        }
        for name, seconds in spent.items()
    ]
    show(f"{options.utterances} utterances of {SECONDS:g} s, one thread, torch {torch.__version__}", rows, options.json)
    return 0


def _save_base(folder: Path) -> None:
    torch.manual_seed(20)
    network = transformers.Wav2Vec2Config(vocab_size=len(LETTERS), pad_token_id=0)
    transformers.Wav2Vec2ForCTC(network).save_pretrained(folder)
    save_tokenizer(folder)
    transformers.Wav2Vec2FeatureExtractor().save_pretrained(folder)


def _in_turns(work: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Return the processor seconds of every round; one round before them warms up."""
    spent: dict[str, list[float]] = {name: [] for name in work}
    for number in range(rounds + 1):
        for name, do in work.items():
            began = time.process_time()
            do()
            if number:
                spent[name].append(time.process_time() - began)
    return spent


if __name__ == "__main__":
    raise SystemExit(main())
