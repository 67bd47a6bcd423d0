"""The strategy ``ranked``: of a large list, the entities that were probably said, by phones and subwords together.

An entity that ``phonetic`` finds is found here if the log odds that it was said are at least

    bound + per_doubling * (k - 18)        in a list of 2^k entities, k rounded

The log odds are a linear model (``weights``) of what the best pronunciation costs in phones, what the best spelling
costs in subwords, both also per phone and letter and up to a cap, the numbers of phones, letters and subwords, and of
how the entity lies among the words of the first pass (pipeline.retrieval.placed). It was fitted on lists of about 2^18
names. In a list twice as large twice as many fit by chance, so the bound rises.

With a session, what was clear earlier in the recording is added to them (pipeline.retrieval.session).

The best pronunciation of an entity, if it has more than six phones, must have a block of them
(pipeline.retrieval.sound_index) that is clearly heard: wherever it is cheapest it costs at most a share of what
``phonetic`` allows a block on average. The share is ``heard``, and ``heard_per_doubling`` less in lists twice as large.
Names that were said have such a block. Of a million others hardly any has, so the rest is never looked at.

What cannot reach the bound is mostly never looked at (pipeline.retrieval.reach); that only saves time.

Membership follows from the entity, the audio and the power of two of the list's size, never from which other entities
are on it: one more name takes the place of none. With a session it follows from what was clear earlier, too.
"""

import copy
import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt

from pipeline.census import step
from pipeline.config import CutConfig, RunConfig, SessionConfig, ShortlistConfig
from pipeline.entities.catalog import Catalog
from pipeline.errors import ModelError
from pipeline.lexicon.pronunciation import Pronouncer
from pipeline.retrieval.block_costs import clear_steps, clearly_heard
from pipeline.retrieval.block_entries import entries_of
from pipeline.retrieval.catalog import open_blocks, open_spelling
from pipeline.retrieval.kept import Kept
from pipeline.retrieval.phonetic import Fitting, Phonetic, Slots
from pipeline.retrieval.placed import PLACED, placed
from pipeline.retrieval.reach import MOST_COST, MOST_SPELLING, Reach, least_costs, most_placed, reaching
from pipeline.retrieval.session import Earlier
from pipeline.retrieval.sound_index import SoundIndex
from pipeline.retrieval.spelling_index import Spelled, SpellingIndex, build_spellings, subword_gaps
from pipeline.retrieval.strategy import DEFAULT, Strategy
from pipeline.types.emissions import Emissions
from pipeline.types.entity import Entity, EntityList
from pipeline.types.tokens import Tokens

ALONE = (
    "one", "cost", "phones", "spelling", "letters", "subwords", "cost_per_phone", "spelling_per_letter",
    "spelling_capped", "cost_capped",
)  # fmt: skip
"""What can be known of an entity without what the first pass writes."""
FEATURES = (*ALONE, *PLACED)
_LEVELS = (2.0, 1.0, 0.0, -1.0)
"""What is added to the bound of the log odds at each level (Strategy.at)."""
_FITTED_AT = 18  # power of two of the lists that the weights were fitted on
_PER_PHONE = 1.2  # of several pronunciations that with the least cost minus this for each phone speaks for an entity
_MANY = 20_000  # pronunciations; of fewer all are laid in less time than it takes to learn which need not be


def size_class(entities: int) -> int:
    """Return the power of two that is nearest to the size of a list."""
    return round(math.log2(max(1, entities)))


def rise(config: CutConfig, size: int) -> float:
    """Return what a list of ``size`` adds to the bound of log odds that are for one of 2^18."""
    return config.per_doubling * (size_class(size) - _FITTED_AT)


