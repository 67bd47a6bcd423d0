"""Decoding speed of our search, pyctcdecode, flashlight-text and the CTC word spotter on the same emissions.

    python -m benchmarks.decode_throughput --data ../shared/data --utterances 200 --json out/throughput.json

Times are processor time of this one process. Lists are per utterance: the benchmark's 100 words, or 1,000; or one list
of 1,000 for all utterances ("shared"). Building whatever a system builds from a list is in its time, but for the
pronunciations of words, which a run looks up once. ``ours`` is the search alone, with the whole list as the others
have it, and writes what they write; ``ours explained`` also says for every entity what the unbiased search writes
there, ``ours shortlisted`` first asks the phones which entities are plausible, as a run does. flashlight-text searches
without a lexicon, the language model is asked per token, and it has no lists. The word spotter
(benchmarks.word_spotter) puts what it finds into the greedy text; it has no language model and no beam.
"""

import argparse
import dataclasses
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.decoding_sets import Bench, add_arguments, load
from benchmarks.table import show
from benchmarks.word_spotter import SpotterConfig, WordSpotter
from pipeline.acoustic.loading import load_tokens
from pipeline.config import BoostClassConfig, BoostingConfig, HotwordsConfig, RunConfig
from pipeline.recognition.recogniser import Recogniser
from pipeline.recognition.transcribe import Transcriber
from pipeline.tuning.evaluation import LabelledSet, evaluate, with_lists
from pipeline.types.emissions import Emissions
from pipeline.types.entity import EMPTY, EntityList

SYSTEMS = ("ours", "ours explained", "ours shortlisted", "pyctcdecode", "flashlight", "word spotter")
_PYCTC_WEIGHT = 10.0  # near its best F1; the speed depends little on it


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser)
    parser.add_argument("--systems", nargs="+", default=list(SYSTEMS), choices=SYSTEMS)
    parser.add_argument("--rounds", type=int, default=3, help="ours is timed so often, each utterance's best counts")
    options = parser.parse_args()
    bench = load(options, ("is21-100", "is21-1000"))
    hundred = bench.sets["is21-100"]
    thousand = bench.sets["is21-1000"]
    shared = thousand.lists.of(thousand.utterances[0].reference.utterance_id)
    sizes = {
        (0, ""): with_lists(hundred, lambda _: EMPTY),
        (100, "per utterance"): hundred,
        (1000, "per utterance"): thousand,
        (1000, "shared"): with_lists(hundred, lambda _: shared),
    }
    rows: list[dict[str, Any]] = []
    for system in options.systems:
        speeds = _speeds(system, sizes, bench, options.rounds)
        rows += [
            {"system": system, "entities": entities, "lists": kind, "x_real_time": speed}
            for (entities, kind), speed in speeds.items()
        ]
    for row in rows:
        row["times_pyctcdecode"] = _ratio(row, rows)
        row["cost_of_list"] = _cost(row, rows)
    show(f"decoding, beam {options.width}, one process, x real time of processor time", rows, options.json)


def _ratio(row: dict[str, Any], rows: list[dict[str, Any]]) -> float | str:
    alike = [r for r in rows if (r["entities"], r["lists"]) == (row["entities"], row["lists"])]
    base = [r["x_real_time"] for r in alike if r["system"] == "pyctcdecode"]
    return row["x_real_time"] / base[0] if base else ""


def _cost(row: dict[str, Any], rows: list[dict[str, Any]]) -> float:
    """Time with the list over time without."""
    base = next(r["x_real_time"] for r in rows if r["system"] == row["system"] and r["entities"] == 0)
    return float(base / row["x_real_time"])


Sizes = dict[tuple[int, str], LabelledSet]


