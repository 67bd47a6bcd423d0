"""A policy at work on the utterances of a run."""

from collections.abc import Sequence
from pathlib import Path

from pipeline.config import PolicyConfig
from pipeline.errors import ConfigError
from pipeline.retrieval.context import ContextReader
from pipeline.retrieval.policy import Decision, check_explore, read_policy
from pipeline.types.emissions import Emissions


class Pilot:
    """Loaded once per worker; deterministic: a decision follows from policy, exploration, audio and model alone."""

    def __init__(self, config: PolicyConfig, reader: ContextReader) -> None:
        """Raises ConfigError without a policy or for an impossible exploration, InputError for a broken policy."""
        if config.path is None:
            raise ConfigError("policy.path names no file; needed is a policy.json that `rollcall learn` wrote.")
        check_explore(config.explore)
        self.policy, self._explore, self._reader = read_policy(Path(config.path)), config.explore, reader

    @property
    def identity(self) -> tuple[str, float]:
        """Version of the policy and share of exploration: equal ones decide alike."""
        return self.policy.version, self._explore

    def decisions(self, heard: Emissions, strategies: Sequence[str]) -> list[Decision]:
        """Return what each strategy does in an utterance, in their order.

        Raises ValueError for emissions that do not say of which audio they are.
        """
        if heard.whence is None:
            raise ValueError("a policy decides by the audio, and these emissions do not say of which they are")
        context, whence = self._reader.of(heard), heard.whence
        features = [self.policy.features(name, context, heard.tenant, whence.session) for name in strategies]
        pairs = zip(strategies, features, strict=True)
        return [self.policy.decide(name, one, whence, self._explore) for name, one in pairs]
