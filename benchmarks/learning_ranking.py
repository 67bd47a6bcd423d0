"""What guard and cut learn from simulated reviewers: F1 at equal false accepts, and what the cut keeps.

    python -m benchmarks.learning_ranking --emissions out/emissions --keep out/ranking --seeds 20

Policy and memory are off. Half of the speakers are learnt from, the other half judges, as in benchmarks.learning: three
batches of 20% of the utterances of the first half, half of them heard whole; of a name that the run has not written 5%
are missed, 2% of all verdicts are wrong, of the other utterances at most five written proposals are judged. What is
learnt is what `rollcall learn` makes of it (pipeline.calibration.believing and .ranking).

The guard is judged on the proposals of the other half: F1 at its own bound and at the bound with as many false accepts
as the guard before had at its own. The cut is judged by the names that it keeps with as many candidates.

Sets: names_dev with its lists of 100, test-clean-dev with lists of 1,000, and both with one list of some 200,000
entries (directory, words; the latter on --words utterances). The shipped guard was fitted on all of these
speakers, which leaves less to learn than on speech of strangers.
"""

import argparse
import dataclasses
import functools
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.calibration_sets import Sets
from benchmarks.decoding_sets import add_arguments
from benchmarks.learning import BATCHES, ERROR, MISSED, PROPOSALS, SECOND, SHARE, WHOLE, summed_up
from benchmarks.table import show
from pipeline.calibration.answered import Answered
from pipeline.calibration.believing import Labels, refit
from pipeline.calibration.guard import odds_of, unweighted
from pipeline.calibration.ranking import Ranked, refit_ranking
from pipeline.config import CutConfig, GuardConfig, RunConfig, joint, override
from pipeline.recognition.recogniser import Recogniser
from pipeline.rescoring.evidence import FEATURES
from pipeline.rescoring.guard import ADAPTED, Judge, read_judge
from pipeline.retrieval import ranked
from pipeline.training.cut_fit import CutRows, rows_of
from pipeline.training.guard_fit import Judged, accepted, entities_in, judged, odds_by
from pipeline.tuning.evaluation import LabelledSet

SETS = ("names_dev", "is21-1000", "directory", "words")
_RATE = 20.0
_UTTERANCE = ("utterance_id", "speaker", "seconds", "said", "known", "wrong", "list_said", "offset")
_PLACE = ("first", "last", "gained", "wrong")


@dataclasses.dataclass(frozen=True)
class Truth:
    """One utterance: what is true of its proposals and of the rows of the cut, none without a large list.

    said, known, wrong: entities in the reference, those that the unbiased search writes, and others that it writes
    """

    answered: Answered
    ranked: Ranked | None
    said: int
    known: int
    wrong: int


def truths(recogniser: Recogniser, corpus: LabelledSet) -> Iterator[Truth]:
    """Yield what is true of every utterance; the recogniser has an unweighted guard."""
    cut, config = _cut(recogniser), recogniser.parts.config.cut or CutConfig()
    for number, one in enumerate(corpus.utterances):
        name, speaker = one.reference.utterance_id, one.reference.speaker or one.reference.utterance_id
        entities = corpus.lists.of(name)
        heard, shortlist = recogniser.attended(one.heard, entities)
        unbiased, measured = recogniser.transcriber.proposals(heard, entities, shortlist)
        spoken, written = entities_in(one.reference.text, entities), entities_in(unbiased.text, entities)
        found = judged(number, unbiased, measured, spoken, entities)
        seconds = one.reference.duration_seconds or 0.0
        answered = Answered(name, speaker, seconds, 1.0, True, tuple(found), (True,) * len(found))
        rows = None
        if cut is not None and cut.can_say(one.heard, len(entities)):
            made, offset = rows_of(cut, one.heard, entities, set(spoken), number), -ranked.rise(config, len(entities))
            rows = Ranked(name, speaker, 1.0, made, len(spoken), offset)
        known, wrong = (spoken & written).total(), (written - spoken).total()
        yield Truth(answered, rows, spoken.total(), known, wrong)


