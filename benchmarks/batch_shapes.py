"""What it would cost on GPUs that a batch's shape depends on any row of it alone: padding, counted on real lengths.

    python -m benchmarks.batch_shapes --audio librispeech_test_clean_dev.parquet [--json FILE]

As they are, batches are made of utterances of like lengths, as many as fit. Matrix products may round a row another
way in a batch of another shape. With fixed shapes they could not: each row is padded to a length of a few, and each
batch to as many rows as fit; a batch that is not full is filled with nothing. Counted are batches and seconds of audio
that are computed, padding included, for blocks of utterances in the order of the corpus. Needs no GPU and no model.
"""

import argparse
import itertools
import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from benchmarks.table import show
from pipeline.acoustic.batching import padded_length
from pipeline.acoustic.model import OVERLAP_FRAMES, WINDOW_FRAMES
from pipeline.recognition.encode import pack

FRAME_SECONDS = 0.04
Shapes = list[tuple[int, int]]
"""Rows and frames of each batch."""


def main(argv: list[str] | None = None) -> int:
    """Count and print; exit code 0."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--audio", type=Path, required=True, help="AUDIO parquet with duration_seconds")
    parser.add_argument("--rows", type=int, nargs="+", default=[512, 1024, 2048], help="of a block")
    parser.add_argument("--batch-seconds", type=float, nargs="+", default=[480.0, 960.0, 1920.0])
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args(argv)
    lengths = pq.read_table(arguments.audio, columns=["duration_seconds"])["duration_seconds"].to_pylist()
    show("batches on a GPU", count(lengths, arguments.rows, arguments.batch_seconds), arguments.json)
    return 0


def count(lengths: Sequence[float], rows: Sequence[int], budgets: Sequence[float]) -> list[dict[str, Any]]:
    """Return a row for every size of block and batch and way of making batches; ``lengths`` in seconds."""
    ways: dict[str, Callable[[Sequence[int], float], Shapes]] = {"as they are": as_they_are}
    ways |= {f"fixed, {steps} lengths an octave": fixed_by(steps) for steps in (1, 2, 8)}
    results = []
    for size, budget, (name, make) in itertools.product(rows, budgets, ways.items()):
        repeated = list(lengths) * math.ceil(size / len(lengths))
        blocks = [repeated[at : at + size] for at in range(0, len(repeated) - size + 1, size)]
        shapes = [make([part for one in block for part in windows(one)], budget) for block in blocks]
        computed = sum(rows * frames for block in shapes for rows, frames in block) * FRAME_SECONDS
        results.append(
            {
                "rows": size,
                "batch_seconds": budget,
                "batches": name,
                "batches a block": round(sum(map(len, shapes)) / len(blocks), 1),
                "computed / audio": round(computed / sum(map(sum, blocks)), 3),
            }
        )
    return results


def windows(seconds: float) -> Iterator[int]:
    """Yield the frames of each window in which an utterance is heard, as pipeline.acoustic.model cuts it."""
    frames, hop = max(1, int(seconds / FRAME_SECONDS)), WINDOW_FRAMES - OVERLAP_FRAMES
    for start in range(0, max(1, frames - WINDOW_FRAMES + hop), hop):
        yield min(WINDOW_FRAMES, frames - start)


def as_they_are(frames: Sequence[int], budget: float) -> Shapes:
    """Like lengths together, as the encoder packs them, each batch padded to one of a few lengths."""
    batches = pack([count * FRAME_SECONDS for count in frames], budget)
    return [(len(batch), padded_length(frames[batch[0]])) for batch in batches]


def fixed_by(steps: int) -> Callable[[Sequence[int], float], Shapes]:
    """Batches whose rows and frames follow from the length of any of their rows, of ``steps`` lengths an octave."""

    def make(frames: Sequence[int], budget: float) -> Shapes:
        shapes: Shapes = []
        for length, number in Counter(_rounded(count, steps) for count in frames).items():
            rows = max(1, int(budget / (length * FRAME_SECONDS)))
            shapes += [(rows, length)] * math.ceil(number / rows)
        return shapes

    return make


def _rounded(frames: int, steps: int) -> int:
    step = max(8, (1 << (frames - 1).bit_length()) // 2 // steps)
    return math.ceil(frames / step) * step


if __name__ == "__main__":
    raise SystemExit(main())
