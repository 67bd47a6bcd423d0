"""Decoding speed of our search, pyctcdecode and flashlight-text on the same emissions, model, beam and process.

    python -m benchmarks.decode_throughput --data ../shared/data --utterances 200 --json out/throughput.json

Times are processor time of this one process. Lists are per utterance: the benchmark's 100 words, or 1,000; building
whatever a system builds from a list is in its time. ``ours`` writes what the others write; ``ours explained`` also
says for every entity what the unbiased search writes there. flashlight-text searches without a lexicon, the language
model is asked per token, and it has no lists.
"""

import argparse
import dataclasses
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.decoding_sets import Bench, add_arguments, load
from benchmarks.table import show
from pipeline.acoustic.emissions import SparseLogProbs
from pipeline.config import BoostClassConfig, BoostingConfig, HotwordsConfig, RunConfig
from pipeline.decoding.build import build_decoder
from pipeline.decoding.evaluation import Corpus, evaluate, with_lists
from pipeline.entities.catalog import EMPTY

_PYCTC_WEIGHT = 10.0  # near its best F1; the speed depends little on it


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser)
    parser.add_argument("--systems", nargs="+", default=["ours", "ours explained", "pyctcdecode", "flashlight"])
    options = parser.parse_args()
    bench = load(options, ("is21-100", "is21-1000"))
    hundred = bench.sets["is21-100"]
    sizes = {0: with_lists(hundred, lambda _: EMPTY), 100: hundred, 1000: bench.sets["is21-1000"]}
    rows: list[dict[str, Any]] = []
    for system in options.systems:
        for entities, corpus in sizes.items():
            speed = _speed(system, entities, corpus, bench)
            if speed is not None:
                rows.append({"system": system, "entities": entities, "x_real_time": speed})
    for row in rows:
        row["times_pyctcdecode"] = _ratio(row, rows)
    show(f"decoding, beam {options.width}, one process, x real time of processor time", rows, options.json)


def _ratio(row: dict[str, Any], rows: list[dict[str, Any]]) -> float | str:
    base = [r["x_real_time"] for r in rows if r["system"] == "pyctcdecode" and r["entities"] == row["entities"]]
    return row["x_real_time"] / base[0] if base else ""


def _speed(system: str, entities: int, corpus: Corpus, bench: Bench) -> float | None:
    if system == "flashlight":
        decode = _flashlight(bench) if entities == 0 else None
        return None if decode is None else _timed(decode, corpus)
    decoder = build_decoder(_config(system, bench.config), bench.tokens)
    warm = dataclasses.replace(corpus, utterances=corpus.utterances[:2])
    evaluate(decoder, warm)  # compiled code is loaded on the first call
    return evaluate(decoder, corpus).x_real_time


def _config(system: str, config: RunConfig) -> RunConfig:
    if system == "pyctcdecode":
        beam = dataclasses.replace(config.beam, decoder="pyctcdecode")
        return dataclasses.replace(config, beam=beam, hotwords=HotwordsConfig(_PYCTC_WEIGHT))
    boosting = dataclasses.replace(BoostingConfig(), explain=system == "ours explained")
    return dataclasses.replace(config, boosting=boosting, boost_class=BoostClassConfig())


def _timed(decode: Callable[[SparseLogProbs], object], corpus: Corpus) -> float:
    decode(corpus.utterances[0].tokens)
    start = time.process_time()
    for one in corpus.utterances:
        decode(one.tokens)
    return corpus.seconds / (time.process_time() - start)


def _flashlight(bench: Bench) -> Callable[[SparseLogProbs], object] | None:
    """flashlight-text's lexicon-free search with the same KenLM file, or None where it is not installed."""
    try:
        from flashlight.lib.text.decoder import CriterionType, LexiconFreeDecoder, LexiconFreeDecoderOptions
        from flashlight.lib.text.decoder.kenlm import KenLM
        from flashlight.lib.text.dictionary import Dictionary
    except ImportError:
        return None
    lm, beam, pieces = bench.config.language_model, bench.config.beam, bench.tokens.pieces
    if lm is None:
        return None
    names = [piece if at != bench.tokens.blank else "<blank>" for at, piece in enumerate(pieces)]
    dictionary = Dictionary([name or f"<{at}>" for at, name in enumerate(names)])
    options = LexiconFreeDecoderOptions(
        beam_size=beam.width,
        beam_size_token=32,
        beam_threshold=-beam.prune_log_prob,
        lm_weight=lm.alpha,
        sil_score=0.0,
        log_add=True,
        criterion_type=CriterionType.CTC,
    )
    model = KenLM(str(Path(lm.path)), dictionary)
    search = LexiconFreeDecoder(options, model, -1, bench.tokens.blank, [])

    def decode(emissions: SparseLogProbs) -> object:
        dense = np.ascontiguousarray(emissions.dense(len(pieces)))
        return model, search.decode(dense.ctypes.data, *dense.shape)

    return decode


if __name__ == "__main__":
    main()
