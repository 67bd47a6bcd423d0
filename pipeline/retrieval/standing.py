"""How the entities of a shortlist stand in an utterance: how likely each was said, by itself, and where.

The log odds are those of pipeline.retrieval.ranked, whatever the strategies were that found the entities, so they mean
the same on a list of a hundred and on a catalog of a million. They say of an entity what can be known without the
unbiased transcript, and of a shortlist how many others fit as well, by chance or because they sound alike.
"""

import dataclasses
import functools
from collections.abc import Mapping, Sequence

import numpy as np

from pipeline.config import ShortlistConfig
from pipeline.lexicon.pronunciation import Pronouncer
from pipeline.retrieval.phonetic import Phonetic
from pipeline.retrieval.ranked import ALONE, best_pronunciations, in_place, log_odds
from pipeline.retrieval.spelling_index import build_spellings, subword_gaps
from pipeline.types.emissions import Emissions, on_clock
from pipeline.types.entity import EntityList
from pipeline.types.tokens import Tokens

_REMEMBERED = 1 << 16  # spellings of which the subwords are remembered


@dataclasses.dataclass(frozen=True)
class Standing:
    """Of one entity: the log odds that it was said, and the phone frame where its spelling ends that fits best."""

    odds: float
    end: int


class Standings:
    """Loaded once per worker; deterministic."""

    def __init__(self, pronouncer: Pronouncer, tokens: Tokens) -> None:
        encoder = functools.lru_cache(maxsize=_REMEMBERED)(tokens.encoder)
        self._phonetic = Phonetic(ShortlistConfig(), pronouncer, keep=1)
        self._tokens = dataclasses.replace(tokens, encoder=encoder)

    def of(self, heard: Emissions, entities: EntityList, weights: Sequence[float]) -> Mapping[str, Standing]:
        """Return the places of those of ``entities`` that the phones allow, by name; ``weights``: of FEATURES."""
        if heard.phone_log_probs is None or not len(entities):
            return {}
        index = self._phonetic.compile(entities)
        best = best_pronunciations(self._phonetic.matching(heard.phone_log_probs, index), index)
        spellings = build_spellings(entities.entities, self._tokens)
        gaps = subword_gaps(heard.tokens, len(self._tokens.pieces))
        said = spellings.spelled(gaps, best.entities, self._tokens.blank)
        alone, others = weights[: len(ALONE)], weights[len(ALONE) :]
        odds = log_odds(alone, best.costs, best.phones, said.costs, said.subwords, said.letters)
        odds = in_place(odds, others, heard, self._tokens, self._phonetic, index, best, said)
        names = [entities.entities[at].text for at in best.entities.tolist()]
        ends = [on_clock((end, end), heard.phone_rate)[1] for end in said.ends.tolist()]
        places = zip(np.round(odds, 4).tolist(), ends, strict=True)
        return {name: Standing(*place) for name, place in zip(names, places, strict=True)}
