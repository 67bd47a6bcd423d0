"""MEMORY rows from observations: how often each entity was said where a phone string was heard.

The probability that what sounds so is the entity has the prior Beta(1/2, 1/2) (Jeffreys), which says nothing, and after
``accepted`` and ``rejected`` observations the posterior

    Beta(1/2 + accepted + predicted, 1/2 + rejected),      bounds: its quantiles at 10% and 90%

Observations of a form count for forms of the same entity that differ in little, as no name is heard twice the same.
With the threshold 0.25 of config.MemoryConfig one confirmation is enough (lower bound 0.35), one for and one against
is not (0.16), two for and one against are (0.31).

Utterances that were heard whole say more than what was judged in them: where a form is heard and the name was not
said, that is a rejection too. So no form outlives that is heard in any sentence.

``predicted``: the recogniser's own confusions (pipeline.lexicon.confusions) respell every name that was said; how the
spellings sound are forms that it may be heard in next. One with probability p stands for TRUST * p confirmations, less
one for every observation of it: what is observed takes the place of what is predicted.
"""

import dataclasses
import functools
from collections import Counter
from collections.abc import Container, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.learning.beta import quantile
from pipeline.learning.observed import Observation, Whole
from pipeline.lexicon.confusions import Table, respell
from pipeline.lexicon.phone_index import distances_between
from pipeline.lexicon.phones import Pronunciation, phone_ids
from pipeline.lexicon.pronunciation import Pronouncer

PRIOR = 0.5
QUANTILE = 0.1  # of the bounds: 80% of the posterior lies between them
ALIKE = 0.1
"""Weighted edit distance per phone up to which forms of an entity count together: a tenth is one near phone of five."""
TRUST = 2.0
"""Confirmations that a sure prediction stands for. A guess that has half the odds is then as good as one."""
_SPELLINGS, _LEAST = 8, 0.02  # of each name; rarer ones stand for less than a twentieth of a confirmation
Row = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Predictor:
    """Respells names as the recogniser would; deterministic."""

    table: Table
    pronouncer: Pronouncer

    def forms(self, entity: str) -> dict[Pronunciation, float]:
        """Return forms that the entity's own pronunciations are not, and how likely each is."""
        own, found = set(self.pronouncer.pronounce(entity)), dict[Pronunciation, float]()
        for text, probability in respell(entity, self.table, _SPELLINGS, _LEAST):
            for phones in self.pronouncer.pronounce(text)[:1]:
                if phones not in own:
                    found[phones] = min(1.0, found.get(phones, 0.0) + probability)
        return found


def heard_elsewhere(observations: Sequence[Observation], wholes: Sequence[Whole]) -> list[Observation]:
    """Return where utterances that were heard whole have a form of a name that was not said there.

    Each form counts once in an utterance, and only where the name was not said in any of the words.
    """
    forms: dict[str, list[tuple[str, Pronunciation]]] = {}
    for one in sorted({(one.tenant, one.entity, one.phones) for one in observations if one.said}):
        forms.setdefault(one[0], []).append(one[1:])
    found = []
    for tenant, known in forms.items():
        ids = [phone_ids(phones) for _, phones in known]
        near = functools.cache(lambda phones, ids=ids: _near(phones, ids))
        for whole in (one for one in wholes if one.tenant == tenant):
            there = {
                at
                for first, last, phones in whole.spans
                for at in (near(phones) if phones else ())
                if not any(name == known[at][0] and a < last and first < b for name, a, b in whole.said)
            }
            found += [Observation(tenant, *known[at], False) for at in sorted(there)]
    return found


def _near(phones: Pronunciation, forms: Sequence[npt.NDArray[np.int64]]) -> tuple[int, ...]:
    """Return which of ``forms`` differ from ``phones`` in little."""
    return tuple(np.flatnonzero(distances_between(phone_ids(phones), forms, ALIKE) <= ALIKE).tolist())


def memory_rows(observations: Sequence[Observation], predictor: Predictor, wholes: Sequence[Whole] = ()) -> list[Row]:
    """Return MEMORY rows, in the order of tenant, entity and form; ``wholes``: utterances that were heard whole."""
    by_name: dict[tuple[str, str], list[Observation]] = {}
    for one in (*observations, *heard_elsewhere(observations, wholes)):
        by_name.setdefault((one.tenant, one.entity), []).append(one)
    rows = []
    for (tenant, entity), found in sorted(by_name.items()):
        predicted = predictor.forms(entity) if any(one.said for one in found) else {}
        rows += [{"tenant": tenant, "entity": entity, **row} for row in _forms(found, predicted)]
    return rows


def _forms(found: Sequence[Observation], predicted: Mapping[Pronunciation, float]) -> Iterator[Row]:
    counts = {said: Counter(one.phones for one in found if one.said is said) for said in (True, False)}
    for phones in sorted({*counts[True], *counts[False], *predicted}):
        accepted, rejected = (_alike(phones, counts[said]) for said in (True, False))
        guess = predicted.get(phones)
        pseudo = 0.0 if guess is None else max(0.0, TRUST * guess - accepted - rejected)
        a, b = PRIOR + accepted + pseudo, PRIOR + rejected
        yield {
            "heard": " ".join(phones),
            "accepted": counts[True][phones],
            "rejected": counts[False][phones],
            "predicted": None if guess is None else round(guess, 5),
            "lower": round(quantile(QUANTILE, a, b), 6),
            "upper": round(quantile(1.0 - QUANTILE, a, b), 6),
        }


def _alike(phones: Pronunciation, counts: Mapping[Pronunciation, int]) -> int:
    """Return how often the form, or one that differs in little, was counted."""
    near = distances_between(phone_ids(phones), [phone_ids(one) for one in counts], ALIKE)
    return sum(count for count, distance in zip(counts.values(), near.tolist(), strict=True) if distance <= ALIKE)


def purged(rows: Sequence[Row], kept: Container[str]) -> list[Row]:
    """Return the rows whose entity is one of ``kept``: canonical forms and aliases of the lists that are in use."""
    return [row for row in rows if row["entity"] in kept]
