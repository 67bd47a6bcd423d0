"""``privacy.yaml``: which mechanism draws words, how much they may tell, and what a release may spend."""

import dataclasses
import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any

from pipeline.errors import ConfigError

GROUPED, TRUNCATED_GUMBEL, TEM, LAPLACE, REDACT = MECHANISMS = (
    "grouped", "truncated_gumbel", "tem", "laplace", "redact",
)  # fmt: skip
NEAREST, KARY, DISTANCE = WITHIN = ("nearest", "kary", "distance")
SKIPPED, OUTPUTS = 200, 1000
"""Where no group is told, words 201 to 1,200 of the vocabulary can come out, which begins with the commonest. The first
200 ("the", "would") say little of what a text is about; if all 20,000 can come out, most that does by chance is rare.
Either costs accuracy at the same epsilon (benchmarks/results/privacy.md)."""
HIT = 0.75
"""How often one of the nearest comes out then. With less there are fewer of them, nearer ones, more seldom."""
PRIORS = ("none", "kde")
CLASSES = ("given", "family", "city", "medicine", "number", "date", "letter", "email", "phone")
"""What names are replaced as, and what is said of them in a release."""
_SHAPED = (GROUPED, TEM, LAPLACE)


@dataclasses.dataclass(frozen=True)
class Truncate:
    """Keeps only words within ``distance`` of the word, or its ``neighbours`` nearest, itself included."""

    distance: float | None = None
    neighbours: int | None = None


@dataclasses.dataclass(frozen=True)
class Budget:
    """What all releases below one output folder may spend together, in epsilon; None for no limit."""

    speaker: float | None = None
    recording: float | None = None


@dataclasses.dataclass(frozen=True)
class PrivacyConfig:
    """What a private export does.

    epsilon:    of one word; for tem, laplace and truncated_gumbel per unit of distance
    within:     grouped only. nearest: one of the commonest words, near ones rather, and no group is told; kary: the
                word itself or any other of its public group alike; distance: near ones of the group rather. None:
                nearest, and kary where a prior or a truncation is given
    prior:      kde: words of dense regions are likelier (a Gaussian kernel of ``bandwidth``, in units of distance)
    truncate:   what is left of the words that can come out; None for all. It has no finite epsilon
    embeddings: .npz of your own; None for those that are shipped
    tags:       (tag of your list, what its entities are replaced by: one of CLASSES or person); a mapping in YAML
    budget:     what a speaker and a recording may spend
    """

    mechanism: str = GROUPED
    epsilon: float = 3.0
    within: str | None = None
    prior: str = "none"
    bandwidth: float = 2.0
    truncate: Truncate | None = None
    embeddings: str | None = None
    tags: tuple[tuple[str, str], ...] = ()
    budget: Budget = Budget()

    def __post_init__(self) -> None:
        _one_of("mechanism", self.mechanism, MECHANISMS)
        if self.within is not None:
            _one_of("within", self.within, WITHIN)
        _one_of("prior", self.prior, PRIORS)
        for tag, kind in self.tags:
            _one_of(f"tags.{tag}", kind, (*CLASSES, "person"))
        positive = {"epsilon": self.epsilon, "bandwidth": self.bandwidth}
        positive |= {f"budget.{name}": value for name, value in dataclasses.asdict(self.budget).items()}
        positive |= {
            f"truncate.{name}": value for name, value in dataclasses.asdict(self.truncate or Truncate()).items()
        }
        for name, value in positive.items():
            if value is not None and not 0 < value < float("inf"):
                raise ConfigError(f"privacy '{name}' must be above 0 and finite, got {value!r}.")
        if self.mechanism not in _SHAPED and (self.prior != "none" or self.truncate is not None):
            raise ConfigError(f"privacy 'prior' and 'truncate' are for {list(_SHAPED)}, not for {self.mechanism}.")
        if self.within == NEAREST and not self._may_be_nearest:
            raise ConfigError(
                f"privacy 'within: {NEAREST}' is for {GROUPED} without 'prior' and 'truncate'; with them take "
                f"'within: {KARY}' or '{DISTANCE}'."
            )
        if self.truncate is not None and (self.truncate.distance is None) == (self.truncate.neighbours is None):
            raise ConfigError("privacy 'truncate' must have one of 'distance' and 'neighbours'.")

    @property
    def _may_be_nearest(self) -> bool:
        return self.mechanism == GROUPED and self.prior == "none" and self.truncate is None

    @property
    def inside(self) -> str:
        """``within``, or what it is where none is given; other mechanisms than grouped do not look at it."""
        return self.within or (NEAREST if self._may_be_nearest else KARY)

    @property
    def is_nearest(self) -> bool:
        """Whether no group is told."""
        return self.mechanism == GROUPED and self.inside == NEAREST

    @property
    def parameters(self) -> str:
        """All that decides a word's probabilities beside the embeddings, as text; epsilon to its last digit."""
        names = ("mechanism", "epsilon", "prior", "bandwidth")
        facts = {name: getattr(self, name) for name in names} | {"within": self.inside}
        facts |= {"outputs": [SKIPPED, OUTPUTS], "hit": HIT} if self.is_nearest else {}
        return json.dumps(facts | {"truncate": self.truncate and dataclasses.asdict(self.truncate)}, sort_keys=True)


