"""Search for weights on labelled emissions: random proposals, then steps around the best so far.

Tuned on one half of the speakers, confirmed on the other. For the weights of biasing what is maximised is the mean
entity F1 over the data sets, minus a penalty for every point by which the list does harm: U-WER above the unbiased
search's, and on distractors (lists of words that sound like what was said but were not said) WER above the unbiased
search's plus what is allowed. For those of the search without a list it is the mean WER that is made small.
"""

import dataclasses
import functools
import random
from collections.abc import Callable, Mapping, Sequence

from pipeline.config import SWITCHES, RunConfig, override, without
from pipeline.errors import ConfigError
from pipeline.recognition.recogniser import Recogniser
from pipeline.tuning.evaluation import Evaluation, LabelledSet, evaluate, with_lists
from pipeline.types.entity import EMPTY

Values = dict[str, float]

SPACE: Mapping[str, tuple[float, ...]] = {
    "boosting.scale": (0.5, 0.6, 0.7, 0.8, 0.9, 1.0),
    "boosting.cap": (2.0, 3.0, 4.0, 6.0, 8.0),
    "boosting.max_gap": (5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 12.0),
    "boosting.entry": (0.0, 0.5, 1.0),
    "boosting.entry_scale": (0.0, 0.3, 0.6, 0.9),
    "boosting.entry_cap": (1.0, 2.0, 3.0, 4.0),
    "boosting.base": (-4.0, -2.0, 0.0, 2.0, 4.0, 6.0, 8.0),
    "boosting.per_character": (0.25, 0.4, 0.7, 1.0, 1.5, 2.0),
    "boosting.complete": (-6.0, -5.0, -4.0, -3.0, -2.0, -1.0, 0.0, 1.0, 2.0),
    "boost_class.weight": (-5.0, -4.5, -4.0, -3.5, -3.0, -2.5, -2.0, -1.5, -1.0),
    "boost_class.known": (-2.0, -1.0, -0.5, 0.0),
}
"""Values that are tried for each key of the configuration."""


@dataclasses.dataclass(frozen=True)
class Aim:
    """What is tuned: the values that are tried for each key, and whether lists are what it is about."""

    space: Mapping[str, tuple[float, ...]]
    lists: bool


BIASING = Aim(SPACE, lists=True)
UNBIASED = Aim(
    {
        "language_model.alpha": (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.4),
        "language_model.beta": (-1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0, 2.5),
        "phone_fusion.weight": (0.0, 0.2, 0.4, 0.6, 0.8, 1.0, 1.2, 1.5),
    },
    lists=False,
)
AIMS: Mapping[str, Aim] = {"biasing": BIASING, "search": UNBIASED}
_HARM = 10.0  # F1 lost per unit of WER above what is allowed: a point of WER outweighs ten points of F1
_EXPLORE = 0.4  # share of proposals that are drawn afresh


@dataclasses.dataclass(frozen=True)
class Distractors:
    """A data set with lists of words that were not said, and how much WER they may cost (a fraction)."""

    corpus: LabelledSet
    allowed: float


@dataclasses.dataclass(frozen=True)
class Trial:
    """One set of values with its scores on the tuning half."""

    values: Values
    objective: float
    evaluations: tuple[Evaluation, ...]
    distracted: Evaluation | None  # on the distractors


class Tuner:
    """Evaluates sets of values on data sets and distractors, all with the same base configuration and aim."""

    def __init__(
        self,
        config: RunConfig,
        corpora: Sequence[LabelledSet],
        distractors: Distractors | None = None,
        aim: Aim = BIASING,
    ) -> None:
        """Decode everything once without the lists; raises ConfigError or ModelError as Recogniser.load does.

        Raises ConfigError too if ``config`` has nothing that could be tuned.
        """
        plain = functools.reduce(without, SWITCHES, config)
        if not aim.lists:
            config, corpora = plain, [with_lists(corpus, lambda _: EMPTY) for corpus in corpora]
        self._config, self._corpora, self._distractors, self._aim = config, corpora, distractors, aim
        if not self._space():
            raise ConfigError("there is nothing to tune: language_model and phone_fusion are off in the configuration.")
        self.unbiased = self._trial({}, plain, ())

    def trial(self, values: Values) -> Trial:
        """Return the scores of ``values``."""
        return self._trial(values, configured(self._config, values), self.unbiased.evaluations)

    def _trial(self, values: Values, config: RunConfig, unbiased: Sequence[Evaluation]) -> Trial:
        transcriber = Recogniser.load(config, encodes=False).transcriber
        evaluations = tuple(evaluate(transcriber, corpus) for corpus in self._corpora)
        distractors = self._distractors
        distracted = None if distractors is None else evaluate(transcriber, distractors.corpus)
        if not self._aim.lists:
            return Trial(values, -sum(one.rate("wer") for one in evaluations) / len(evaluations), evaluations, None)
        objective = sum(one.rate("f1") for one in evaluations) / len(evaluations)
        for one, plain in zip(evaluations, unbiased, strict=False):
            objective -= _HARM * max(0.0, one.rate("u_wer") - plain.rate("u_wer"))
        if unbiased and distractors is not None and distracted is not None and self.unbiased.distracted is not None:
            over = distracted.rate("wer") - self.unbiased.distracted.rate("wer") - distractors.allowed
            objective -= _HARM * max(0.0, over)
        return Trial(values, objective, evaluations, distracted)

    def search(self, trials: int, seed: int, progress: Callable[[Trial], object]) -> list[Trial]:
        """Return ``trials`` trials, best first; the same seed proposes the same values for the same scores."""
        generator, found = random.Random(seed), list[Trial]()
        start = current(self._config, self._space())
        for number in range(trials):
            best = max(found, key=lambda one: one.objective, default=None)
            values = start if number == 0 else self._propose(generator, None if best is None else best.values)
            found.append(self.trial(values))
            progress(found[-1])
        return sorted(found, key=lambda one: -one.objective)

    def _space(self) -> Mapping[str, tuple[float, ...]]:
        """What can be tuned: weights of the language model only where there is one, and so on."""
        off = {"boost_class", "language_model"} if self._config.language_model is None else set()
        off |= {"phone_fusion"} if self._config.phone_fusion is None else set()
        return {key: options for key, options in self._aim.space.items() if key.split(".")[0] not in off}

    def _propose(self, generator: random.Random, best: Values | None) -> Values:
        space = self._space()
        if best is None or generator.random() < _EXPLORE:
            return {key: generator.choice(options) for key, options in space.items()}
        changed = generator.sample(sorted(space), min(2, len(space)))
        return best | {key: _neighbour(generator, space[key], best[key]) for key in changed}


def _neighbour(generator: random.Random, options: Sequence[float], value: float) -> float:
    """A value next to ``value`` among ``options``."""
    nearest = min(range(len(options)), key=lambda index: abs(options[index] - value))
    step = generator.choice((-1, 1))
    return options[min(len(options) - 1, max(0, nearest + step))]


def configured(config: RunConfig, values: Values) -> RunConfig:
    """Return ``config`` with dotted keys set."""
    nested: dict[str, dict[str, float]] = {}
    for key, value in values.items():
        section, name = key.split(".")
        nested.setdefault(section, {})[name] = value
    return override(config, nested)


def current(config: RunConfig, space: Mapping[str, tuple[float, ...]] = SPACE) -> Values:
    """The values of the keys of ``space`` in ``config``, defaults where a technique is off."""
    filled = override(config, {key.split(".")[0]: {} for key in space})
    return {key: float(getattr(getattr(filled, key.split(".")[0]), key.split(".")[1])) for key in space}
