"""The presets, and what is switched off or on in them."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

from pipeline.config.config import (
    PARTS,
    SWITCHES,
    TECHNIQUES,
    AdapterConfig,
    BeamConfig,
    BoostClassConfig,
    BoostingConfig,
    CutConfig,
    G2gConfig,
    GuardConfig,
    HotwordsConfig,
    LexiconConfig,
    MemoryConfig,
    PolicyConfig,
    RescoringConfig,
    RunConfig,
    ShortlistConfig,
)
from pipeline.errors import ConfigError


def baseline() -> RunConfig:
    """Beam search with the LM and no biasing."""
    return RunConfig()


BOLD = BoostingConfig(
    scale=0.9, cap=6.0, max_gap=10.0, entry=1.0, entry_scale=0.9, entry_cap=2.0, base=6.0, complete=1.0,
    prune_log_prob=-12.0,
)  # fmt: skip
BOLD_CLASS = BoostClassConfig(weight=-2.0, known=0.0)
"""Boosting and boost class in front of the guard: the search goes far for a name, the phones decide. Alone they would
write hundreds of sound-alikes an hour, so ``unjudged`` takes them back where nothing judges."""


def joint() -> RunConfig:
    """The techniques that add up, behind the guard."""
    return RunConfig(
        adapter=AdapterConfig(optional=True),
        boosting=BOLD,
        boost_class=BOLD_CLASS,
        rescoring=RescoringConfig(),
        lexicon=LexiconConfig(),
        g2g=G2gConfig(),
        guard=GuardConfig(),
        shortlist=ShortlistConfig(),
        cut=CutConfig(),
    )


def _alone(technique: str) -> RunConfig:
    on: dict[str, Any] = {technique: PARTS[technique]()}
    return RunConfig(shortlist=ShortlistConfig(), **on)


def _hotwords() -> RunConfig:
    return RunConfig(beam=BeamConfig(decoder="pyctcdecode"), phone_fusion=None, hotwords=HotwordsConfig())


PRESETS: dict[str, Callable[[], RunConfig]] = {
    "baseline": baseline,
    "joint": joint,
    "hotwords": _hotwords,
} | {name: functools.partial(_alone, name) for name in TECHNIQUES if name != "hotwords"}
"""What ``--preset`` takes: the two that matter, and each technique alone on top of the baseline."""


def without(config: RunConfig, technique: str) -> RunConfig:
    """Return ``config`` with one of SWITCHES off; raises ConfigError for another name."""
    if technique not in SWITCHES:
        raise ConfigError(f"unknown technique '{technique}'; there are {list(SWITCHES)}.")
    off: dict[str, Any] = {technique: None}
    return unjudged(config) if technique == "guard" else dataclasses.replace(config, **off)


def unjudged(config: RunConfig) -> RunConfig:
    """Return ``config`` without its guard, and boosting and boost class back at the defaults where they are BOLD.

    So it also is where a model has no phone head for the guard to judge by.
    """
    boosting = _back(config.boosting, BOLD, BoostingConfig())
    boost_class = _back(config.boost_class, BOLD_CLASS, BoostClassConfig())
    return dataclasses.replace(config, boosting=boosting, boost_class=boost_class, guard=None)


def _back(current: Any, bold: Any, careful: Any) -> Any:
    """Return ``current`` with each value that is the one of ``bold`` replaced by that of ``careful``."""
    if current is None:
        return None
    names = [field.name for field in dataclasses.fields(current)]
    alike = {name: getattr(careful, name) for name in names if getattr(current, name) == getattr(bold, name)}
    return dataclasses.replace(current, **alike)


def with_memory(config: RunConfig, path: str) -> RunConfig:
    """Return ``config`` with the memory of a snapshot file; raises ConfigError where there is no shortlist."""
    if config.shortlist is None:
        raise ConfigError("--memory adds to the shortlist, which this configuration has not; use --preset joint.")
    return dataclasses.replace(config, memory=MemoryConfig(path))


def with_policy(config: RunConfig, path: str | None, explore: float | None) -> RunConfig:
    """Return ``config`` with the policy of a file, or with its own, and a share of exploration.

    None leaves what there is. Raises ConfigError where there is no shortlist, or nothing to explore with.
    """
    policy = (
        config.policy if path is None else PolicyConfig(path, 0.0 if config.policy is None else config.policy.explore)
    )
    if policy is None:
        if explore is not None:
            raise ConfigError("--explore looks wider than a policy would, and there is none; give --policy.")
        return config
    if config.shortlist is None:
        raise ConfigError("--policy decides about the shortlist, which this configuration has not; use --preset joint.")
    return dataclasses.replace(config, policy=policy if explore is None else PolicyConfig(policy.path, explore))


def at_most(config: RunConfig, false_accepts_per_hour: float) -> RunConfig:
    """Return ``config`` with the guard's rate set; raises ConfigError where there is no guard."""
    if config.guard is None:
        raise ConfigError("--max-false-accepts-per-hour sets the guard, which this preset has not; use --preset joint.")
    guard = dataclasses.replace(config.guard, max_false_accepts_per_hour=false_accepts_per_hour, bound=None)
    return dataclasses.replace(config, guard=guard)
