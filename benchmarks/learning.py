"""What a policy learns from simulated reviewers: names on the shortlist at equal candidates, and honest estimates.

    python -m benchmarks.learning --emissions out/emissions --seeds 20

Half of the speakers are learnt from, the other half judges. Reviewers are simulated from the references, here and
nowhere else: in each of three batches they get 20% of the utterances of the first half. Half of those they hear whole,
and miss 5% of the names; of the others they judge at most five proposals. They err in 2%; every tenth utterance has a
second reviewer, and where the two disagree it does not count. Answers come one to three batches late, so a batch is
drawn by a policy that knows only some of those before it, with exploration of 0.1. A name on the shortlist counts as
written.

Sets: names_dev with its lists of 100; test-clean-dev with lists of 1,000; mix, where the two are tenants of one corpus.
Strategies: phonetic and lexical. What each policy finds is held against the best fixed allocation of levels, chosen on
the judging half itself, or mixture of two of them, with as many candidates. ``full``: fitted on all that is true of the
first half. ``hindsight``: the best levels of each utterance for one who knows what is said.
"""

import argparse
import dataclasses
import functools
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.decoding_sets import add_arguments, load
from benchmarks.inputs import digest
from benchmarks.table import show
from pipeline.config import override
from pipeline.entities.lists import EntitySource, UtteranceLists
from pipeline.learning.estimators import (
    Floats,
    Logged,
    chosen,
    effective_sample,
    estimates,
    groups_of,
    paired_difference,
)
from pipeline.learning.fit import Data, by_strategy, expected, fit_policy, levels_of, mean_candidates
from pipeline.learning.units import KNOWN, SURE, Replay, Reviewed, Unit, tells, unheard_of
from pipeline.recognition.recogniser import Recogniser
from pipeline.retrieval.context import Context, ContextReader
from pipeline.retrieval.policy import Policy, chances, drawn_level
from pipeline.retrieval.strategy import DEFAULT, LEVELS
from pipeline.training.guard_fit import entities_in
from pipeline.tuning.evaluation import LabelledSet
from pipeline.types.emissions import Whence

BATCHES, SHARE, WHOLE, MISSED, ERROR, SECOND, PROPOSALS, EXPLORE = 3, 0.2, 0.5, 0.05, 0.02, 0.1, 5, 0.1
ROOT = Path(__file__).resolve().parents[1]
SETS = {"names_dev": ("names_dev",), "test-clean-dev": ("is21-1000",), "mix": ("names_dev", "is21-1000")}
_REPLICATES, _TAIL = 4000, 0.025  # of the bootstrap over seeds
_WAY = ("share of the way", "share from", "share to")
Utterances = dict[str, list[Unit]]
"""Units of each utterance."""


def units_of(corpus: LabelledSet, tenant: str, recogniser: Recogniser) -> list[Unit]:
    """Return what is true of a set: as if somebody who never errs had heard every utterance whole."""
    parts = recogniser.parts
    assert parts.config.shortlist is not None
    lists = {one.reference.utterance_id: corpus.lists.of(one.reference.utterance_id) for one in corpus.utterances}
    reader = ContextReader(parts.config.shortlist, parts.pronouncer, parts.tokens)
    replay = Replay(parts.shortlister.strategies, reader, EntitySource(lists=UtteranceLists(lists)))
    found = list[Unit]()
    for one in corpus.utterances:
        name = one.reference.utterance_id
        said = frozenset(entities_in(one.reference.text, lists[name]))
        scalars = {"utterance_id": name, "entities": None, "session": None, "tenant": tenant,
                   "speaker": f"{tenant} {one.reference.speaker}"}  # fmt: skip
        heard = dataclasses.replace(one.heard, whence=Whence(name, "model", one.reference.duration_seconds or 0.0))
        found += replay.units(scalars, heard, Reviewed("", name, said, True, 1.0), {})
    return found


def by_utterance(units: Sequence[Unit]) -> Utterances:
    found: Utterances = {}
    for unit in units:
        found.setdefault(unit.utterance_id, []).append(unit)
    return found


@dataclasses.dataclass(frozen=True)
class Answer:
    """What came back of one utterance, and before which batch."""

    units: Sequence[Unit]
    arrives: int
    batch: int