class Ranked(Strategy):
    """Loaded once per worker; deterministic. Finds nothing of small lists, which ``phonetic`` hands on whole."""

    name = "ranked"
    part = "cut"
    pointwise = True

    def __init__(
        self, config: CutConfig, phonetic: Phonetic, tokens: Tokens, session: SessionConfig | None = None
    ) -> None:
        self._config, self._phonetic, self._tokens, self._session = config, phonetic, tokens, session
        self._size: int | None = None  # of the list that the lists to come are a part of; None: they are whole
        self.weights = read_weights(Path(config.weights))
        self._spelled = Kept[SpellingIndex](1)
        self._reach = Kept[Reach](1)

    @classmethod
    def build(cls, config: RunConfig, pronouncer: Pronouncer, tokens: Tokens) -> Self:
        assert config.cut is not None
        phonetic = Phonetic(config.shortlist or ShortlistConfig(), pronouncer, keep=4)
        return cls(config.cut, phonetic, tokens, config.session)

    def sized(self, size: int) -> "Ranked":
        sized = copy.copy(self)
        sized._size = size
        return sized

    def at(self, level: int) -> "Ranked":
        if level == DEFAULT:
            return self
        other = copy.copy(self)
        other._config = dataclasses.replace(self._config, bound=self._config.bound + _LEVELS[level - 1])
        return other

    def kind_of_size(self, size: int) -> int:
        return self.size_class(size)

    def can_say(self, heard: Emissions, size: int) -> bool:
        return heard.phone_log_probs is not None and (self._size or size) > self._config.above

    def size_class(self, size: int) -> int:
        return size_class(size) if size > self._config.above else 0

    def select(self, heard: Emissions, entities: EntityList) -> npt.NDArray[np.int32] | None:
        """Return the indices, ascending, of the entities that were probably said; None for small lists and without
        phones."""
        size = self._size_of(entities)
        if heard.phone_log_probs is None or not self.can_say(heard, size):
            return None
        bound = self._bound(size)
        if self._session is not None and heard.earlier:
            chosen = self._in_session(self._session, heard, heard.phone_log_probs, entities, bound)
        else:
            found, odds = self._judged(heard, heard.phone_log_probs, entities, bound)
            chosen = found[odds >= bound]
        return np.union1d(chosen, self._phonetic.compile(entities).silent).astype(np.int32)

    def clear(self, heard: Emissions, entities: EntityList, text: str) -> tuple[str, ...]:
        """Return the names of the entities that fit clearly and that stand in ``text``, the unbiased transcript.

        Nothing without a session, phones, or a large list.
        """
        size = self._size_of(entities)
        if self._session is None or heard.phone_log_probs is None or not self.can_say(heard, size):
            return ()
        bound = self._session.clear + self._rise(size)
        found, odds = self._judged(heard, heard.phone_log_probs, entities, bound)
        text = f" {text} "
        fitting = entities.at(found[odds >= bound].tolist())
        return tuple(entity.text for entity in fitting if any(f" {one} " in text for one in _spelled(entity)))

    def measured(self, heard: Emissions, entities: EntityList) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float64]]:
        """Return every entity that the phones allow, and its FEATURES, [E, len(FEATURES)]; none without phones."""
        if heard.phone_log_probs is None:
            return np.zeros(0, np.int32), np.zeros((0, len(FEATURES)))
        index = self._phonetic.compile(entities)
        best = best_pronunciations(self._fitting(heard, heard.phone_log_probs, entities, index), index)
        said = self._spellings(entities).spelled(self._gaps(heard), best.entities, self._tokens.blank)
        columns = _columns(best.costs, best.phones, said.costs, said.subwords, said.letters)
        columns += placed(heard, self._tokens, said, self._phonetic, index, best.pronunciations)
        return best.entities, np.stack(columns, axis=1)

    def _in_session(
        self, session: SessionConfig, heard: Emissions, phone_log_probs: npt.NDArray[np.float16],
        entities: EntityList, bound: float,
    ) -> npt.NDArray[np.int32]:  # fmt: skip
        """Return the entities that reach ``bound`` by themselves, or with what was clear earlier."""
        most = max(session.again, session.related, 0.0)
        found, odds = self._judged(heard, phone_log_probs, entities, bound - most)
        near = np.flatnonzero((odds < bound) & (odds >= bound - most))
        gains = Earlier.of(heard.earlier, entities).gains(entities.at(found[near].tolist()), session)
        helped = near[odds[near] + gains >= bound]
        with step("session") as kept:
            kept.kept = len(helped)
        return np.union1d(found[odds >= bound], found[helped])

    def _judged(
        self, heard: Emissions, phone_log_probs: npt.NDArray[np.float16], entities: EntityList, bound: float
    ) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float64]]:
        """Return the entities, ascending, that could reach ``bound``, and their log odds."""
        index = self._phonetic.compile(entities)
        gaps, spellings = self._gaps(heard), self._spellings(entities)
        least, weights = least_costs(gaps), self._named_weights
        slots, clear = self._phonetic.slots(phone_log_probs), self._clear_steps(entities, index)
        best = self._found(heard, phone_log_probs, entities, index, slots, gaps, least, bound, clear)
        near = reaching(best.entities, best.costs, best.phones, spellings, weights, least, bound)
        best = best.only(near)
        said = spellings.spelled(gaps, best.entities, self._tokens.blank)
        alone, others, most = self.weights[: len(ALONE)], self.weights[len(ALONE) :], most_placed(weights)
        odds = log_odds(alone, best.costs, best.phones, said.costs, said.subwords, said.letters)
        near = odds + most >= bound
        best, said, odds = best.only(near), said.only(near), odds[near]
        near = clearly_heard(index, slots, best.pronunciations, clear)
        best, said, odds = best.only(near), said.only(near), odds[near]
        return best.entities, in_place(odds, others, heard, self._tokens, self._phonetic, index, best, said)

    def _gaps(self, heard: Emissions) -> npt.NDArray[np.float32]:
        return subword_gaps(heard.tokens, len(self._tokens.pieces))

    def _found(
        self, heard: Emissions, phone_log_probs: npt.NDArray[np.float16], entities: EntityList, index: SoundIndex,
        slots: Slots, gaps: npt.NDArray[np.float32], least: npt.NDArray[np.float32], bound: float,
        clear: npt.NDArray[np.uint8],
    ) -> "Best":  # fmt: skip
        """Return the entities that fit and could reach ``bound``, and others; ``gaps``: of subword_gaps, ``least``: of
        least_costs, ``clear``: of clear_steps."""
        if len(index.lengths) <= _MANY or not len(phone_log_probs):
            return best_pronunciations(self._fitting(heard, phone_log_probs, entities, index), index)
        reach = self._reach.of(entities, lambda: self._reach_of(entities, index))
        reached = reach.entities(slots, least, self._phonetic.limits(index.longest), bound, clear)
        near, costs = self._phonetic.within(slots, index, reached.pronunciations, reached.limits)
        found, odds = reach.by_phones(reached, near, costs)
        found = found[reach.by_spelling(gaps, least, self._tokens.blank, found, odds, bound)]
        best = best_pronunciations(self._phonetic.laid(slots, index, reach.pronunciations(found)), index)
        return best.only(np.isin(best.entities, found))  # of others not all pronunciations were laid

    def _reach_of(self, entities: EntityList, index: SoundIndex) -> Reach:
        spellings = self._spellings(entities)
        blocks = open_blocks(entities, self._tokens) if isinstance(entities, Catalog) else None
        entries = entries_of(index, spellings) if blocks is None else blocks
        return Reach(index, entries, spellings, self._named_weights)

    def _clear_steps(self, entities: EntityList, index: SoundIndex) -> npt.NDArray[np.uint8]:
        doublings = size_class(self._size_of(entities)) - _FITTED_AT
        share = self._config.heard - self._config.heard_per_doubling * doublings
        return clear_steps(max(0.0, share), self._phonetic.limits(index.longest))

    @property
    def _named_weights(self) -> dict[str, float]:
        return dict(zip(FEATURES, self.weights, strict=True))

    def _fitting(
        self, heard: Emissions, phone_log_probs: npt.NDArray[np.float16], entities: EntityList, index: SoundIndex
    ) -> Fitting:
        """Return what of the list is looked at more closely."""
        return self._phonetic.matching(phone_log_probs, index)

    def reason(self, heard: Emissions, entity: Entity, size: int) -> str | None:
        if heard.phone_log_probs is None or not self.size_class(size):
            return None
        alone = EntityList((entity,))
        _, odds = self.sized(size)._judged(heard, heard.phone_log_probs, alone, -math.inf)
        if not len(odds) and len(self._phonetic.matching(heard.phone_log_probs, self._phonetic.compile(alone)).costs):
            return "it fits, but no five or six of its phones that follow each other are heard clearly enough"
        if not len(odds):
            return self._phonetic.reason(heard, entity, 1)
        if self._session is not None and heard.earlier:
            odds = odds + Earlier.of(heard.earlier, EntityList((entity,))).gains((entity,), self._session)
        return f"it has log odds {odds[0]:.1f}, a list of {size:,} asks for {self._bound(size):.1f}"

    def _size_of(self, entities: EntityList) -> int:
        return len(entities) if self._size is None else self._size

    def _bound(self, size: int) -> float:
        return self._config.bound + self._rise(size)

    def _rise(self, size: int) -> float:
        return rise(self._config, size)

    def _spellings(self, entities: EntityList) -> SpellingIndex:
        return self._spelled.of(entities, lambda: self._spell(entities))

    def _spell(self, entities: EntityList) -> SpellingIndex:
        found = open_spelling(entities, self._tokens) if isinstance(entities, Catalog) else None
        return build_spellings(entities.entities, self._tokens) if found is None else found


