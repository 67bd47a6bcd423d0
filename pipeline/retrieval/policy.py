"""The policy: how wide each strategy looks in an utterance, off or one of LEVELS nested levels.

A level is a threshold on what the strategy goes by, never a number of entities: what a level finds, every wider one
finds too (Strategy.at). For each strategy and level j the policy holds two log-linear models of features x_j: how many
names that were said level j brings beyond level j - 1, and how many candidates. A level is worth

    value(l) = sum over j <= l of  exp(gain_j . x_j) - price * exp(cost_j . x_j)

and the greedy level is the best one, the lower of equals. No feature depends on the list, or an edit of it would flip
decisions everywhere.

Without exploration the greedy level is taken. With the share E of exploration, a wider level l > g is drawn with
probability E * softmax(value(l) / temperature), the softmax over the levels above g, but the widest with at least
FLOOR. So draws only add candidates, and since levels nest, what a level would have found is known wherever at least
that level was drawn: with probability ``at_least``, which is what learning divides by. The draw is a hash of the
policy's version, the audio, the model and the strategy, so a run is the same on any number of workers and after any
resume.
"""

import dataclasses
import functools
import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.config.fingerprint import fingerprint
from pipeline.errors import ConfigError, InputError
from pipeline.retrieval.context import CONTEXT, Context
from pipeline.retrieval.strategy import DEFAULT, LEVELS
from pipeline.types.emissions import Whence

FORMAT = 1
SURE: tuple[float, ...] = tuple(1.0 if level <= DEFAULT else 0.0 for level in range(LEVELS + 1))
"""Probabilities of drawing at least each level where a strategy is as it is configured."""
FLOOR = 0.02
"""Least chance of the widest level where levels are drawn: no name that it alone finds counts more than 50 times."""
FEATURES = (*CONTEXT, "background", "background_more", "tenant_names", "tenant_candidates", "session_names")
"""Of a strategy at a level. ``background``: ln(1 + entries of a fixed catalog that the level finds), and of those
beyond the level below (pipeline.retrieval.context). ``tenant``, ``session``: log of how many names were accepted in an
utterance there, and how many candidates it had at the default level, against all that the policy was learnt from."""
_DOUBT = 4.0  # utterances that the history of a tenant or session must outweigh
MOST = 8.0  # of an exponent: more candidates than any list has
_BITS = 53  # of a hash, so that a float holds them

Vector = tuple[float, ...]
Count = tuple[float, float, float]
"""Utterances, names that were accepted in them, candidates that they had at the default level."""
Counts = Mapping[str, Count]
"""By ``key_of`` a tenant or session; ``""`` are all together."""


@dataclasses.dataclass(frozen=True)
class Model:
    """Of one strategy: the weights of FEATURES for each level, 1 to LEVELS, and what reviews said of its past.

    tenants, sessions: what reviewers accepted there of what the strategy found
    """

    gain: tuple[Vector, ...]
    cost: tuple[Vector, ...]
    tenants: Counts = dataclasses.field(default_factory=dict)
    sessions: Counts = dataclasses.field(default_factory=dict)

    def content(self) -> dict[str, Any]:
        """Return it JSON-like."""
        return {
            "gain": [list(row) for row in self.gain],
            "cost": [list(row) for row in self.cost],
            "tenants": {name: list(count) for name, count in sorted(self.tenants.items())},
            "sessions": {name: list(count) for name, count in sorted(self.sessions.items())},
        }


@dataclasses.dataclass(frozen=True)
class Decision:
    """What one strategy does in one utterance.

    features: [LEVELS] of FEATURES
    at_least: [LEVELS + 1] probability of drawing at least each level
    """

    strategy: str
    policy: str
    features: tuple[Vector, ...]
    greedy: int
    level: int
    at_least: Vector


