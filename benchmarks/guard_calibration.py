"""Fit the guard on the development speakers; judge it, and read off its bounds, by what it says of others.

    python -m benchmarks.guard_calibration --emissions out/emissions --write models/phonetics/guard.json

Proposals come from the real passes, with the joint configuration and no guard, on lists of three sizes (is21-100,
is21-1000, is21-pooled), of names (names_dev) and of sound-alikes (adversarial-100). Right is a proposal that adds an
entity that was said and none that was not. The table gives the bound for each rate of false accepts per hour of audio,
counted on the sound-alikes beyond what the unbiased search writes by itself. Bounds and all figures shown come from
trees that were fitted on the other half of the speakers (two folds); the trees that are written are fitted on all of
them. With --keep each set's proposals are kept there, so that sets can be collected side by side:

    python -m benchmarks.guard_calibration --keep out/guard --only names_dev
"""

import argparse
import dataclasses
import json
import pickle
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.decoding_sets import Bench, add_arguments, load
from benchmarks.table import hardware, show
from pipeline.config import RunConfig, joint, override, without
from pipeline.config.config_file import with_file
from pipeline.recognition.recogniser import Recogniser
from pipeline.recognition.transcribe import Transcriber
from pipeline.rescoring.evidence import FEATURES, Vector
from pipeline.rescoring.guard import ADAPTED, PLAIN
from pipeline.rescoring.trees import Trees
from pipeline.training.guard_fit import Judged, accepted, bounds_table, entities_in, fit_trees, judged
from pipeline.tuning.evaluation import LabelledSet

SETS = ("is21-100", "is21-1000", "is21-pooled", "names_dev", "adversarial-100")
SOUND_ALIKES = "adversarial-100"
RATES = (0, 2, 5, 10, 15, 20, 25, 30, 40, 60, 80, 120, 200, 400)


@dataclasses.dataclass(frozen=True)
class Half:
    """The proposals of one half of the speakers of one set.

    said: entities in the references; known, wrong: what the unbiased search writes of these, and of others
    """

    proposals: list[Judged]
    said: int
    known: int
    hours: float
    wrong: int = 0

    def f1(self, gained: int = 0, wrong: int = 0) -> float:
        """F1 in percent after so many more right and wrong entities."""
        right = self.known + gained
        return 100 * 2 * right / max(1, right + self.wrong + wrong + self.said)

    def odds(self, trees: Trees) -> Vector:
        return np.array([trees.score(one.features) for one in self.proposals])


def collect(transcriber: Transcriber, corpus: LabelledSet) -> Half:
    """Run both passes on every utterance and judge what they propose."""
    found: list[Judged] = []
    said = known = wrong = 0
    for number, one in enumerate(corpus.utterances):
        entities = corpus.lists.of(one.reference.utterance_id)
        unbiased, measured = transcriber.proposals(one.heard, entities)
        found += judged(number, unbiased, measured, one.reference.text, entities)
        spoken = entities_in(one.reference.text, entities)
        written = entities_in(unbiased.text, entities)
        said += spoken.total()
        known += (spoken & written).total()
        wrong += (written - spoken).total()
    return Half(found, said, known, corpus.seconds / 3600, wrong)


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


def together(pair: tuple[Half, Half], fitted: list[Trees]) -> tuple[list[Judged], Vector, float]:
    """Return the proposals of both halves, their log odds by trees fitted on the other half, and the hours of both."""
    apart = 1 + max((one.utterance for one in pair[0].proposals), default=0)
    second = [dataclasses.replace(one, utterance=one.utterance + apart) for one in pair[1].proposals]
    odds = [half.odds(trees) for half, trees in zip(pair, fitted, strict=True)]
    return [*pair[0].proposals, *second], np.concatenate(odds), pair[0].hours + pair[1].hours


def fit(part: str, halves: dict[str, tuple[Half, Half]]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Calibrate; return the part of the weights file, from all, and rows of each half by a fit on the other."""
    others = [fit_trees([one for pair in halves.values() for one in pair[1 - side].proposals]) for side in (0, 1)]
    table = bounds_table(*together(halves[SOUND_ALIKES], others), RATES)
    trees = fit_trees([one for pair in halves.values() for half in pair for one in half.proposals])
    rows = [
        {"part": part, "rate": rate} | row(f"{name} {side + 1}", pair[side], pair[side].odds(others[side]), bound)
        for name, pair in halves.items()
        for side in (0, 1)
        for rate, bound in table
        if rate in (5, 20, 60)
    ]
    return {"bounds": table, "trees": trees.to_json()}, rows


def _unweighted(config: RunConfig, folder: Path) -> RunConfig:
    """The guard with weights of zero: evidence is collected before there are any."""
    path = folder / "guard.json"
    leaf = {"base": 0.0, "roots": [0], "feature": [-1], "threshold": [0], "left": [0], "right": [0], "value": [0]}
    nothing = {"trees": leaf, "bounds": [[0.0, 0.0]]}
    path.write_text(json.dumps({"features": FEATURES, PLAIN: nothing, ADAPTED: nothing}))
    return override(config, {"guard": {"weights": str(path)}})


def proposals(part: str, name: str, bench: Bench, config: RunConfig, keep: Path | None) -> tuple[Half, Half]:
    """Return the judged proposals of both halves of one set, from ``keep`` where they are."""
    kept = keep / part / f"{name}.pickle" if keep else None
    if kept is not None and kept.is_file():
        found: tuple[Half, Half] = pickle.loads(kept.read_bytes())
        return found
    config = config if part == ADAPTED else without(config, "adapter")
    with tempfile.TemporaryDirectory() as folder:
        transcriber = Recogniser.load(_unweighted(config, Path(folder)), encodes=False).transcriber
    first, second = bench.heard_by(config)[name].halves()
    found = collect(transcriber, first), collect(transcriber, second)
    if kept is not None:
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_bytes(pickle.dumps(found))
    print(f"{part} {name}: {sum(len(half.proposals) for half in found)} proposals", flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser)
    parser.add_argument("--write", type=Path, help="where the weights go, e.g. models/phonetics/guard.json")
    parser.add_argument("--keep", type=Path, help="folder of collected proposals")
    parser.add_argument("--only", nargs="+", choices=SETS, help="collect these and do not fit")
    parser.add_argument("--parts", nargs="+", choices=(PLAIN, ADAPTED), default=[PLAIN, ADAPTED], help="default: both")
    options = parser.parse_args()
    bench = load(options, tuple(options.only or SETS))
    config = with_file(joint(), options.config)
    content: dict[str, Any] = {
        "date": datetime.now(UTC).date().isoformat(), "hardware": hardware(), "features": list(FEATURES)
    }  # fmt: skip
    rows: list[dict[str, Any]] = []
    for part in options.parts:
        halves = {name: proposals(part, name, bench, config, options.keep) for name in bench.sets}
        if not options.only:
            content[part], judged_rows = fit(part, halves)
            rows += judged_rows
    if rows:
        show("the guard on both halves of the speakers", rows, options.json)
    if options.write:
        options.write.write_text(json.dumps(content) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
