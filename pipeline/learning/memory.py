"""MEMORY rows from observations: how often each entity was said where a phone string was heard.

The probability that what sounds so is the entity has the prior Beta(1/2, 1/2) (Jeffreys), which says nothing, and after
``accepted`` and ``rejected`` observations the posterior

    Beta(1/2 + accepted + predicted, 1/2 + rejected),      bounds: its quantiles at 10% and 90%

Observations of a form count for forms of the same entity that differ in little, as no name is heard twice the same.
With the threshold 0.25 of config.MemoryConfig one confirmation is enough (lower bound 0.35), one for and one against
is not (0.16), two for and one against are (0.31).

``predicted``: the recogniser's own confusions (pipeline.lexicon.confusions) respell every name that was said; how the
spellings sound are forms that it may be heard in next. One with probability p stands for TRUST * p confirmations, less
one for every observation of it: what is observed takes the place of what is predicted.
"""

import dataclasses
from collections import Counter
from collections.abc import Container, Iterator, Mapping, Sequence
from typing import Any

from pipeline.learning.beta import quantile
from pipeline.learning.observed import Observation
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


def memory_rows(observations: Sequence[Observation], predictor: Predictor) -> list[Row]:
    """Return MEMORY rows, in the order of tenant, entity and form."""
    by_name: dict[tuple[str, str], list[Observation]] = {}
    for one in observations:
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
