"""May a policy be published? Only if it is clearly no worse than the one before, on evidence that is large enough."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from pipeline.errors import ConfigError


@dataclasses.dataclass(frozen=True)
class PolicyGates:
    """What a policy must show.

    difference: least lower bound of the paired DR difference to the one before, in names per decision
    effective:  least effective sample, in decisions (an utterance and a strategy)
    """

    difference: float = -0.002
    effective: float = 200.0

    def __post_init__(self) -> None:
        if self.effective < 1:
            raise ConfigError(f"the gate of the effective sample must be at least 1, got {self.effective:g}.")


def objections(about: Mapping[str, Any], published: str | None, gates: PolicyGates) -> list[str]:
    """Return what speaks against a policy by what `rollcall learn` says of it; empty if nothing does.

    published: version of the policy that is published, None if there is none
    """
    try:
        against, low = about["against"], float(about["difference"]["low"])
        effective, replay = float(about["effective_sample"]), about["replay"]
        expected = float(about["gained"])
    except (KeyError, TypeError, ValueError):
        return ["it does not say what it is worth: `rollcall learn` writes that into the policies it makes"]
    found = []
    if against != published:
        found.append(
            f"it was held against {_policy(against)}, and published is {_policy(published)}; learn again with --against"
        )
    if not low >= gates.difference:
        found.append(
            f"the lower bound of its difference to {_policy(against)} is {low:+.4f} names per decision, "
            f"it must be at least {gates.difference:+.4f}"
        )
    if not effective >= gates.effective:
        found.append(f"its effective sample is {effective:,.0f} decisions, at least {gates.effective:,.0f} are needed")
    if replay is None:
        found.append("it was not replayed: no reviewed utterance was heard whole")
    elif not replay["difference"]["high"] >= expected:
        found.append(
            f"decoded again, it finds {replay['difference']['value']:+.4f} names per utterance "
            f"(at most {replay['difference']['high']:+.4f}), expected were {expected:+.4f}"
        )
    return found


def _policy(version: str | None) -> str:
    return "no policy" if version is None else f"policy {version}"