def _spelled(entity: Entity) -> tuple[str, ...]:
    return (entity.text, *entity.aliases)


def log_odds(
    weights: Sequence[float],
    costs: npt.NDArray[np.float32],
    phones: npt.NDArray[np.int64],
    spelling: npt.NDArray[np.float32],
    subwords: npt.NDArray[np.int64],
    letters: npt.NDArray[np.int64],
) -> npt.NDArray[np.float64]:
    """Return [E] the log odds that each entity was said, on a list of 2^18, from what its best forms cost.

    weights: of ALONE
    """
    odds = np.zeros(len(costs))
    for weight, column in zip(weights, _columns(costs, phones, spelling, subwords, letters), strict=True):
        odds += weight * column
    return odds


def in_place(
    odds: npt.NDArray[np.float64], weights: Sequence[float], heard: Emissions, tokens: Tokens, phonetic: Phonetic,
    index: SoundIndex, best: "Best", said: Spelled,
) -> npt.NDArray[np.float64]:  # fmt: skip
    """Return ``odds`` [E] of ``log_odds`` with where each entity lies; ``weights``: of PLACED."""
    if not any(weights):
        return odds
    columns = placed(heard, tokens, said, phonetic, index, best.pronunciations)
    for weight, column in zip(weights, columns, strict=True):
        odds = odds + weight * column
    return odds