class Reviewers:
    """The simulation; ``truth``: of the half that is learnt from."""

    def __init__(self, truth: Utterances, seed: int) -> None:
        self.truth, self.draw = truth, np.random.default_rng(seed)
        self.order = list(self.draw.permutation(sorted(truth)))

    def batch(self, number: int, policy: Policy | None) -> list[Answer]:
        """Return the answers about the utterances of a batch, which ``policy`` has drawn the levels of."""
        size = round(SHARE * len(self.order))
        names = self.order[number * size : (number + 1) * size]
        answers = [self._answer(name, number, policy) for name in names]
        return [one for one in answers if one is not None]

    def _answer(self, name: str, number: int, policy: Policy | None) -> Answer | None:
        if self.draw.random() < SECOND and self.draw.random() < 2 * ERROR:
            return None  # the two disagree
        whole = bool(self.draw.random() < WHOLE)
        units = [self._heard(unit, policy) if whole else self._judged(unit, policy) for unit in self.truth[name]]
        return Answer(units, number + 1 + int(self.draw.integers(0, BATCHES)), number)

    def _thinned(self, names: Sequence[int], kept: float) -> tuple[int, ...]:
        return tuple(int(self.draw.binomial(count, kept)) for count in names)

    def _heard(self, unit: Unit, policy: Policy | None) -> Unit:
        names = self._thinned(unit.names, (1 - MISSED) * (1 - ERROR))
        at_least = KNOWN if policy is None else self._drawn(unit, policy)[1]
        return dataclasses.replace(unit, names=names, weight=1 / SHARE, at_least=at_least)

    def _judged(self, unit: Unit, policy: Policy | None) -> Unit:
        level, at_least = self._drawn(unit, policy)
        found = [at for at, count in enumerate(unit.names[:level]) for _ in range(count)]
        seen = self.draw.permutation(found)[:PROPOSALS].astype(np.int64)
        names = self._thinned(np.bincount(seen, minlength=LEVELS).tolist(), 1 - ERROR)
        return dataclasses.replace(unit, names=names, drawn=level, at_least=at_least, whole=False, said=0,
                                   weight=1 / SHARE)  # fmt: skip

    def _drawn(self, unit: Unit, policy: Policy | None) -> tuple[int, tuple[float, ...]]:
        if policy is None:
            return DEFAULT, SURE
        features = policy.features(unit.strategy, unit.context, unit.tenant, unit.session)
        worth, greedy = policy.values(unit.strategy, features), policy.greedy(unit.strategy, features)
        at_least = chances(worth, greedy, EXPLORE, policy.temperature)
        return drawn_level(at_least, self.draw.random()), at_least


def learnt(answers: Sequence[Answer], candidates: float, everything: Mapping[str, Data]) -> Policy | None:
    """Return the policy that ``rollcall learn`` would make of the answers; ``everything``: of nobody's answers."""
    units = [unit for answer in answers for unit in answer.units if tells(unit)]
    return fit_policy(by_strategy(units), candidates, everything) if units else None


def found_by(levels: Mapping[str, npt.NDArray[np.int64]], data: Mapping[str, Data]) -> tuple[float, float]:
    """Return recall of said names and mean candidates where each strategy takes the levels."""
    names = sum(float(one.rewards(0.0)[np.arange(len(one.units)), levels[name]].sum()) for name, one in data.items())
    utterances = {unit.utterance_id: unit.said for one in data.values() for unit in one.units}
    costs = sum(float(one.costs(levels[name]).sum()) for name, one in data.items())
    return names / max(1, sum(utterances.values())), costs / len(utterances)


def of_policy(policy: Policy | None, data: Mapping[str, Data]) -> tuple[float, float]:
    return found_by({name: levels_of(policy, name, one.units) for name, one in data.items()}, data)


def fixed(data: Mapping[str, Data]) -> list[tuple[float, float]]:
    """Return candidates and recall of every fixed allocation."""
    found: list[dict[str, int]] = [{}]
    for name in data:
        found = [one | {name: level} for one in found for level in range(LEVELS + 1)]
    worth = [found_by({name: np.full(len(one.units), at[name]) for name, one in data.items()}, data) for at in found]
    return [(cost, recall) for recall, cost in worth]


