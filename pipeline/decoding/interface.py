"""What every decoder takes and returns."""

from typing import Protocol

from pipeline.types.emissions import SparseLogProbs
from pipeline.types.entity import EntityList
from pipeline.types.hypothesis import Hypothesis


class Decoder(Protocol):
    """Loaded once per worker; deterministic; an empty list gives exactly the unbiased output."""

    def decode(self, emissions: SparseLogProbs, entities: EntityList, judged: bool = False) -> list[Hypothesis]:
        """Return the n-best hypotheses, best first, never an empty list (silence is one with no words).

        judged: whether the guard will judge the entities found, so that the search may go further for them
        """
        ...
