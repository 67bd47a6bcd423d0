"""Fit the guard to judged proposals of a recogniser, and read off its bounds.

Proposals come from the real passes, with the joint configuration and no guard. Right is a proposal that adds an entity
that was said and none that was not. The table gives the bound for each rate of false accepts per hour of audio, counted
on lists of sound-alikes beyond what the unbiased search writes by itself. Bounds and all figures shown come from trees
that were fitted on the other half of the speakers; the trees that are written are fitted on everything.
"""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.config import CutConfig, GuardConfig, RunConfig, override
from pipeline.recognition.recogniser import Recogniser
from pipeline.rescoring.evidence import FEATURES, Vector
from pipeline.rescoring.guard import ADAPTED, DOUBT, PLAIN, Judge, read_odds
from pipeline.rescoring.trees import Trees
from pipeline.retrieval.ranked import FEATURES as RANKED
from pipeline.retrieval.ranked import read_weights
from pipeline.scoring.alignment import MATCH, align
from pipeline.training.guard_data import Half
from pipeline.training.guard_fit import Judged, accepted, bounds_table, can_fit, entities_in, fit_trees, judged
from pipeline.tuning.evaluation import LabelledSet

RATES = (0, 2, 5, 10, 15, 20, 25, 30, 40, 60, 80, 120, 200, 400)
SHOWN = (5, 20, 60)
"""Rates of which figures are shown."""
_LEAST_RIGHT = 60
"""Right proposals that trees are grown from; from fewer they only learn the names."""
_UNSEEN = 1
"""False accepts on top of those that were seen: the next hour may have one more."""
_LEARNED_ONLY = 0.3
"""Weight of proposals of sets that are only learned from: speech that was made harder is not yet a stranger's."""
LOST = 0.005
"""Share of the names which the search rightly wrote without a list that a guard may take out again: below what the F1
of a measured set can tell, and most of what is false goes before it is reached (benchmarks/results/any_model.md)."""
_JUDGED_AT = 20.0
"""False accepts per hour at which two guards are compared: the default of a run."""


@dataclasses.dataclass(frozen=True)
class Fitted:
    """Trees with their bounds, and what they do to each half of each set by trees that did not see it.

    grown: whether trees were fitted; otherwise only the bounds were found
    """

    trees: Trees
    bounds: list[tuple[float, float]]
    rows: list[dict[str, Any]]
    grown: bool

    def part(self) -> dict[str, Any]:
        """Return a part of a weights file."""
        return {"bounds": self.bounds, "trees": self.trees.to_json()}

    def filled(self, known: Mapping[float, float]) -> "Fitted":
        """Return them with bounds of ``known`` for rates that have none; a lower rate never has a lower bound."""
        own, least, bounds = dict(self.bounds), -np.inf, list[tuple[float, float]]()
        for rate in sorted({*own, *known}, reverse=True):
            least = max(least, own.get(rate, known.get(rate, -np.inf)))
            bounds.append((rate, least))
        return dataclasses.replace(self, bounds=bounds[::-1])

    def f1(self, rate: float, apart_from: str) -> float:
        """Return the mean F1 at a rate of false accepts over all sets but one; 0 where the rate cannot be kept."""
        found: list[float] = [one["F1"] for one in self.rows if one["rate"] == rate and one["set"] != apart_from]
        return sum(found) / max(1, len(found))


def collect(recogniser: Recogniser, corpus: LabelledSet) -> Half:
    """Run both passes on every utterance and judge what they propose."""
    found: list[Judged] = []
    said = known = wrong = errors = words = 0
    for number, one in enumerate(corpus.utterances):
        entities = corpus.lists.of(one.reference.utterance_id)
        heard, shortlist = recogniser.attended(one.heard, entities)
        unbiased, measured = recogniser.transcriber.proposals(heard, entities, shortlist)
        spoken = entities_in(one.reference.text, entities)
        found += judged(number, unbiased, measured, spoken, entities)
        written = entities_in(unbiased.text, entities)
        said += spoken.total()
        known += (spoken & written).total()
        wrong += (written - spoken).total()
        steps = align(one.reference.text.split(), unbiased.text.split())
        errors += sum(step.operation != MATCH for step in steps)
        words += len(one.reference.text.split())
    return Half(found, said, known, corpus.seconds / 3600, wrong, errors, words)


