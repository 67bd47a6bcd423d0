"""What was clear earlier in a recording speaks to the guard too (pipeline.retrieval.session)."""

from pipeline.config import SessionConfig
from pipeline.rescoring.aligned import Fit
from pipeline.rescoring.proposals import Proposal
from pipeline.rescoring.scene import Scene


class SessionOdds:
    """Moves the guard's log odds. Deterministic."""

    def __init__(self, config: SessionConfig) -> None:
        self._config = config

    def of(self, scene: Scene, proposal: Proposal, fit: Fit) -> float:
        """Return the nats that are added to the log odds of a proposal: something if all its names were clear."""
        names = {span.entity for span in proposal.spans}
        return self._config.believed if names and names <= set(scene.heard.earlier) else 0.0
