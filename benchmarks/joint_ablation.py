"""Every technique alone and the joint model without each of them, on every development set, through the real passes.

    python -m benchmarks.joint_ablation --emissions out/emissions --width 128 --json out/joint.jsonl
    python -m benchmarks.joint_ablation --emissions out/emissions --sets names_dev --systems joint

From emissions encoded once, without Ray; rows are added to the JSON lines as they come, so sets may run side by side.
Rates in percent with 95% bootstrap intervals over utterances, F1 over list words, false accepts per hour of audio,
seconds of processor time per hour of audio, those of the adapter (benchmarks.adapter has them) apart. ``hotwords W``
is pyctcdecode with that weight on the same emissions and language model. On adversarial-100 nothing on the lists is
said: what is found there is found wrongly.
"""

import argparse
import dataclasses
from typing import Any

from benchmarks.decoding_sets import add_arguments, load
from benchmarks.table import Lines
from pipeline.config import PRESETS, TECHNIQUES, HotwordsConfig, RunConfig, baseline, joint, override, without
from pipeline.config.config_file import with_file
from pipeline.recognition.recogniser import Recogniser
from pipeline.recognition.transcribe import Transcriber
from pipeline.scoring.bootstrap import DEFAULT
from pipeline.scoring.metrics import Rate
from pipeline.tuning.evaluation import Evaluation, LabelledSet, evaluate

SETS = ("is21-100", "is21-1000", "is21-pooled", "names_dev", "adversarial-100")
PLAIN = "beam + LM"
_WEIGHTS = (5.0, 7.0, 10.0, 15.0, 20.0, 25.0, 30.0, 40.0, 60.0)
_RATES = ("f1", "precision", "recall", "wer", "u_wer", "b_wer", "false_accepts_per_hour")


def systems() -> dict[str, RunConfig]:
    """Rows of the table."""
    plain = baseline()
    greedy = dataclasses.replace(
        plain, beam=dataclasses.replace(plain.beam, decoder="greedy"), language_model=None, phone_fusion=None
    )
    rows = {"greedy": greedy, PLAIN: plain}
    rows |= {name: PRESETS[name]() for name in TECHNIQUES if name != "hotwords"}
    rows["joint"] = whole = joint()
    used = [name for name in TECHNIQUES if getattr(whole, name) is not None]
    rows |= {f"joint without {name}": without(whole, name) for name in [*used, "guard"]}
    hotwords = PRESETS["hotwords"]()
    return rows | {f"hotwords {w:g}": dataclasses.replace(hotwords, hotwords=HotwordsConfig(w)) for w in _WEIGHTS}


def row(name: str, corpus_name: str, one: Evaluation) -> dict[str, Any]:
    """The figures of one system on one set."""
    rates = dataclasses.replace(one.result, bootstrap=DEFAULT).rates
    seconds = 3600 * one.seconds / one.audio_seconds
    return {
        "system": name,
        "set": corpus_name,
        "utterances": len(one.result.utterances),
        **{rate: _triple(rates[rate], 1.0 if "hour" in rate else 100.0) for rate in _RATES},
        "cpu_seconds_per_hour": seconds,
    }


def _triple(rate: Rate, scale: float) -> list[float | None]:
    return [None if value is None else round(scale * value, 2) for value in (rate.value, rate.low, rate.high)]


def warm(transcriber: Transcriber, corpus: LabelledSet) -> None:
    """Let kernels compile and dictionaries fill before times count."""
    evaluate(transcriber, dataclasses.replace(corpus, utterances=corpus.utterances[:2]))


def measure(options: argparse.Namespace) -> None:
    bench, lines = load(options, tuple(options.sets)), Lines(options.json, options.resume)
    chosen = {
        name: one
        for name, one in systems().items()
        if not (options.own and one.hotwords) and (not options.systems or name in options.systems)
    }
    plain = {one["set"]: one["f1"][0] for one in lines.before if one["system"] == PLAIN}
    for name, config in chosen.items():
        left = [of for of in bench.sets if not lines.has(system=name, set=of)]
        if not left:
            continue
        wide = override(config, {"beam": {"width": options.width}})
        transcriber = Recogniser.load(with_file(wide, options.config), encodes=False).transcriber
        sets = bench.heard_by(config)
        for corpus_name in left:
            warm(transcriber, sets[corpus_name])
            found = row(name, corpus_name, evaluate(transcriber, sets[corpus_name]))
            if name == PLAIN:
                plain[corpus_name] = found["f1"][0]
            if plain.get(corpus_name):
                found["f1_error"] = 100 * ((100 - found["f1"][0]) / (100 - plain[corpus_name]) - 1)
            lines.add({**found, "width": options.width})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser)
    parser.set_defaults(width=baseline().beam.width)
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=[*SETS, "twin"])
    parser.add_argument("--systems", nargs="+", metavar="S", help=f"of {list(systems())}; default all")
    parser.add_argument("--own", action="store_true", help="without hotwords, which are slow on lists of 1,000")
    parser.add_argument("--resume", action="store_true", help="what --json has is not measured again")
    measure(parser.parse_args())


if __name__ == "__main__":
    main()
