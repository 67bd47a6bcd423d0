"""The false-accept guard: an entity enters the transcript only if the evidence for it outweighs the unbiased words.

Every place where biasing would change the unbiased transcript is judged by itself:

    log odds = boosted trees over FEATURES        accepted if log odds >= bound

Trees and bounds are in ``models/phonetics/guard.json``, for runs with a contextual adapter and for runs without: fitted
to right and wrong proposals (pipeline.rescoring.trees), and for each rate of false accepts per hour the bound that
keeps it on speakers that were left out of the fit (``python -m benchmarks.guard_calibration``). What is rejected leaves
the unbiased transcript as it was; if everything is, the result is the unbiased one exactly.

With ``guard.doubts`` names that the unbiased search itself wrote are weighed by such trees too, against the best words
without them (pipeline.rescoring.doubts), and taken out below ``Guard.doubted``. That bound is far lower: these names
need nothing from the list to be written.
"""

import dataclasses
import json
from collections.abc import Callable, Sequence
from pathlib import Path

from pipeline.census import step
from pipeline.config import GuardConfig
from pipeline.decoding.spans import entity_spans
from pipeline.errors import ConfigError, ModelError
from pipeline.rescoring.aligned import Fit
from pipeline.rescoring.doubts import Doubt
from pipeline.rescoring.evidence import FEATURES, STANDING, Evidence, Vector
from pipeline.rescoring.proposals import Proposal, apply_proposals
from pipeline.rescoring.scene import Scene
from pipeline.rescoring.trees import Trees
from pipeline.retrieval.ranked import weights_of
from pipeline.types.emissions import Emissions
from pipeline.types.entity import EntityList
from pipeline.types.hypothesis import EntitySpan, Hypothesis

Moved = Callable[[Scene, Proposal, Fit], float]
"""What else speaks for a proposal, in nats of log odds (pipeline.rescoring.remembered, .session)."""


@dataclasses.dataclass(frozen=True)
class Judge:
    """What a weights file says for one kind of run.

    features: some of FEATURES; trees: over these; bounds: (false accepts per hour, log odds), the rate rising
    odds:     weights of the log odds that STANDING is measured with (pipeline.retrieval.ranked); None for trees without
    doubt:    log odds below which names of the unbiased search are taken out; None where nobody measured it
    """

    features: tuple[str, ...]
    trees: Trees
    bounds: tuple[tuple[float, float], ...]
    odds: tuple[float, ...] | None = None
    doubt: float | None = None

    def bound(self, rate: float) -> float:
        """Return the bound that keeps false accepts at or below ``rate`` per hour; raises ConfigError for none."""
        kept = [bound for known, bound in self.bounds if known <= rate]
        if not kept:
            raise ConfigError(
                f"guard.max_false_accepts_per_hour must be at least {self.bounds[0][0]:g}, got {rate:g}; "
                "for no false accepts at all transcribe without a list."
            )
        return kept[-1]


_CAUTION = 0.25
"""Share of the rate that the guard aims at with a model that it was not fitted on: such a model writes two to four
times as many words wrong, and each of these is a chance for a false accept."""
DOUBT = -1.0
"""Log odds below which a name of the unbiased search is taken out where no calibration says otherwise: what could stand
there must be nearly three times as likely. `python -m benchmarks.doubts` measures what it costs and brings."""
PLAIN, ADAPTED = "plain", "adapted"
"""Parts of a weights file: for runs without a contextual adapter, and with one."""


def read_judge(path: Path, part: str = PLAIN) -> Judge:
    """Read one part of a weights file, for all features or some; raises ModelError if it is missing or corrupt.

    Raises ConfigError for a file without that part: a calibration of a model that had no adapter then.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if part not in content and {PLAIN, ADAPTED} & set(content):
            raise ConfigError(
                f"{path}: was fitted without a contextual adapter, and this run has one; calibrate again "
                "(`rollcall calibrate`), or leave the adapter out (--without adapter)."
            )
        features = tuple(content["features"])
        if not set(features) <= set(FEATURES) or len(set(features)) < len(features):
            raise ValueError(f"features {features}")
        bounds = tuple((float(rate), float(bound)) for rate, bound in sorted(content[part]["bounds"]))
        odds = None if set(STANDING).isdisjoint(features) else weights_of(content["odds"])
        doubt = content.get("doubt")
        trees = Trees.from_json(content[part]["trees"], len(features))
        return Judge(features, trees, bounds, odds, None if doubt is None else float(doubt))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(
            f"{path}: not the guard's weights ({error!r}); restore it or run `python -m benchmarks.guard_calibration`."
        ) from error


def read_odds(path: Path) -> tuple[float, ...] | None:
    """Read the weights of the log odds in a weights file; None for one without. Raises as ``read_judge`` does."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return weights_of(content["odds"]) if "odds" in content else None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{path}: not the guard's weights ({error!r}); restore it from git.") from error


def _bound(config: GuardConfig, judge: Judge, part: str, letters: bool) -> float:
    """Return the bound that ``config`` asks for.

    For a model that the weights were not fitted on it is the stricter one, with and without an adapter, of the bounds
    for a share of the rate; where it hears its own ``letters``, which they say little of, the strictest of all.
    """
    if config.bound is not None:
        return config.bound
    bound = judge.bound(config.max_false_accepts_per_hour)
    if not config.cautious:
        return bound
    both = [read_judge(Path(config.weights), one).bounds for one in (PLAIN, ADAPTED)]
    least = 0.0 if letters else _CAUTION * config.max_false_accepts_per_hour
    return max(_at(table, least) for table in both)


