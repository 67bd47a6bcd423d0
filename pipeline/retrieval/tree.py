"""The strategy ``tree``: as ``ranked``, but only names that a learned tree leads to are looked at.

What was heard is cut into windows of one to four words of the first pass (pipeline.retrieval.windows). Each goes down
the tree (pipeline.retrieval.tree_model) as a beam of ``beam`` nodes, and names in the leaves that it ends in go on if
the cosine of their phones' features and the window's is at least ``fit``. Of these, those are found that reach the
bound of ``ranked`` by the same log odds.

The partition is the same for every list, so which leaves a window ends in, and so whether a name is found, never
depends on the others. What the tree misses is not found: it trades recall for time, on lists where looking at all
names takes long.
"""

from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt

from pipeline.config import CutConfig, RunConfig, SessionConfig, ShortlistConfig, TreeConfig
from pipeline.entities.catalog import Catalog
from pipeline.lexicon.pronunciation import Pronouncer
from pipeline.retrieval.catalog import open_tree
from pipeline.retrieval.kept import Kept
from pipeline.retrieval.phonetic import Fitting, Phonetic, Slots
from pipeline.retrieval.ranked import Best, Ranked, best_pronunciations
from pipeline.retrieval.sound_index import SoundIndex
from pipeline.retrieval.tree_model import TreeIndex, index_tree, read_tree
from pipeline.retrieval.windows import heard_windows
from pipeline.types.emissions import Emissions
from pipeline.types.entity import Entity, EntityList
from pipeline.types.tokens import Tokens


class Tree(Ranked):
    """Loaded once per worker; deterministic. Takes the place of ``ranked``."""

    name = "tree"
    part = "tree"

    def __init__(
        self,
        config: CutConfig,
        phonetic: Phonetic,
        tokens: Tokens,
        session: SessionConfig | None = None,
        tree: TreeConfig | None = None,
    ) -> None:
        super().__init__(config, phonetic, tokens, session)
        self._tree = tree or TreeConfig()
        self._model = read_tree(Path(self._tree.weights))
        self._indexed = Kept[TreeIndex](1)

    @classmethod
    def build(cls, config: RunConfig, pronouncer: Pronouncer, tokens: Tokens) -> Self:
        assert config.cut is not None  # preflight asks for one
        phonetic = Phonetic(config.shortlist or ShortlistConfig(), pronouncer, keep=4)
        return cls(config.cut, phonetic, tokens, config.session, config.tree)

    def _fitting(
        self, heard: Emissions, phone_log_probs: npt.NDArray[np.float16], entities: EntityList, index: SoundIndex
    ) -> Fitting:
        windows, slots = heard_windows(heard, self._tokens), self._phonetic.slots(phone_log_probs)
        if not len(windows):
            return self._phonetic.laid(slots, index, np.zeros(0, np.int32))
        pairs = self._model.search(windows, self._tree.beam, self._tree.slack)
        found = self._index(entities, index).fitting(index, self._model, windows, pairs, self._tree.fit)
        return self._phonetic.laid(slots, index, found)

    def _found(
        self, heard: Emissions, phone_log_probs: npt.NDArray[np.float16], entities: EntityList, index: SoundIndex,
        slots: Slots, gaps: npt.NDArray[np.float32], least: npt.NDArray[np.float32], bound: float,
        clear: npt.NDArray[np.uint8],
    ) -> Best:  # fmt: skip
        return best_pronunciations(self._fitting(heard, phone_log_probs, entities, index), index)

    def reason(self, heard: Emissions, entity: Entity, size: int) -> str | None:
        log_probs = heard.phone_log_probs
        if log_probs is None or not self.size_class(size):
            return None
        alone = EntityList((entity,))
        index = self._phonetic.compile(alone)
        fits = len(self._phonetic.matching(log_probs, index).pronunciations)
        if fits and not len(self._fitting(heard, log_probs, alone, index).pronunciations):
            return "it fits, but the tree does not lead to it"
        return super().reason(heard, entity, size)

    def _index(self, entities: EntityList, index: SoundIndex) -> TreeIndex:
        def build() -> TreeIndex:
            found = open_tree(entities, Path(self._tree.weights)) if isinstance(entities, Catalog) else None
            return index_tree(index, self._model) if found is None else found

        return self._indexed.of(entities, build)