@dataclasses.dataclass(frozen=True)
class Doubted:
    """A name that the search wrote without a list: its log odds, and what taking it out would do to the transcript.

    lost, undone: names that were said, and that were not, which would be gone
    """

    odds: float
    lost: int
    undone: int


@dataclasses.dataclass(frozen=True)
class DoubtBound:
    """The log odds below which names are taken out; ``bound`` None where the speech is too little to tell.

    right, lost: names of lists as users have them that were rightly written, and how many of these are lost
    wrong, undone: all that were wrongly written, and how many of these are undone
    """

    bound: float | None
    right: int
    lost: int
    wrong: int
    undone: int


def collect_doubts(recogniser: Recogniser, corpus: LabelledSet) -> list[Doubted]:
    """Weigh every name that stands in what is written without a list."""
    found = []
    for one in corpus.utterances:
        entities = corpus.lists.of(one.reference.utterance_id)
        unbiased, weighed = recogniser.transcriber.doubts(one.heard, entities)
        spoken, before = entities_in(one.reference.text, entities), entities_in(unbiased.text, entities)
        for doubt, odds in weighed:
            after = entities_in(doubt.without.text, entities)
            lost = (before & spoken).total() - (after & spoken).total()
            undone = (before - spoken).total() - (after - spoken).total()
            found.append(Doubted(round(odds, 4), lost, undone))
    return found


def fit_doubts(listed: Sequence[Doubted], alike: Sequence[Doubted]) -> DoubtBound:
    """Return the bound that loses LOST of the rightly written names of ``listed`` at most, and is 0 at most.

    It is DOUBT, which more speech was measured for, unless that loses more here, or a higher one would not, though one
    name more than those seen were lost. Above 0 a name is likelier than what else could stand there.
    """
    right, bound = sum(one.lost for one in listed), None
    if LOST * right >= 1:
        odds = sorted(one.odds for one in listed for _ in range(one.lost))
        most, surely = int(LOST * right), int(LOST * right) - _UNSEEN
        bound = min(0.0, max(min(DOUBT, odds[most]), odds[surely]))
    below = [one for one in listed if bound is not None and one.odds < bound]
    others = [one for one in alike if bound is not None and one.odds < bound]
    undone = sum(one.undone for one in (*below, *others))
    wrong = sum(one.undone for one in (*listed, *alike))
    return DoubtBound(bound, right, sum(one.lost for one in below), wrong, undone)


def let_in(half: Half, odds: Vector, bound: float) -> tuple[int, int]:
    """Return how many said entities the guard lets in at ``bound``, and how many others."""
    taken = accepted(half.proposals, odds, bound)
    return sum(one.gained for one in taken), sum(max(0, one.wrong) for one in taken)


def row(name: str, half: Half, odds: Vector, bound: float) -> dict[str, Any]:
    """What the guard does to one half at ``bound``: how many said entities it lets in and how many others."""
    gained, wrong = let_in(half, odds, bound)
    right = np.array([1.0 if one.right else -1.0 for one in half.proposals])
    best = half.f1(sum(one.gained for one in accepted(half.proposals, right, 0.0)))
    plain, now = half.f1(), half.f1(gained, wrong)
    return {
        "half": name, "bound": bound, "said": half.said, "F1 unbiased": plain, "F1": now,
        "F1 error %": 100 * ((100 - now) / max(1e-9, 100 - plain) - 1), "F1 if all right were taken": best,
        "proposals": len(half.proposals), "false accepts/h": wrong / max(1e-9, half.hours),
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
    sets: Mapping[str, Sequence[Half]], features: Sequence[str], alike: str, start: Trees | None = None, unseen: int = 0
) -> Fitted:
    """Grow trees, on top of those of ``start`` where it is given, and find their bounds on the set ``alike``.

    Sets of two halves are judged; what has only one is learned from in every fit. ``unseen``: see bounds_table.
    """
    pairs = [halves for halves in sets.values() if len(halves) == 2]
    trees = _grown(sets, [one for pair in pairs for half in pair for one in half.proposals], features, start)
    others = across(sets, features, start)
    return _judged_by(sets, features, alike, others, trees, grown=True, unseen=unseen)


def across(
    sets: Mapping[str, Sequence[Half]], features: Sequence[str], start: Trees | None = None
) -> tuple[Trees, Trees]:
    """Return the trees that judge each half of the speakers: grown from the other half, and from what is only learned
    from."""
    pairs = [halves for halves in sets.values() if len(halves) == 2]
    first, second = (
        _grown(sets, [one for pair in pairs for one in pair[1 - side].proposals], features, start) for side in (0, 1)
    )
    return first, second