def _speeds(system: str, sizes: Sizes, bench: Bench, rounds: int) -> dict[tuple[int, str], float]:
    """Each utterance's best of ``rounds``, which go over the sizes in turn: neighbours slow the machine down for
    seconds at a time, often by a half."""
    if system == "flashlight":
        decode = _flashlight(bench)
        if decode is None:
            return {}
        corpus = sizes[(0, "")]
        _times(decode, dataclasses.replace(corpus, utterances=corpus.utterances[:1]))
        return {(0, ""): corpus.seconds / float(_times(decode, corpus).sum())}
    decode = _prepared(system, sizes, bench)
    best = {key: np.full(len(corpus.utterances), np.inf) for key, corpus in sizes.items()}
    for _ in range(1 if system == "pyctcdecode" else rounds):
        for key, corpus in sizes.items():
            best[key] = np.minimum(best[key], _times(decode, _fresh(corpus)))
    return {key: corpus.seconds / float(best[key].sum()) for key, corpus in sizes.items()}


def _prepared(system: str, sizes: Sizes, bench: Bench) -> Callable[[Emissions, EntityList], object]:
    """Return what decodes with a list, all its code loaded."""
    if system == "word spotter":
        spotter = WordSpotter(load_tokens(bench.config.acoustic), SpotterConfig())
        first = sizes[(100, "per utterance")]
        _times(spotter.text, dataclasses.replace(first, utterances=first.utterances[:1]))
        return spotter.text
    transcriber = Recogniser.load(_config(system, bench.config), encodes=False).transcriber
    for corpus in sizes.values():
        _warm(transcriber, corpus)
    return transcriber.hypotheses


def _times(decode: Callable[[Emissions, EntityList], object], corpus: LabelledSet) -> npt.NDArray[np.float64]:
    """[utterances] processor seconds of each, one after the other."""
    times = []
    for one in corpus.utterances:
        entities = corpus.lists.of(one.reference.utterance_id)
        start = time.process_time()
        decode(one.heard, entities)
        times.append(time.process_time() - start)
    return np.array(times)


def _warm(transcriber: Transcriber, corpus: LabelledSet) -> None:
    """Load compiled code and look up the pronunciations of all words."""
    for one in corpus.utterances:
        transcriber.shortlister.shortlist(one.heard, corpus.lists.of(one.reference.utterance_id))
    evaluate(transcriber, dataclasses.replace(corpus, utterances=corpus.utterances[:2]))


def _fresh(corpus: LabelledSet) -> LabelledSet:
    """The same with list objects that no system has seen, one for each that there was."""
    made: dict[int, EntityList] = {}

    def of(name: str) -> EntityList:
        known = corpus.lists.of(name)
        return made.setdefault(id(known), EntityList(known.entities)) if known.entities else known

    for one in corpus.utterances:
        of(one.reference.utterance_id)
    return with_lists(corpus, of)


def _config(system: str, config: RunConfig) -> RunConfig:
    if system == "pyctcdecode":
        beam = dataclasses.replace(config.beam, decoder="pyctcdecode")
        return dataclasses.replace(config, beam=beam, hotwords=HotwordsConfig(_PYCTC_WEIGHT))
    if system != "ours shortlisted":
        config = dataclasses.replace(config, shortlist=None)
    boosting = dataclasses.replace(BoostingConfig(), explain=system == "ours explained")
    return dataclasses.replace(config, boosting=boosting, boost_class=BoostClassConfig())


def _flashlight(bench: Bench) -> Callable[[Emissions, EntityList], object] | None:
    """flashlight-text's lexicon-free search with the same KenLM file, or None where it is not installed."""
    try:
        from flashlight.lib.text.decoder import CriterionType, LexiconFreeDecoder, LexiconFreeDecoderOptions
        from flashlight.lib.text.decoder.kenlm import KenLM
        from flashlight.lib.text.dictionary import Dictionary
    except ImportError:
        return None
    tokens = load_tokens(bench.config.acoustic)
    lm, beam, pieces = bench.config.language_model, bench.config.beam, tokens.pieces
    if lm is None:
        return None
    names = [piece if at != tokens.blank else "<blank>" for at, piece in enumerate(pieces)]
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
    search = LexiconFreeDecoder(options, model, -1, tokens.blank, [])

    def decode(heard: Emissions, entities: EntityList) -> object:
        dense = np.ascontiguousarray(heard.tokens.dense(len(pieces)))
        return model, search.decode(dense.ctypes.data, *dense.shape)

    return decode


if __name__ == "__main__":
    main()
