"""Greedy word errors of any model that --model loads: what it writes by its best output in each frame.

python -m benchmarks.second_models.measure MODEL AUDIO [--each 4]
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import pyarrow.parquet as pq

from pipeline.acoustic.loading import load_model
from pipeline.audio.decode import decode_audio
from pipeline.config import AcousticConfig
from pipeline.scoring.words import WordCounts, minimal_errors
from pipeline.text import normalise
from pipeline.types.tokens import WORD_START, Tokens


def greedy(tokens: Tokens, best: Sequence[int]) -> str:
    """Return what the best token of each frame writes: repeats once, without blanks."""
    kept = [one for at, one in enumerate(best) if (at == 0 or one != best[at - 1]) and one != tokens.blank]
    return " ".join("".join(tokens.pieces[one] for one in kept).replace(WORD_START, " ").split())


def main() -> None:
    """Print the word error rate, of each speaker and of all, and the speed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("audio", type=Path)
    parser.add_argument("--each", type=int, default=1, help="take every so many-th utterance")
    arguments = parser.parse_args()
    model = load_model(AcousticConfig(model=arguments.model))
    rows = pq.read_table(arguments.audio, columns=["utterance_id", "speaker", "text", "audio"]).to_pylist()
    rows = rows[:: arguments.each]
    texts, said, seconds, spent = [], [], 0.0, 0.0
    for row in rows:
        samples = decode_audio(row["audio"]["bytes"], row["utterance_id"]).samples
        begun = time.process_time()
        (emissions,) = model.encode([samples])
        spent += time.process_time() - begun
        seconds += len(samples) / 16_000
        texts.append(normalise(row["text"], model.tokens.alphabet))
        said.append(greedy(model.tokens, emissions.tokens.ids[:, 0].tolist()))
    by_speaker: dict[str, list[WordCounts]] = defaultdict(list)
    for row, counts in zip(rows, minimal_errors(texts, said), strict=True):
        by_speaker[row["speaker"]].append(counts)
    by_speaker["all"] = [one for counts in by_speaker.values() for one in counts]
    for speaker, every in by_speaker.items():
        words, errors = sum(one.words for one in every), sum(one.errors for one in every)
        print(f"{speaker:>12}  {100 * errors / words:5.1f}% of {words} words")
    for text, hypothesis in list(zip(texts, said, strict=True))[:: max(1, len(texts) // 4)][:4]:
        print(f"  {text}\n  {hypothesis}")
    print(f"{len(rows)} utterances, {seconds / 3600:.2f} h, {seconds / spent:.0f} times real time of one core")


if __name__ == "__main__":
    main()
