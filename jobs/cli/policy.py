"""The options of a policy, which the commands that transcribe share."""

import argparse
from pathlib import Path

from pipeline import config as configuration
from pipeline.config import RunConfig
from pipeline.retrieval.policy import check_explore, read_policy


def add_policy(parser: argparse.ArgumentParser, default: str) -> None:
    """Add ``--policy`` and ``--explore``; ``default``: what holds without them."""
    parser.add_argument(
        "--policy",
        metavar="FILE",
        help=f"how wide each strategy of the shortlist looks: a policy of rollcall learn (default: {default})",
    )
    parser.add_argument(
        "--explore",
        type=float,
        metavar="P",
        help="chance with which a strategy looks wider than the policy would, so that rollcall learn can tell what "
        "that is worth; 0, or from 0.02 to 1 (default: 0)",
    )


def with_policy(config: RunConfig, policy: str | None, explore: float | None) -> RunConfig:
    """Return ``config`` with the policy that was asked for, read once so that what is wrong is said before any work.

    Raises ConfigError or InputError.
    """
    config = configuration.with_policy(config, policy, explore)
    if config.policy is not None and config.policy.path is not None:
        check_explore(config.policy.explore)
        read_policy(Path(config.policy.path))
    return config
