"""Fit the guard on development and training speakers; judge it, and read off its bounds, by what it says of others.

    python -m benchmarks.guard_calibration --emissions out/emissions --keep out/guard \
        --speech ../shared/data/librispeech_train_clean_5.parquet ../shared/data/synth_piper.parquet \
        --write models/phonetics/guard.json

Proposals come from the real passes, with the joint configuration and no guard, on the sets of
benchmarks.calibration_sets: lists of three sizes, of names, of sound-alikes, large catalogs, and lists made for speech
of training speakers. Right is a proposal that adds an entity that was said and none that was not. The table gives the
bound for each rate of false accepts per hour of audio, counted on the sound-alikes beyond what the unbiased search
writes by itself. Bounds and all figures shown come from trees that were fitted on the other half of the development
speakers (two folds) and on the training speech; the trees that are written are fitted on everything.

With --keep each set's proposals are kept there: a calibration that is broken off goes on with the next set, and sets
can be collected side by side. Fits are then a matter of a minute, and can be compared:

    python -m benchmarks.guard_calibration --keep out/guard --only names_dev directory --parts adapted
    python -m benchmarks.guard_calibration --keep out/guard --speech ... --without share rivals_here
"""

import argparse
import dataclasses
import json
import tempfile
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.calibration_sets import SOUND_ALIKES, Sets
from benchmarks.decoding_sets import add_arguments
from benchmarks.table import hardware, show
from pipeline.config import CutConfig, RunConfig, joint, override, without
from pipeline.config.config_file import with_file
from pipeline.errors import InputError
from pipeline.recognition.recogniser import Recogniser
from pipeline.rescoring.evidence import FEATURES, STANDING, Vector
from pipeline.rescoring.guard import ADAPTED, PLAIN
from pipeline.rescoring.trees import Trees
from pipeline.retrieval.ranked import FEATURES as RANKED
from pipeline.retrieval.ranked import read_weights
from pipeline.scoring.alignment import MATCH, align
from pipeline.training import guard_data
from pipeline.training.guard_data import Half
from pipeline.training.guard_fit import Judged, accepted, bounds_table, entities_in, fit_trees, judged
from pipeline.tuning.evaluation import LabelledSet

RATES = (0, 2, 5, 10, 15, 20, 25, 30, 40, 60, 80, 120, 200, 400)
SHOWN = (5, 20, 60)
"""Rates of which figures are shown."""


def collect(recogniser: Recogniser, corpus: LabelledSet) -> Half:
    """Run both passes on every utterance and judge what they propose."""
    found: list[Judged] = []
    said = known = wrong = errors = words = 0
    for number, one in enumerate(corpus.utterances):
        entities = corpus.lists.of(one.reference.utterance_id)
        heard, shortlist = one.heard, None
        if recogniser.adapter is not None:
            heard, shortlist = recogniser.adapter.row(heard, entities)
        unbiased, measured = recogniser.transcriber.proposals(heard, entities, shortlist)
        found += judged(number, unbiased, measured, one.reference.text, entities)
        spoken = entities_in(one.reference.text, entities)
        written = entities_in(unbiased.text, entities)
        said += spoken.total()
        known += (spoken & written).total()
        wrong += (written - spoken).total()
        steps = align(one.reference.text.split(), unbiased.text.split())
        errors += sum(step.operation != MATCH for step in steps)
        words += len(one.reference.text.split())
    return Half(found, said, known, corpus.seconds / 3600, wrong, errors, words)


def row(name: str, half: Half, odds: Vector, bound: float) -> dict[str, Any]:
    """What the guard does to one half at ``bound``: how many said entities it lets in and how many others."""
    taken = accepted(half.proposals, odds, bound)
    gained, wrong = sum(one.gained for one in taken), sum(max(0, one.wrong) for one in taken)
    right = np.array([1.0 if one.right else -1.0 for one in half.proposals])
    best = half.f1(sum(one.gained for one in accepted(half.proposals, right, 0.0)))
    plain, now = half.f1(), half.f1(gained, wrong)
    return {
        "half": name, "bound": bound, "said": half.said, "F1 unbiased": plain, "F1": now,
        "F1 error %": 100 * ((100 - now) / (100 - plain) - 1), "F1 if all right were taken": best,
        "proposals": len(half.proposals), "false accepts/h": wrong / half.hours,
    }  # fmt: skip


def together(
    pair: Sequence[Half], fitted: Sequence[Trees], features: Sequence[str]
) -> tuple[list[Judged], Vector, float]:
    """Return the proposals of both halves, their log odds by trees fitted on the other half, and the hours of both."""
    apart = 1 + max((one.utterance for one in pair[0].proposals), default=0)
    second = [dataclasses.replace(one, utterance=one.utterance + apart) for one in pair[1].proposals]
    odds = [half.odds(trees, features) for half, trees in zip(pair, fitted, strict=True)]
    return [*pair[0].proposals, *second], np.concatenate(odds), pair[0].hours + pair[1].hours


