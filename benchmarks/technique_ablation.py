"""What each technique of the decoder gains and costs, and the curve of F1 against false accepts beside pyctcdecode's.

    python -m benchmarks.technique_ablation --data ../shared/data --utterances 300 --json out/ablation.json
    python -m benchmarks.technique_ablation --data ../shared/data --utterances 300 --curve --json out/curve.json

Rates in percent, F1 0 to 1, false accepts per hour. On adversarial lists nothing is said: WER and false accepts are
all harm. The curve sweeps pyctcdecode's hotword weight and what our search gives (or takes) for a completed entity, at
its default weights and at the bold ones that it has behind the guard; there the phone head's say in the n-best and
the guard are off, and everything is the search with the shortlist. ``guarded R`` is the whole decoder without the
adapter, its guard set to R false accepts per hour. ``--only`` picks rows, so that parts can run side by side.
"""

import argparse
import dataclasses
from typing import Any

from benchmarks.decoding_sets import add_arguments, load
from benchmarks.table import show
from pipeline.config import (
    BOLD,
    BOLD_CLASS,
    BoostClassConfig,
    BoostingConfig,
    HotwordsConfig,
    RunConfig,
    at_most,
    joint,
    without,
)
from pipeline.recognition.recogniser import Recogniser
from pipeline.tuning.evaluation import LabelledSet, evaluate

SETS = ("is21-100", "is21-1000", "names_dev", "adversarial-100")
_FIXED_BONUS = 1.5  # nats per token, the usual range of constant boosting
_WEIGHTS = (2.0, 4.0, 6.0, 8.0, 10.0, 12.0, 15.0, 20.0, 25.0)
_COMPLETE = (-6.0, -5.0, -4.0, -3.0, -2.0, -1.0, 0.0, 1.0, 2.0)
_BOLD_COMPLETE = (-6.0, -4.0, -2.0, 0.0, 2.0)
_GUARDED = (5.0, 20.0, 60.0, 200.0, 400.0)  # false accepts per hour that the guard is set to


def ladder(config: RunConfig) -> dict[str, RunConfig]:
    """Rows of the ablation, each one technique more."""
    plain = dataclasses.replace(config, language_model=None)
    greedy = dataclasses.replace(plain, beam=dataclasses.replace(config.beam, decoder="greedy"))
    boosting = dataclasses.replace(BoostingConfig(), explain=False)
    fixed = dataclasses.replace(boosting, fixed=_FIXED_BONUS)
    return {
        "greedy": greedy,
        "beam": plain,
        "beam + LM": config,
        "+ fixed bonus": dataclasses.replace(config, boosting=fixed),
        "+ adaptive boosting": dataclasses.replace(config, boosting=boosting),
        "+ boost class": dataclasses.replace(config, boost_class=BoostClassConfig()),
        "+ both": dataclasses.replace(config, boosting=boosting, boost_class=BoostClassConfig()),
    }


def curve(config: RunConfig) -> dict[str, RunConfig]:
    """Both systems over the range of their strength."""
    pyctc = dataclasses.replace(config, beam=dataclasses.replace(config.beam, decoder="pyctcdecode"))
    rows = {f"pyctcdecode {w:g}": dataclasses.replace(pyctc, hotwords=HotwordsConfig(w)) for w in _WEIGHTS}
    for complete in _COMPLETE:
        boosting = dataclasses.replace(BoostingConfig(), explain=False, complete=complete)
        biased = dataclasses.replace(config, boosting=boosting, boost_class=BoostClassConfig())
        rows[f"ours {complete:+g}"] = biased
    for complete in _BOLD_COMPLETE:
        boosting = dataclasses.replace(BOLD, explain=False, complete=complete)
        rows[f"ours bold {complete:+g}"] = dataclasses.replace(config, boosting=boosting, boost_class=BOLD_CLASS)
    phones = dataclasses.replace(without(joint(), "adapter"), beam=config.beam)
    rows |= {f"ours guarded {rate:g}": at_most(phones, rate) for rate in _GUARDED}
    return {"pyctcdecode none": pyctc, "ours none": config} | rows


def measure(name: str, config: RunConfig, sets: dict[str, LabelledSet]) -> list[dict[str, Any]]:
    """One row per set."""
    transcriber, rows = Recogniser.load(config, encodes=False).transcriber, []
    for set_name, corpus in sets.items():
        one = evaluate(transcriber, corpus)
        rates = {rate: 100 * one.rate(rate) for rate in ("wer", "u_wer", "b_wer")}
        rates |= {rate: one.rate(rate) for rate in ("precision", "recall", "f1", "false_accepts_per_hour")}
        rows.append({"system": name, "set": set_name, **rates, "x_real_time": one.x_real_time})
        print(rows[-1], flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser)
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=SETS)
    parser.add_argument("--only", nargs="+", help="rows, by their names")
    parser.add_argument("--curve", action="store_true", help="the curve in place of the ablation")
    options = parser.parse_args()
    bench = load(options, tuple(options.sets))
    config = dataclasses.replace(bench.config, beam=dataclasses.replace(bench.config.beam, n_best=1))
    systems = curve(config) if options.curve else ladder(config)
    systems = {name: one for name, one in systems.items() if not options.only or name in options.only}
    rows = [row for name, one in systems.items() for row in measure(name, one, bench.sets)]
    show(f"techniques, beam {options.width}", rows, options.json)


if __name__ == "__main__":
    main()
