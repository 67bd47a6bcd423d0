"""What the contextual adapter gains and costs, alone and in front of boosting + class and of the joint preset.

    python -m benchmarks.adapter --emissions out/emissions --sets names_dev --systems greedy "boosting + class"

From a first pass made once, with the adapter's queries. ``--utterances N`` takes about N of each
set. ``--cost`` measures the adapter's share of the encoder's time instead.
"""

import argparse
import dataclasses
import random
import time
from pathlib import Path

import pyarrow.parquet as pq
import torch

from benchmarks import decoding_sets
from benchmarks.table import show
from pipeline.acoustic.loading import load_model
from pipeline.audio.decode import decode_audio
from pipeline.config import (
    PRESETS,
    AcousticConfig,
    AdapterConfig,
    BeamConfig,
    BoostClassConfig,
    BoostingConfig,
    RunConfig,
    ShortlistConfig,
    joint,
    without,
)
from pipeline.errors import InputError
from pipeline.recognition.adapt import AdapterPass
from pipeline.recognition.recogniser import Recogniser
from pipeline.tuning.evaluation import Evaluation, adapted, evaluate
from pipeline.types.emissions import Emissions
from pipeline.types.entity import Entity, EntityList

SETS = ("is21-10", "is21-100", "is21-500", "is21-1000", "is21-2000", "names_dev", "adversarial-100")
_RATES = ("wer", "u_wer", "b_wer", "precision", "recall", "f1", "false_accepts_per_hour")


def systems(beam: int) -> dict[str, RunConfig]:
    """Return the configurations to compare, each run without and with the adapter."""
    plain = RunConfig(beam=BeamConfig(width=beam), shortlist=ShortlistConfig(), phone_fusion=None)
    both = {"boosting": BoostingConfig(), "boost_class": BoostClassConfig()}
    whole = without(joint(), "adapter")
    return {
        "greedy": dataclasses.replace(plain, beam=BeamConfig(decoder="greedy"), language_model=None),
        "beam + LM": plain,
        "boosting + class": dataclasses.replace(plain, **both),
        "joint": dataclasses.replace(whole, beam=dataclasses.replace(whole.beam, width=beam)),
    }


def known_words(folder: Path) -> frozenset[str]:
    """Return the rare words that the adapter was trained on, as jobs.train_adapter lists them."""
    file = folder / "training_words.txt"
    return frozenset(file.read_text(encoding="utf-8").split()) if file.is_file() else frozenset()


def recall(evaluation: Evaluation, seen: frozenset[str], wanted: bool) -> float:
    """Return the recall of entities all of whose words the adapter saw in training, or of the others."""
    found = missed = 0
    for one in evaluation.result.table().to_pylist():
        found += sum(set(entity.split()).issubset(seen) == wanted for entity in one["true_positives"])
        missed += sum(set(entity.split()).issubset(seen) == wanted for entity in one["false_negatives"])
    return found / (found + missed) if found + missed else float("nan")


def compare(options: argparse.Namespace) -> list[dict[str, object]]:
    """Return a row per set, system and adapter off or on."""
    settings = AdapterConfig(options.adapter, options.no_bias, options.least_attention, options.caution)
    base = dataclasses.replace(PRESETS["adapter"](), adapter=settings)
    adapter = Recogniser.load(base, encodes=False, transcribes=False).adapter
    if adapter is None:
        raise InputError("there is no adapter; give one with --adapter.")
    seen = known_words(Path(options.adapter or AcousticConfig().model + "_adapter"))
    bench, rows = decoding_sets.load(options, tuple(options.sets)), []
    for name, corpus in bench.sets.items():
        began = time.process_time()
        biased = adapted(corpus, adapter)
        seconds = time.process_time() - began
        print(f"{name}: adapter {seconds / corpus.seconds * 3600:.1f} processor seconds per hour of audio", flush=True)
        for system, config in systems(options.width).items():
            if system not in options.systems:
                continue
            with_it = dataclasses.replace(config, adapter=base.adapter)
            for label, one, part in (("", config, corpus), (" + E", with_it, biased)):
                result = evaluate(Recogniser.load(one, encodes=False).transcriber, part)
                row: dict[str, object] = {"system": system + label, "set": name, "utterances": len(part.utterances)}
                row |= {rate: result.rate(rate) for rate in _RATES}
                row |= {"recall_seen": recall(result, seen, True), "recall_unseen": recall(result, seen, False)}
                rows.append(row)
                print(row, flush=True)
    return rows