def _cut(recogniser: Recogniser) -> ranked.Ranked | None:
    strategies = recogniser.parts.shortlister.strategies
    return next((one for one in strategies if isinstance(one, ranked.Ranked)), None)


def load_truths(config: RunConfig, load: Callable[[], LabelledSet], kept: Path | None) -> list[Truth]:
    """Return what is true of a set, which ``load`` gives; from ``kept`` where it is."""
    if kept is not None and kept.is_file():
        return read(kept)
    with tempfile.TemporaryDirectory() as folder:
        recogniser = Recogniser.load(unweighted(config, Path(folder), odds_of(joint())), encodes=False)
    found = list(truths(recogniser, load()))
    if kept is not None:
        write(kept, found)
    return found


def write(path: Path, some: Sequence[Truth]) -> None:
    """Write truths as arrays."""
    rows = [one.ranked for one in some if one.ranked is not None]
    proposals = [proposal for one in some for proposal in one.answered.proposals]
    values = {name: np.array([_field(one, name) for one in some]) for name in _UTTERANCE}
    values |= {"proposals": np.array([len(one.answered.proposals) for one in some])}
    values |= {f"proposal_{name}": np.array([getattr(one, name) for one in proposals], np.int64) for name in _PLACE}
    values["features"] = np.array([one.features for one in proposals]).reshape(-1, len(FEATURES))
    values["rows"] = np.array([0 if one.ranked is None else len(one.ranked.rows.said) for one in some])
    for name in ("features", "said", "weights"):
        parts = [getattr(one.rows, name) for one in rows]
        values[f"row_{name}"] = np.concatenate(parts) if parts else np.zeros(0)
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f"{path.stem}.new.npz")
    np.savez_compressed(new, **values)
    new.replace(path)


def _field(one: Truth, name: str) -> Any:
    if name in ("list_said", "offset"):
        return -1 if one.ranked is None else one.ranked.said if name == "list_said" else one.ranked.offset
    return getattr(one.answered if name in ("utterance_id", "speaker", "seconds") else one, name)


def read(path: Path) -> list[Truth]:
    """Return truths that ``write`` wrote."""
    with np.load(path) as file:
        values = {name: file[name] for name in file.files}
    ends, row_ends = np.cumsum(values["proposals"]), np.cumsum(values["rows"])
    found = []
    for at, (end, row_end) in enumerate(zip(ends.tolist(), row_ends.tolist(), strict=True)):
        own, rows = range(end - int(values["proposals"][at]), end), slice(row_end - int(values["rows"][at]), row_end)
        proposals = tuple(_proposal(values, at, one) for one in own)
        name, speaker = str(values["utterance_id"][at]), str(values["speaker"][at])
        seconds = float(values["seconds"][at])
        made = None
        if values["list_said"][at] >= 0:
            parts = (values[f"row_{kind}"][rows] for kind in ("features", "said", "weights"))
            features, said, weights = parts
            numbers = np.full(len(said), at, np.int64)
            cut_rows = CutRows(features, said.astype(np.bool_), weights, numbers)
            made = Ranked(name, speaker, 1.0, cut_rows, int(values["list_said"][at]), float(values["offset"][at]))
        answered = Answered(name, speaker, seconds, 1.0, True, proposals, (True,) * len(proposals))
        counts = (int(values[kind][at]) for kind in ("said", "known", "wrong"))
        found.append(Truth(answered, made, *counts))
    return found


def _proposal(values: Mapping[str, npt.NDArray[Any]], utterance: int, at: int) -> Judged:
    first, last, gained, wrong = (int(values[f"proposal_{name}"][at]) for name in _PLACE)
    return Judged(first, last, utterance, values["features"][at], gained, wrong)