def _columns(
    costs: npt.NDArray[np.float32], phones: npt.NDArray[np.int64], spelling: npt.NDArray[np.float32],
    subwords: npt.NDArray[np.int64], letters: npt.NDArray[np.int64],
) -> tuple[npt.NDArray[np.float64 | np.float32 | np.int64], ...]:  # fmt: skip
    """Return ALONE, [E] each."""
    return (
        np.ones(len(costs)), costs, phones, spelling, letters, subwords, costs / phones, spelling / letters,
        np.minimum(spelling, MOST_SPELLING), np.minimum(costs, MOST_COST),
    )  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Best:
    """Entities that fit, ascending, with the pronunciation that speaks for each.

    pronunciations: [E] of the index; costs, phones: [E] in nats, and how many
    """

    entities: npt.NDArray[np.int32]
    pronunciations: npt.NDArray[np.int32]
    costs: npt.NDArray[np.float32]
    phones: npt.NDArray[np.int64]

    def only(self, kept: npt.NDArray[np.bool_]) -> Self:
        """Return those of ``kept`` [E]."""
        return type(self)(self.entities[kept], self.pronunciations[kept], self.costs[kept], self.phones[kept])


def best_pronunciations(fitting: Fitting, index: SoundIndex) -> Best:
    """Return the entities that fit, each by one pronunciation."""
    which, owners = index.owned(fitting.pronunciations)
    costs = fitting.costs[which]
    phones = index.lengths[fitting.pronunciations][which].astype(np.int64)
    order = np.lexsort((which, costs - _PER_PHONE * phones, owners))
    found, first = np.unique(owners[order], return_index=True)
    return Best(found, fitting.pronunciations[which][order][first], costs[order][first], phones[order][first])


def read_weights(path: Path) -> tuple[float, ...]:
    """Read the weights of FEATURES; raises ModelError if the file is missing or broken."""
    try:
        return weights_of(json.loads(path.read_text(encoding="utf-8"))["weights"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{path}: no weights of a cut ({error!r}); restore it from git.") from error


def weights_of(content: Mapping[str, float]) -> tuple[float, ...]:
    """Return the weights of FEATURES by their names; raises KeyError, TypeError or ValueError for what is none.

    Weights from before PLACED have none of them: they count nothing then.
    """
    named = dict.fromkeys(PLACED, 0.0) | dict(content)
    return tuple(float(named[name]) for name in FEATURES)