@dataclasses.dataclass(frozen=True)
class Policy:
    """What POLICY/policy.json says; strategies without a model stay at their default level.

    price:       names that one candidate more must bring
    temperature: in names; how much exploration prefers what looks best
    about:       where it is from; decides nothing, so it is no part of the version
    """

    models: Mapping[str, Model]
    price: float
    temperature: float = 0.1
    about: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def content(self) -> dict[str, Any]:
        """Return what decides, JSON-like."""
        return {
            "format": FORMAT,
            "features": list(FEATURES),
            "price": self.price,
            "temperature": self.temperature,
            "strategies": {name: model.content() for name, model in sorted(self.models.items())},
        }

    @functools.cached_property
    def version(self) -> str:
        """The hash of what decides."""
        return fingerprint(self.content())

    def to_json(self) -> bytes:
        """Return the bytes of policy.json."""
        content = self.content() | {"version": self.version, "about": self.about}
        return (json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()

    def features(
        self, strategy: str, context: Context, tenant: str | None, session: str | None
    ) -> tuple[Vector, ...]:  # fmt: skip
        """Return [LEVELS] of FEATURES of a strategy."""
        model = self.models.get(strategy)
        return features_of(context, *history(model, tenant, session))

    def values(self, strategy: str, features: Sequence[Vector]) -> Vector:
        """Return [LEVELS + 1] what each level is worth, in names; off is worth nothing."""
        model, worth = self.models[strategy], [0.0]
        for x, gain, cost in zip(features, model.gain, model.cost, strict=True):
            worth.append(worth[-1] + _exp(gain, x) - self.price * _exp(cost, x))
        return tuple(worth)

    def greedy(self, strategy: str, features: Sequence[Vector]) -> int:
        """Return the level that is worth most, the lower of equals; the default one without a model."""
        if strategy not in self.models:
            return DEFAULT
        worth = self.values(strategy, features)
        return max(range(LEVELS + 1), key=lambda level: (round(worth[level], 9), -level))

    def decide(self, strategy: str, features: tuple[Vector, ...], whence: Whence, explore: float) -> Decision:
        """Return what a strategy does in an utterance; ``explore``: 0, or from FLOOR to 1."""
        greedy = self.greedy(strategy, features)
        if strategy not in self.models:
            return Decision(strategy, self.version, features, greedy, greedy, SURE)
        worth = self.values(strategy, features)
        at_least = chances(worth, greedy, explore, self.temperature)
        point = draw(self.version, whence.audio_sha256, whence.model_id, strategy)
        return Decision(strategy, self.version, features, greedy, drawn_level(at_least, point), at_least)


def drawn_level(at_least: Sequence[float], point: float) -> int:
    """Return the level that is drawn at a ``point`` of [0, 1): the widest that is more probable than it."""
    return max(level for level in range(LEVELS + 1) if point < at_least[level])


def chances(worth: Sequence[float], greedy: int, explore: float, temperature: float) -> Vector:
    """Return the probabilities of drawing at least each level; see the module's text for the formula."""
    wider = range(greedy + 1, len(worth))
    single = [0.0] * len(worth)
    if explore > 0 and wider:
        best = max(worth[level] for level in wider)
        weights = {level: math.exp((worth[level] - best) / temperature) for level in wider}
        whole = math.fsum(weights.values())
        for level in wider:
            single[level] = explore * weights[level] / whole
        if single[-1] < FLOOR:
            others = explore - single[-1]
            for level in wider:
                single[level] *= (explore - FLOOR) / others if others > 0 else 0.0
            single[-1] = FLOOR
    return tuple(1.0 if level <= greedy else math.fsum(single[level:]) for level in range(len(worth)))


def draw(version: str, audio: str, model: str, strategy: str) -> float:
    """Return a number from 0 to below 1 that follows from these four and looks like chance."""
    digest = hashlib.sha256("\0".join((version, audio, model, strategy)).encode()).digest()
    return (int.from_bytes(digest[:8], "big") >> (64 - _BITS)) / float(1 << _BITS)


def key_of(name: str) -> str:
    """Return what a tenant or a session stands under in a policy: a policy tells nobody whose names it has seen."""
    return hashlib.sha256(name.encode()).hexdigest()[:16]


def features_of(context: Context, *past: float) -> tuple[Vector, ...]:
    """Return [LEVELS] of FEATURES; ``past``: as ``history`` has it."""
    below = (0.0, *context.background[:-1])
    pairs = zip(context.background, below, strict=True)
    return tuple((*context.values, _log(now), _log(now - before), *past) for now, before in pairs)


def history(
    model: Model | None, tenant: str | None, session: str | None, less: Count = (0.0, 0.0, 0.0)
) -> tuple[float, float, float]:
    """Return names and candidates of an utterance of the tenant, and names of one of the session, against all.

    As logarithms; 0 where nothing is known. less: the utterance's own, which must not speak for itself where a policy
    is learnt.
    """
    if model is None:
        return 0.0, 0.0, 0.0
    return (
        _against_all(model.tenants, tenant, 1, less),
        _against_all(model.tenants, tenant, 2, less),
        _against_all(model.sessions, session, 1, less),
    )


def _against_all(counts: Counts, name: str | None, which: int, less: Count) -> float:
    known, every = counts.get(key_of(name)) if name else None, counts.get("")
    if known is None or every is None or every[0] <= 0 or every[which] <= 0:
        return 0.0
    mean = every[which] / every[0]
    utterances, count = known[0] - min(less[0], known[0]), known[which] - min(less[which], known[which])
    return round(math.log((count + _DOUBT * mean) / ((utterances + _DOUBT) * mean)), 4)


def _log(count: float) -> float:
    return round(math.log1p(max(0.0, count)), 4)


def _exp(weights: Vector, values: Vector) -> float:
    return math.exp(min(MOST, math.fsum(weight * value for weight, value in zip(weights, values, strict=True))))


def check_explore(explore: float) -> None:
    """Raise ConfigError for a share of exploration that cannot be."""
    if explore != 0 and not FLOOR <= explore <= 1:
        raise ConfigError(
            f"--explore must be 0 or from {FLOOR:g} to 1, got {explore:g}: the widest level is drawn with a chance of "
            f"at least {FLOOR:g}."
        )


def read_policy(path: Path) -> Policy:
    """Read policy.json; raises InputError, naming what is wrong, if it is none or not of this version's features."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: is no policy ({error!r}); `rollcall learn` writes one.") from error
    return policy_in(content, str(path))


def policy_in(content: bytes, name: str) -> Policy:
    """Return the policy of a file's content; raises InputError, naming the file, as ``read_policy`` does."""
    try:
        return policy_of(json.loads(content))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{name}: is no policy ({error!r}); `rollcall learn` writes one.") from error


def policy_of(content: Mapping[str, Any]) -> Policy:
    """Return the policy of what policy.json says; raises KeyError, TypeError or ValueError for what is none."""
    if content["format"] != FORMAT or tuple(content["features"]) != FEATURES:
        raise ValueError(f"format {content['format']} with features {content['features']}; needed is {FORMAT} with "
                         f"{list(FEATURES)}: learn it anew with this version")  # fmt: skip
    models = {
        name: Model(_rows(one["gain"]), _rows(one["cost"]), _counts(one["tenants"]), _counts(one["sessions"]))
        for name, one in content["strategies"].items()
    }
    policy = Policy(models, _number(content["price"]), _number(content["temperature"]), content.get("about", {}))
    if policy.temperature <= 0 or policy.price < 0:
        raise ValueError(f"price {policy.price} and temperature {policy.temperature}; needed are 0 or more and above 0")
    if content.get("version", policy.version) != policy.version:
        raise ValueError(f"it says version {content['version']} and is {policy.version}: it was changed by hand")
    return policy


def _rows(content: Any) -> tuple[Vector, ...]:
    rows = tuple(tuple(_number(value) for value in row) for row in content)
    if len(rows) != LEVELS or {len(row) for row in rows} != {len(FEATURES)}:
        raise ValueError(f"weights of the shape {[len(row) for row in rows]}; needed is {LEVELS} times {len(FEATURES)}")
    return rows


def _number(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"{value!r} is no number")
    return number


def _counts(content: Mapping[str, Any]) -> dict[str, Count]:
    return {str(name): (_number(one), _number(two), _number(three)) for name, (one, two, three) in content.items()}