class Reviewers:
    """The simulation: see the module."""

    def __init__(self, truth: Sequence[Truth], judge: Judge, seed: int, whole: float) -> None:
        self._judge, self._draw, self._whole = judge, np.random.default_rng(seed), whole
        order = self._draw.permutation(len(truth))
        self.seen = [truth[at] for at in order[: round(BATCHES * SHARE * len(truth))]]

    def answers(self) -> tuple[list[Answered], list[Ranked]]:
        """Return what came back of all batches."""
        proposals, rows = list[Answered](), list[Ranked]()
        for one in self.seen:
            if self._draw.random() < SECOND and self._draw.random() < 2 * ERROR:
                continue  # the two disagree
            if self._draw.random() < self._whole:
                proposals.append(self._heard(one.answered))
                if one.ranked is not None:
                    rows.append(self._thinned(one.ranked))
            else:
                proposals.append(self._judged(one.answered))
        return proposals, rows

    def _written(self, one: Answered) -> set[int]:
        odds = odds_by(self._judge.trees, one.proposals, self._judge.features)
        taken = {id(some) for some in accepted(one.proposals, odds, self._judge.bound(_RATE))} if len(odds) else set()
        return {at for at, proposal in enumerate(one.proposals) if id(proposal) in taken}

    def _heard(self, one: Answered) -> Answered:
        written, found = self._written(one), []
        for at, proposal in enumerate(one.proposals):
            right = proposal.right
            if right and at not in written and self._draw.random() < MISSED:
                right = False
            found.append(self._said(proposal, right))
        return dataclasses.replace(one, proposals=tuple(found))

    def _judged(self, one: Answered) -> Answered:
        written = sorted(self._written(one))
        seen = {written[at] for at in self._draw.permutation(len(written))[:PROPOSALS]}
        found = [self._said(proposal, proposal.right) for proposal in one.proposals]
        known = tuple(at in seen for at in range(len(found)))
        return dataclasses.replace(one, proposals=tuple(found), known=known, whole=False)

    def _said(self, proposal: Judged, right: bool) -> Judged:
        if self._draw.random() < ERROR:
            right = not right
        return dataclasses.replace(proposal, gained=int(right), wrong=int(not right))

    def _thinned(self, one: Ranked) -> Ranked:
        """Some names that were said are missed or denied."""
        kept = self._draw.random(len(one.rows.said)) < (1 - MISSED) * (1 - ERROR)
        return dataclasses.replace(one, rows=dataclasses.replace(one.rows, said=one.rows.said & kept))


@dataclasses.dataclass(frozen=True)
class Half:
    """The judging half as one."""

    proposals: list[Judged]
    said: int
    known: int
    wrong: int
    hours: float

    @classmethod
    def of(cls, some: Sequence[Truth]) -> "Half":
        """Return the truths together."""
        counts = (sum(getattr(one, name) for one in some) for name in ("said", "known", "wrong"))
        proposals = [proposal for one in some for proposal in one.answered.proposals]
        return cls(proposals, *counts, sum(one.answered.seconds for one in some) / 3600)

    def at(self, odds: npt.NDArray[np.float64], bound: float) -> tuple[float, int]:
        """Return F1 in percent and false accepts."""
        taken = accepted(self.proposals, odds, bound)
        right = self.known + sum(one.gained for one in taken)
        false = self.wrong + sum(max(0, one.wrong) for one in taken)
        return 100 * 2 * right / max(1, right + false + self.said), false

    def with_at_most(self, odds: npt.NDArray[np.float64], false: int) -> float:
        """Return the best F1 with at most so many false accepts."""
        pairs = [self.at(odds, bound) for bound in np.unique(np.round(odds, 2))]
        return max((value for value, count in pairs if count <= false), default=0.0)