def _one_of(name: str, value: object, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ConfigError(f"privacy '{name}' must be one of {list(known)}, got {value!r}.")


def fingerprint(config: PrivacyConfig, *more: str) -> str:
    """Return 16 hex digits of everything that decides what a release says, and of ``more``."""
    facts = [config.parameters, json.dumps(sorted(config.tags)), *more]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]


_PARTS: dict[str, Callable[..., Truncate | Budget]] = {"truncate": Truncate, "budget": Budget}


def from_values(values: object) -> PrivacyConfig:
    """Return the configuration of a YAML file's content; ``{}`` or nothing is the defaults. Raises ConfigError."""
    found = _checked(values if values is not None else {}, PrivacyConfig, "")
    for name, kind in _PARTS.items():
        if found.get(name) == "none":
            found[name] = None
        if found.get(name) is not None:
            inner = _checked(found[name], kind, f"{name}.")
            found[name] = kind(**{key: _number(f"{name}.{key}", value) for key, value in inner.items()})
    if found.get("budget", True) is None:
        del found["budget"]
    for name in ("epsilon", "bandwidth"):
        if name in found:
            found[name] = float(_number(name, found[name]))
    if not isinstance(found.get("embeddings"), str | None):
        raise ConfigError(f"privacy 'embeddings' must be a path, got {found['embeddings']!r}.")
    if not isinstance(found.get("tags", {}), Mapping):
        raise ConfigError(f"privacy 'tags' must be a mapping of tags to {list(CLASSES)}, got {found['tags']!r}.")
    found["tags"] = tuple(sorted((str(tag), kind) for tag, kind in found.get("tags", {}).items()))
    return PrivacyConfig(**found)


def _checked(values: object, kind: Callable[..., Any], prefix: str) -> dict[str, Any]:
    known = [field.name for field in dataclasses.fields(kind)]  # type: ignore[arg-type]
    if not isinstance(values, Mapping):
        raise ConfigError(
            f"privacy '{prefix.rstrip('.') or 'file'}' must be a mapping of keys to values, got {values!r}."
        )
    unknown = [key for key in values if key not in known]
    if unknown:
        raise ConfigError(f"unknown privacy key '{prefix}{unknown[0]}'; there are {known}.")
    return dict(values)


def _number(name: str, value: object) -> float | int:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ConfigError(f"privacy '{name}' must be a number, got {value!r}.")
    if name == "truncate.neighbours" and not isinstance(value, int):
        raise ConfigError(f"privacy '{name}' must be a whole number, got {value!r}.")
    return value