def cost(options: argparse.Namespace) -> list[dict[str, object]]:
    """Return the processor time of encoder and adapter over the same audio, with lists of several sizes."""
    config = dataclasses.replace(PRESETS["adapter"](), adapter=AdapterConfig(options.adapter))
    config = config if options.whole_list is False else dataclasses.replace(config, shortlist=None)
    adapter = Recogniser.load(config, encodes=False, transcribes=False).adapter
    if adapter is None:
        raise InputError("there is no adapter; give one with --adapter.")
    model, data = load_model(config.acoustic), options.data / "librispeech_test_clean_dev.parquet"
    batch = next(pq.ParquetFile(data).iter_batches(options.utterances or 40, columns=["utterance_id", "audio"]))
    waves = [decode_audio(row["audio"]["bytes"], row["utterance_id"]).samples for row in batch.to_pylist()]
    words = (options.data / "is21_deep_bias" / "all_rare_words.txt").read_text().split()
    encode, heard = 0.0, []
    for wave in (waves[0], *waves):  # the first twice: kernels are compiled outside the time
        began = time.process_time()
        (one,) = model.encode([wave], with_states=True)
        encode = encode + time.process_time() - began if heard else 0.0
        heard.append(dataclasses.replace(one, last=one.states[-1], states=one.states))  # type: ignore[index]
    rows: list[dict[str, object]] = []
    for size in options.sizes:
        lists = [random.Random(n).sample(words, size) for n in range(len(waves) + 1)]
        rows.append({"entities": size, **_adapter_time(adapter, heard, lists, encode)})
    return rows


def _adapter_time(
    adapter: AdapterPass, heard: list[Emissions], lists: list[list[str]], encode: float
) -> dict[str, object]:
    """Time query, embedding of lists never seen before, attention; pronouncing words and the shortlist apart."""
    spent = 0.0
    for number, (one, words) in enumerate(zip(heard, lists, strict=True)):
        entities = EntityList(tuple(Entity(word, word) for word in sorted(words)))
        entities = adapter.shortlister.shortlist(one, entities).entities
        for entity in entities.entities:
            adapter.runner.speller.rows(entity)  # rescoring needs the same pronunciations, and remembers them
        began = time.process_time()
        query = adapter.runner.query(one.states)  # type: ignore[arg-type]
        adapter.runner.adapt(one.tokens, one.last, query, one.phone_log_probs, entities)  # type: ignore[arg-type]
        spent += time.process_time() - began if number else 0.0
    return {"encoder_seconds": encode, "adapter_seconds": spent, "share": spent / encode}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    decoding_sets.add_arguments(parser)
    parser.set_defaults(width=BeamConfig().width)
    parser.add_argument("--sets", nargs="+", default=["is21-100", "names_dev", "adversarial-100"], choices=SETS)
    parser.add_argument("--systems", nargs="+", default=list(systems(1)), choices=list(systems(1)))
    parser.add_argument("--adapter", help="adapter directory (default: the one beside the shipped base)")
    parser.add_argument("--no-bias", type=float, default=AdapterConfig().no_bias)
    parser.add_argument("--least-attention", type=float, default=AdapterConfig().least_attention)
    parser.add_argument("--caution", type=float, default=AdapterConfig().caution)
    parser.add_argument("--cost", action="store_true")
    parser.add_argument("--whole-list", action="store_true", help="with --cost: no shortlist")
    parser.add_argument("--sizes", type=int, nargs="+", default=[10, 100, 1000])
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = cost(options) if options.cost else compare(options)
    show("adapter's share of the encoder's time" if options.cost else "contextual adapter", rows, options.json)


if __name__ == "__main__":
    main()