def one_seed(name: str, some: Sequence[Truth], judge: Judge, cut: CutConfig, seed: int, whole: float) -> dict[str, Any]:
    """Return what guard and cut have learnt from one half, and what that is worth on the other."""
    speakers = np.random.default_rng(seed).permutation(sorted({one.answered.speaker for one in some}))
    first = set(speakers[::2])
    proposals, rows = Reviewers([one for one in some if one.answered.speaker in first], judge, seed, whole).answers()
    judging = [one for one in some if one.answered.speaker not in first]
    half, labels = Half.of(judging), Labels.of(proposals)
    before = odds_by(judge.trees, half.proposals, judge.features)
    f1, false = half.at(before, judge.bound(_RATE))
    fitted = refit(labels, judge)
    new = judge if fitted is None else dataclasses.replace(judge, trees=fitted.trees, bounds=fitted.bounds)
    after = odds_by(new.trees, half.proposals, new.features)
    learnt_f1, learnt_false = half.at(after, new.bound(_RATE))
    row = {
        "set": name, "seed": seed, "hours": labels.hours, "labels": labels.count,
        "fitted": float(fitted is not None), "grown": float(fitted is not None and fitted.grown),
        "F1": f1, "false": false, "learnt F1": learnt_f1, "learnt false": learnt_false,
        "F1 at equal": half.with_at_most(before, false), "learnt F1 at equal": half.with_at_most(after, false),
    }  # fmt: skip
    there = [one.ranked for one in judging if one.ranked is not None]
    if not there:
        return row
    weights = ranked.read_weights(Path(cut.weights))
    ranking = refit_ranking(rows, weights, cut.bound)
    recall, candidates = _kept(there, weights, cut.bound)
    learnt = weights if ranking is None else list(ranking.weights.values())
    changed = ranking is not None and ranking.changed
    equal = _recall_at(there, learnt, candidates) if changed else recall
    return row | {
        "cut said": 0 if ranking is None else ranking.said, "cut changed": float(changed), "cut recall": recall,
        "cut candidates": candidates, "cut learnt recall": equal,
    }  # fmt: skip


def _kept(some: Sequence[Ranked], weights: Sequence[float], bound: float) -> tuple[float, float]:
    """Return recall and candidates per utterance of a cut."""
    odds, said, counts = _odds(some, weights)
    passing = odds >= bound
    total = sum(one.said for one in some)
    return float((said & passing).sum()) / max(1, total), float(counts[passing].sum()) / max(1, len(some))


def _recall_at(some: Sequence[Ranked], weights: Sequence[float], candidates: float) -> float:
    """Return the recall of a cut with so many candidates per utterance."""
    odds, said, counts = _odds(some, weights)
    order = np.argsort(-odds, kind="stable")
    last = int(np.searchsorted(np.cumsum(counts[order]), candidates * len(some), side="right"))
    return float(said[order[:last]].sum()) / max(1, sum(one.said for one in some))


def _odds(
    some: Sequence[Ranked], weights: Sequence[float]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_], npt.NDArray[np.float64]]:
    odds = np.concatenate([one.rows.features @ np.array(weights) + one.offset for one in some])
    said = np.concatenate([one.rows.said for one in some])
    return odds, said, np.concatenate([one.rows.weights for one in some])


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser)
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=SETS)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument(
        "--words", type=int, default=670, help="utterances under the list of words (default %(default)s)"
    )
    parser.add_argument("--whole", type=float, default=WHOLE, help="share heard whole (default %(default)s)")
    parser.add_argument("--keep", type=Path, help="folder of what is true of each set")
    parser.add_argument("--cut", metavar="WEIGHTS", help="of the cut in place of the shipped ones")
    options = parser.parse_args(argv)
    config = joint() if options.cut is None else override(joint(), {"cut": {"weights": options.cut}})
    sets, judge = Sets(options, config, {}), read_judge(Path(GuardConfig().weights), ADAPTED)
    rows = list[dict[str, Any]]()
    for name in options.sets:
        kept = None if options.keep is None else options.keep / f"{name}.npz"
        most = options.words if name == "words" else None
        some = load_truths(config, functools.partial(sets.load, name, most), kept)
        print(f"{name}: {len(some)} utterances", flush=True)
        for seed in range(options.seeds):
            rows.append(one_seed(name, some, judge, config.cut or CutConfig(), seed, options.whole))
    show("what guard and cut learn", summed_up(rows, ("set",)), options.json)


if __name__ == "__main__":
    main()