def fit(
    part: str, sets: Mapping[str, Sequence[Half]], features: Sequence[str]
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Calibrate; return the part of the weights file, from all, and rows of each half by a fit on the other.

    Sets of two halves are judged; what has only one is learned from in every fit.
    """
    judged_sets = {name: halves for name, halves in sets.items() if len(halves) == 2}
    learned = [one for halves in sets.values() if len(halves) == 1 for one in halves[0].proposals]
    others = [
        fit_trees([one for pair in judged_sets.values() for one in pair[1 - side].proposals] + learned, features)
        for side in (0, 1)
    ]
    table = bounds_table(*together(judged_sets[SOUND_ALIKES], others, features), RATES)
    trees = fit_trees([one for halves in sets.values() for half in halves for one in half.proposals], features)
    odds = {
        name: [half.odds(trees, features) for half, trees in zip(pair, others, strict=True)]
        for name, pair in judged_sets.items()
    }
    rows = [
        {"part": part, "rate": rate} | row(f"{name} {side + 1}", pair[side], odds[name][side], bound)
        for name, pair in judged_sets.items()
        for side in (0, 1)
        for rate, bound in table
        if rate in SHOWN
    ]
    return {"bounds": table, "trees": trees.to_json()}, rows


def _unweighted(config: RunConfig, folder: Path) -> RunConfig:
    """The guard with weights of zero: evidence is collected before there are any."""
    path = folder / "guard.json"
    leaf = {"base": 0.0, "roots": [0], "feature": [-1], "threshold": [0], "left": [0], "right": [0], "value": [0]}
    nothing = {"trees": leaf, "bounds": [[0.0, 0.0]]}
    path.write_text(json.dumps({"features": FEATURES, "odds": _odds(config), PLAIN: nothing, ADAPTED: nothing}))
    return override(config, {"guard": {"weights": str(path)}})


def _odds(config: RunConfig) -> dict[str, float]:
    """The log odds that large lists are ranked by."""
    return dict(zip(RANKED, read_weights(Path((config.cut or CutConfig()).weights)), strict=True))


def proposals(part: str, name: str, sets: Sets, keep: Path | None) -> tuple[Half, ...]:
    """Return the judged proposals of one set, in halves or as one to learn from; from ``keep`` where they are."""
    kept = keep / part / f"{name}.parquet" if keep else None
    if kept is not None and kept.is_file():
        return guard_data.read(kept)
    corpus, began, worked = sets.load(name), time.monotonic(), time.process_time()
    config = sets.config if part == ADAPTED else without(sets.config, "adapter")
    with tempfile.TemporaryDirectory() as folder:
        recogniser = Recogniser.load(_unweighted(config, Path(folder)), encodes=False)
    found = tuple(collect(recogniser, one) for one in ([corpus] if name in sets.of_speech else corpus.halves()))
    if kept is not None:
        guard_data.write(kept, found)
    count, errors, words = (sum(values) for values in zip(*map(_counts, found), strict=True))
    print(
        f"{part} {name}: {count} proposals in {len(corpus.utterances)} utterances, WER without a list "
        f"{100 * errors / max(1, words):.1f}%, {time.monotonic() - began:.0f} s, "
        f"{time.process_time() - worked:.0f} s of a core",
        flush=True,
    )
    return found


def _counts(half: Half) -> tuple[int, int, int]:
    return len(half.proposals), half.errors, half.words


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser)
    parser.add_argument("--write", type=Path, help="where the weights go, e.g. models/phonetics/guard.json")
    parser.add_argument("--keep", type=Path, help="folder of collected proposals")
    parser.add_argument("--only", nargs="+", metavar="SET", help="collect these and do not fit")
    parser.add_argument("--sets", nargs="+", metavar="SET", help="fit on these and the sound-alikes (default: all)")
    parser.add_argument("--parts", nargs="+", choices=(PLAIN, ADAPTED), default=[PLAIN, ADAPTED], help="default: both")
    parser.add_argument("--speech", nargs="+", type=Path, default=[], metavar="PARQUET", help="of training speakers")
    parser.add_argument(
        "--speech-utterances", type=int, default=400, help="of each file, spread over it (default %(default)s)"
    )
    parser.add_argument(
        "--noise", nargs=2, type=float, default=(0.0, 15.0), metavar="DB",
        help="signal to noise of training speech, lowest and highest; watch the WER without a list that is printed",
    )  # fmt: skip
    parser.add_argument("--without", nargs="+", choices=FEATURES, default=[], metavar="FEATURE", help="not used")
    options = parser.parse_args()
    sets = Sets(options, with_file(joint(), options.config), {path.stem: path for path in options.speech})
    names = tuple(options.only or options.sets or sets.names)
    if unknown := sorted(set(names) - set(sets.names)):
        raise InputError(f"no sets are called {unknown}; there are {list(sets.names)}, and more with --speech.")
    if not options.only and SOUND_ALIKES not in names:
        names = (*names, SOUND_ALIKES)
    features = [name for name in FEATURES if name not in options.without]
    content: dict[str, Any] = {
        "date": datetime.now(UTC).date().isoformat(), "hardware": hardware(), "features": features,
    }  # fmt: skip
    content |= {} if set(STANDING).isdisjoint(features) else {"odds": _odds(sets.config)}
    rows: list[dict[str, Any]] = []
    for part in options.parts:
        found = {name: proposals(part, name, sets, options.keep) for name in names}
        if not options.only:
            content[part], judged_rows = fit(part, found, features)
            rows += judged_rows
    if rows:
        show("the guard on both halves of the speakers", rows, options.json)
    if options.write:
        options.write.write_text(json.dumps(content) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