def _at(bounds: Sequence[tuple[float, float]], rate: float) -> float:
    """Return the bound for ``rate``, or for the lowest rate that there is one for."""
    return [bound for known, bound in bounds if known <= max(rate, bounds[0][0])][-1]


class Guard:
    """Judges proposals; a pure function of its arguments."""

    def __init__(
        self, config: GuardConfig, evidence: Evidence, adapted: bool = False, movers: Sequence[Moved] = ()
    ) -> None:
        """``adapted``: whether the run has a contextual adapter; ``movers``: give nats that are added to the log odds.

        Raises ModelError if the weights are missing, ConfigError for a rate that their table has not.
        """
        self._movers = tuple(movers)
        part = ADAPTED if adapted else PLAIN
        self.evidence, self._judge = evidence, read_judge(Path(config.weights), part)
        self.bound = _bound(config, self._judge, part, evidence.by_letters)
        self._doubting = read_judge(Path(GuardConfig().weights), PLAIN) if config.doubts else self._judge
        self.doubted = DOUBT if self._judge.doubt is None else self._judge.doubt

    def measure(self, scene: Scene, proposals: Sequence[Proposal]) -> list[tuple[Vector, Fit]]:
        """Return the evidence that the weights are for, of each proposal, and how it lies on the phones."""
        return self.evidence.measure(scene, proposals, self._judge.features, self._judge.odds)

    def weigh(self, scene: Scene, proposals: Sequence[Proposal]) -> list[tuple[Proposal, float, Fit]]:
        """Return the log odds of each proposal, and how it lies on the phones."""
        measured = zip(proposals, self.measure(scene, proposals), strict=True)
        judged = [(one, self._judge.trees.score(features), fit) for one, (features, fit) in measured]
        for moved in self._movers:
            judged = [(one, odds + moved(scene, one, fit), fit) for one, odds, fit in judged]
        return judged

    def decide(self, unbiased: Hypothesis, weighed: Sequence[tuple[Proposal, float, Fit]]) -> list[Proposal]:
        """Return the proposals that are believed, explained; none touches another, the surest are taken first.

        weighed: what ``weigh`` returns
        """
        judged = [(odds, _explained(unbiased, proposal, fit)) for proposal, odds, fit in weighed if odds >= self.bound]
        chosen: list[Proposal] = []
        for _, one in sorted(judged, key=lambda pair: (-pair[0], pair[1].first, pair[1].last, pair[1].text)):
            if not any(one.touches(other) for other in chosen):
                chosen.append(one)
        return chosen

    def weigh_doubts(
        self, doubts: Sequence[Doubt], emissions: Emissions, entities: EntityList, size_class: int = 0
    ) -> list[tuple[Doubt, float]]:
        """Return the log odds of each name that may be doubted, as a proposal in the place of what else could stand.

        They are always by the shipped trees for runs without an adapter, and without what one hears: trees that are
        grown on from them learn from what the search did not write, and lose more names of lists with sound-alikes.
        """
        judge, found = self._doubting, list[tuple[Doubt, float]]()
        heard = dataclasses.replace(emissions, adapted=None, attended=None)
        for doubt in doubts:
            scene = self.evidence.scene(doubt.without, heard, entities, size_class)
            if scene is not None:
                ((features, fit),) = self.evidence.measure(scene, [doubt.name], judge.features, judge.odds)
                moved = sum(moved(scene, doubt.name, fit) for moved in self._movers)
                found.append((doubt, judge.trees.score(features) + moved))
        return found

    def undo(self, weighed: Sequence[tuple[Doubt, float]]) -> list[Doubt]:
        """Return what is taken out of what ``weigh_doubts`` returns; none touches another, the least likely first."""
        chosen: list[Doubt] = []
        for one, odds in sorted(weighed, key=lambda pair: (pair[1], pair[0].first)):
            if odds < self.doubted and not any(one.touches(other) for other in chosen):
                chosen.append(one)
        return chosen


def guarded(
    guard: Guard, unbiased: Sequence[Hypothesis], biased: Sequence[Hypothesis], scene: Scene,
    proposals: Sequence[Proposal], entities: EntityList,
) -> list[Hypothesis]:  # fmt: skip
    """Return the n-best with what the guard believes: the unbiased n-best as it is if that is nothing."""
    with step("believed") as kept:
        chosen = guard.decide(unbiased[0], guard.weigh(scene, proposals))
        kept.kept = len(chosen)
    own = entity_spans(unbiased[0].words, entities)
    if not chosen:
        return [dataclasses.replace(unbiased[0], entities=own), *unbiased[1:]]
    best = apply_proposals(unbiased[0], chosen, own)
    scored = next((one for one in biased if one.text == best.text), unbiased[0])
    most = max(one.total for one in (*biased, scored))
    rest = [one for one in (*biased, *unbiased) if one.text != best.text]
    best = dataclasses.replace(
        scored, words=best.words, entities=best.entities, boost=scored.boost + most - scored.total, total=most
    )
    return [best, *sorted(rest, key=lambda one: -one.total)]


def _explained(unbiased: Hypothesis, proposal: Proposal, fit: Fit) -> Proposal:
    """Write down, for each entity, what it replaces and the phone costs of both."""
    instead = " ".join(word.text for word in unbiased.words[proposal.first : proposal.last])
    spans = tuple(_measured(span, fit, instead) for span in proposal.spans)
    return dataclasses.replace(proposal, spans=spans)


def _measured(span: EntitySpan, fit: Fit, instead: str) -> EntitySpan:
    return dataclasses.replace(
        span, phone_cost=fit.cost, alternative=instead, alternative_phone_cost=fit.cost + fit.gain
    )