def best_fixed(points: Sequence[tuple[float, float]], candidates: float) -> float:
    """Return the most recall that a fixed allocation, or a mixture of two, has with so many candidates."""
    best = max((recall for cost, recall in points if cost <= candidates), default=0.0)
    for low_cost, low in points:
        for high_cost, high in points:
            if low_cost <= candidates < high_cost:
                best = max(best, low + (high - low) * (candidates - low_cost) / (high_cost - low_cost))
    return best


def hindsight(data: Mapping[str, Data], candidates: float) -> tuple[float, float]:
    """Return recall and candidates of the best levels of each utterance for one who knows what is said."""
    low, high = 1e-6, 10.0
    for _ in range(50):
        price = float(np.sqrt(low * high))
        worth = found_by({name: one.rewards(price).argmax(1) for name, one in data.items()}, data)
        low, high = (price, high) if worth[1] > candidates else (low, price)
    return found_by({name: one.rewards(high).argmax(1) for name, one in data.items()}, data)


def one_seed(units: Sequence[Unit], seed: int, share: float) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return what each policy finds on the other half, and what the estimators said of two policies on the first.

    share: of the candidates at the default levels that policies are fitted to
    """
    speakers = np.random.default_rng(seed).permutation(sorted({unit.speaker for unit in units}))
    first = set(speakers[::2])
    ours = [unit for unit in units if unit.speaker in first]
    truth, judging = by_strategy(ours), by_strategy([unit for unit in units if unit.speaker not in first])
    unheard = [unheard_of(unit) for unit in ours]
    everything, budget = by_strategy(unheard), share * mean_candidates(None, truth)
    reviewers, answers, policy = Reviewers(by_utterance(ours), seed), list[Answer](), None
    policies: dict[str, Policy | None] = {"default levels": None}
    drew: list[Policy | None] = []
    for number in range(BATCHES):
        drew.append(policy)
        answers += reviewers.batch(number, policy)
        policies[f"after batch {number + 1}"] = learnt(answers, budget, everything)
        policy = learnt([one for one in answers if one.arrives <= number + 1], budget, everything)
    policies["full"] = fit_policy(truth, budget)
    points, rows = fixed(judging), []
    for name, one in policies.items():
        recall, cost = of_policy(one, judging)
        rows.append(
            {"policy": name, "recall": recall, "candidates": cost, "over fixed": recall - best_fixed(points, cost)}
        )
    recall, cost = hindsight(judging, share * of_policy(None, judging)[1])
    rows.append(
        {"policy": "hindsight", "recall": recall, "candidates": cost, "over fixed": recall - best_fixed(points, cost)}
    )
    wide = {name: np.full(len(one.units), LEVELS) for name, one in judging.items()}
    recall, cost = found_by(wide, judging)
    rows.append({"policy": "wide open", "recall": recall, "candidates": cost, "over fixed": 0.0})
    first_policy = policies["after batch 1"]
    later = [one for one in answers if one.batch > 0]
    return rows, [] if first_policy is None else judged(later, first_policy, truth)


def judged(answers: Sequence[Answer], policy: Policy, truth: Mapping[str, Data]) -> list[dict[str, Any]]:
    """Hold the estimates of batches 2 and 3 against what is true of all utterances that they were drawn from.

    The policies: that learnt from batch 1, and all wide open; the model of rewards is that of the former. Values are
    in points of recall, less the price of candidates.
    """
    said = {unit.utterance_id: unit.said for one in truth.values() for unit in one.units}
    per_point = 100 * sum(len(one.units) for one in truth.values()) / max(1, sum(said.values()))
    rows = []
    for kind in ("all", "proposals only"):
        units = [unit for one in answers for unit in one.units if tells(unit) and (kind == "all" or not unit.whole)]
        data = by_strategy(units)
        if not data or any(len(one.units) < 20 for one in data.values()):
            continue
        drawn = np.concatenate([one.at_least for one in data.values()])
        whole = np.array([unit.whole for one in data.values() for unit in one.units], np.bool_)
        for target in ("learnt", "wide open"):
            logs, targets, models, gains = list[Logged](), list[Floats](), list[Floats](), list[Floats]()
            for name, one in data.items():
                levels = _target(target, policy, name, one)
                groups = groups_of([unit.speaker for unit in one.units])
                logs.append(Logged(one.drawn, one.known, one.rewards(policy.price), one.weights, groups))
                targets.append(chosen(levels, LEVELS + 1))
                costs = np.concatenate([np.zeros((len(levels), 1)), one.candidates], axis=1)
                gains.append(expected(policy, name, one.units)[0])
                models.append(gains[-1] - policy.price * costs)
            log = Logged(
                *(np.concatenate([getattr(one, field.name) for one in logs]) for field in dataclasses.fields(Logged))
            )
            value = _true(truth, policy, functools.partial(_target, target, policy))
            wanted, model = np.concatenate(targets), np.concatenate(models)
            found = {name: (one, value) for name, one in estimates(log, wanted, model, 400).items()}
            default = chosen(np.full(len(wanted), DEFAULT), LEVELS + 1)
            gained = value - _true(truth, policy, lambda _, one: np.full(len(one.units), DEFAULT))
            nothing = np.zeros_like(model)
            found["ips by draws alone, to default"] = (
                paired_difference(as_drawn(log, drawn, whole), wanted, default, nothing, 400),
                gained,
            )
            found["ips, to default"] = paired_difference(log, wanted, default, nothing, 400), gained
            found["dr, to default"] = (
                paired_difference(log, wanted, default, model, 400, names=np.concatenate(gains)),
                gained,
            )
            sample = effective_sample(log, wanted)
            for name, (said_of_it, is_true) in found.items():
                rows.append({
                    "answers": kind, "of": target, "estimator": name, "effective sample": sample,
                    "true": per_point * is_true,
                    "error": per_point * (said_of_it.value - is_true),
                    "width": per_point * (said_of_it.high - said_of_it.low),
                    "covers": float(said_of_it.low <= is_true <= said_of_it.high),
                })  # fmt: skip
    return rows


def as_drawn(log: Logged, at_least: Floats, whole: npt.NDArray[np.bool_]) -> Logged:
    """Return a log as it is without anybody who heard an utterance whole: levels as they were drawn, and their chances.

    at_least: [N, L + 1] of the draws. Of what was heard ``whole`` [N] the log has no draw; one is made anew with the
    same chances, the same ones every time.
    """
    points = np.random.default_rng(len(at_least)).random(len(at_least))
    levels = np.array([drawn_level(one, point) for one, point in zip(at_least.tolist(), points, strict=True)])
    drawn = np.where(whole, levels, log.drawn)
    return dataclasses.replace(log, drawn=drawn, at_least=at_least)


def _true(
    truth: Mapping[str, Data], policy: Policy, of: Callable[[str, Data], npt.NDArray[np.int64]]
) -> float:  # fmt: skip
    """Return the reward per decision of levels, of all that is true."""
    sums = [one.rewards(policy.price)[np.arange(len(one.units)), of(name, one)].sum() for name, one in truth.items()]
    return float(sum(sums)) / sum(len(one.units) for one in truth.values())


def _target(target: str, policy: Policy, name: str, data: Data) -> npt.NDArray[np.int64]:
    return levels_of(policy, name, data.units) if target == "learnt" else np.full(len(data.units), LEVELS)


def summed_up(rows: Sequence[Mapping[str, Any]], keys: Sequence[str]) -> list[dict[str, Any]]:
    """Return means over seeds, with the 95% interval of the mean of "over fixed"."""
    groups: dict[tuple[str, ...], list[Mapping[str, Any]]] = {}
    for row in rows:
        groups.setdefault(tuple(row[key] for key in keys), []).append(row)
    found = []
    for key, some in groups.items():
        one: dict[str, Any] = dict(zip(keys, key, strict=True)) | {"seeds": len(some)}
        for name in some[0]:
            if name not in keys:
                one[name] = float(np.mean([row[name] for row in some]))
        if "over fixed" in one:
            values = np.array([row["over fixed"] for row in some])
            half = 1.96 * values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else float("nan")
            one |= {"from": one["over fixed"] - half, "to": one["over fixed"] + half}
        found.append(one)
    return found


def share_of_the_way(rows: Sequence[Mapping[str, Any]], policy: str) -> dict[str, float | None]:
    """Return how far ``policy`` comes from the best fixed allocation to ``full``: a ratio of means over seeds.

    Its 95% interval is a percentile bootstrap over seeds, of which both are taken. Where the interval of what ``full``
    is above the best fixed allocation holds 0 or less, there is no way, and nothing is returned.
    """
    ours, full = (
        np.array([row["over fixed"] for row in rows if row["policy"] == name], np.float64) for name in (policy, "full")
    )
    draws = np.random.default_rng(0).integers(0, len(full), (_REPLICATES, len(full)))
    above, reached = full[draws].mean(1), ours[draws].mean(1)
    if len(full) < 2 or np.quantile(above, _TAIL) <= 0:
        return dict.fromkeys(_WAY)
    low, high = np.quantile(reached / above, [_TAIL, 1 - _TAIL])
    return dict(zip(_WAY, (float(ours.mean() / full.mean()), float(low), float(high)), strict=True))


def read_units(path: Path, made_by: str) -> list[Unit] | None:
    """Return the units of a file; None if there is none, or if other code, models or data made it."""
    if not path.is_file():
        return None
    content = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(content, dict) or content["made by"] != made_by:
        return None
    return [Unit(**{**row, "context": Context(tuple(row["context"]["values"]), tuple(row["context"]["background"])),
                    "at_least": KNOWN, "names": tuple(row["names"]), "candidates": tuple(row["candidates"])})
            for row in content["units"]]  # fmt: skip


def write_units(path: Path, units: Sequence[Unit], made_by: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {"made by": made_by, "units": [dataclasses.asdict(unit) for unit in units]}
    new = path.with_name(path.name + ".new")
    new.write_text(json.dumps(content), encoding="utf-8")
    new.replace(path)


def made_by(options: argparse.Namespace) -> str:
    """Return a digest of all that units follow from: code, models, lists, first passes, and how many utterances."""
    read = [ROOT / path for path in ("pipeline", "models", "benchmarks/decoding_sets.py", "benchmarks/learning.py")]
    read += [options.data / "is21_deep_bias", options.data / "names_dev.parquet"]
    read += sorted(options.emissions.glob("*.parquet")) + ([Path(options.config)] if options.config else [])
    return " ".join([*(digest(path) for path in read), str(options.utterances), str(options.width)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser)
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=SETS)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--shares", type=float, nargs="+", default=[1.0, 0.4, 0.2], help="of today's candidates")
    parser.add_argument("--units", type=Path, help="what each level finds is kept in this folder, and read from there")
    parser.add_argument("--rows", choices=("policies", "estimates"), default="policies", help="which rows --json has")
    options = parser.parse_args()
    names = tuple(dict.fromkeys(part for one in options.sets for part in SETS[one]))
    bench = load(options, names)  # which makes the first passes
    code, known = made_by(options), dict[str, list[Unit]]()
    for name in names:
        kept = None if options.units is None else options.units / f"{name}.json"
        units = None if kept is None else read_units(kept, code)
        if units is None:
            recogniser = Recogniser.load(override(bench.config, {"lexical": {}}), encodes=False)
            units = units_of(bench.sets[name], name, recogniser)
            if kept is not None:
                write_units(kept, units, code)
        known[name] = units
    policies, estimated = list[dict[str, Any]](), list[dict[str, Any]]()
    for name in options.sets:
        units = [unit for part in SETS[name] for unit in known[part]]
        for share in options.shares:
            found, said = list[dict[str, Any]](), list[dict[str, Any]]()
            for seed in range(options.seeds):
                ours, theirs = one_seed(units, seed, share)
                found, said = [*found, *ours], [*said, *theirs]
            where = {"set": name, "share": share}
            for row in summed_up(found, ("policy",)):
                learns = row["policy"].startswith("after")
                policies.append(
                    where | row | (share_of_the_way(found, row["policy"]) if learns else dict.fromkeys(_WAY))
                )
            estimated += [where | row for row in summed_up(said, ("answers", "of", "estimator"))]
    show("estimates, points of recall", estimated, options.json if options.rows == "estimates" else None)
    show("policies", policies, options.json if options.rows == "policies" else None)


if __name__ == "__main__":
    main()