def _grown(
    sets: Mapping[str, Sequence[Half]], proposals: list[Judged], features: Sequence[str], start: Trees | None
) -> Trees:
    """Grow trees from ``proposals`` and, at less weight, from the sets of one half."""
    learned = [one for halves in sets.values() if len(halves) == 1 for one in halves[0].proposals]
    weights = np.repeat([1.0, _LEARNED_ONLY], [len(proposals), len(learned)])
    return fit_trees(proposals + learned, features, start, weights)


def refit(sets: Mapping[str, Sequence[Half]], alike: str, start: Judge, strict: Judge) -> Fitted:
    """Return the guard of another recogniser than that of ``start``: with its trees, or with trees grown on from them.

    What is taken is what lets more names in at the default rate of false accepts, on speakers that were left out. Where
    there are few right proposals to learn from, or nothing to fit trees with, they stay as they are. Rates that so
    little speech says nothing of have the stricter bound of ``start`` and ``strict``.
    """
    features, known = start.features, _stricter(start, strict)
    as_they_are = _judged_by(
        sets, features, alike, (start.trees, start.trees), start.trees, grown=False, unseen=_UNSEEN
    )
    right = sum(one.right for halves in sets.values() for half in halves for one in half.proposals)
    if right < _LEAST_RIGHT or not set(sets) - {alike} or not can_fit():
        return as_they_are.filled(known)
    grown = fit(sets, features, alike, start.trees, _UNSEEN)
    better = grown.f1(_JUDGED_AT, alike) > as_they_are.f1(_JUDGED_AT, alike)
    return (grown if better else as_they_are).filled(known)


def _stricter(one: Judge, other: Judge) -> dict[float, float]:
    """Return the higher bound of two tables for each rate that either has."""
    found: dict[float, float] = {}
    for rate, bound in (*one.bounds, *other.bounds):
        found[rate] = max(bound, found.get(rate, bound))
    return found


def _judged_by(
    sets: Mapping[str, Sequence[Half]], features: Sequence[str], alike: str, others: tuple[Trees, Trees], trees: Trees,
    grown: bool, unseen: int,
) -> Fitted:  # fmt: skip
    """others: for each half, trees that did not see it"""
    pairs = {name: halves for name, halves in sets.items() if len(halves) == 2}
    bounds = bounds_table(*together(pairs[alike], others, features), RATES, unseen)
    odds = {
        name: [half.odds(other, features) for half, other in zip(pair, others, strict=True)]
        for name, pair in pairs.items()
    }
    rows = [
        {"rate": rate, "set": name} | row(f"{name} {side + 1}", pair[side], odds[name][side], bound)
        for name, pair in pairs.items()
        for side in (0, 1)
        for rate, bound in bounds
        if rate in SHOWN
    ]
    return Fitted(trees, bounds, rows, grown)


def unweighted(config: RunConfig, folder: Path, odds: Mapping[str, float] | None = None) -> RunConfig:
    """Return ``config`` with a guard whose weights are zero, which it writes: evidence comes before there are any.

    odds: weights that STANDING is measured with (default: ``odds_of``)
    """
    path = folder / "guard.json"
    leaf = {"base": 0.0, "roots": [0], "feature": [-1], "threshold": [0], "left": [0], "right": [0], "value": [0]}
    nothing = {"trees": leaf, "bounds": [[0.0, 0.0]]}
    path.write_text(json.dumps({"features": FEATURES, "odds": odds_of(config) if odds is None else dict(odds),
                                PLAIN: nothing, ADAPTED: nothing}))  # fmt: skip
    return override(config, {"guard": {"weights": str(path)}})


def odds_of(config: RunConfig) -> dict[str, float]:
    """Return the weights of the log odds that standings are measured with, as a weights file holds them.

    They are those of the guard that ``config`` names, which new trees are grown on from, else those of its cut.
    """
    kept = read_odds(Path((config.guard or GuardConfig()).weights))
    return dict(zip(RANKED, kept, strict=True)) if kept else odds_of_cut(config)


def odds_of_cut(config: RunConfig) -> dict[str, float]:
    """Return the weights of the cut that ``config`` names, as ``odds_of`` does."""
    return dict(zip(RANKED, read_weights(Path((config.cut or CutConfig()).weights)), strict=True))
