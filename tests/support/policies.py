"""Small policies, and a shortlister that follows one."""

from pathlib import Path

from pipeline.config import PolicyConfig
from pipeline.retrieval.context import ContextReader
from pipeline.retrieval.pilot import Pilot
from pipeline.retrieval.policy import FEATURES, Model, Policy
from pipeline.retrieval.shortlist import Shortlister
from pipeline.retrieval.strategy import LEVELS
from tests.support.hearing import CONFIG, shortlister, sounds
from tests.support.inventory import CHARACTERS


def always(level: int, strategy: str = "phonetic", **slopes: float) -> Policy:
    """A policy that takes one level everywhere; ``slopes``: further weights of the gain of every level beyond it.

    Every level costs half a name; up to ``level`` each brings one, beyond it a third of one.
    """

    def row(one: float, **more: float) -> tuple[float, ...]:
        weights = {"one": one, **more}
        return tuple(weights.get(name, 0.0) for name in FEATURES)

    gain = tuple(row(0.0) if at <= level else row(-1.0, **slopes) for at in range(1, LEVELS + 1))
    return Policy({strategy: Model(gain, (row(0.0),) * LEVELS)}, price=0.5)


def written(policy: Policy, folder: Path) -> Path:
    """Write policy.json into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "policy.json"
    path.write_bytes(policy.to_json())
    return path


def piloted(path: Path, explore: float = 0.0) -> Shortlister:
    """The shortlister of tests.support.hearing, following a policy."""
    assert CONFIG.shortlist is not None
    reader = ContextReader(CONFIG.shortlist, sounds().pronouncer, CHARACTERS)
    return Shortlister(shortlister().strategies, Pilot(PolicyConfig(str(path), explore), reader))
