"""The rescoring stage: what the beam search is given, and what becomes of its n-best.

    list  -> expand by every technique                                  -> beam search
    n-best -> order by every technique -> with a guard: what it doubts is taken out of the unbiased transcript, every
                                          technique proposes, the guard judges
                                       -> without one: every technique corrects

TECHNIQUES names them all, in the order in which they work. A new one is a class in a file of its own, a part of the
configuration and a line there.
"""

import dataclasses
from collections.abc import Sequence

from pipeline.census import step
from pipeline.config import PhoneFusionConfig, RunConfig
from pipeline.rescoring.doubts import Doubt, Doubts, undone
from pipeline.rescoring.evidence import Evidence, Vector
from pipeline.rescoring.fusion import PhoneFusion
from pipeline.rescoring.guard import Guard, guarded
from pipeline.rescoring.lookup import LexiconLookup
from pipeline.rescoring.phone_rescoring import PhoneRescoring
from pipeline.rescoring.proposals import Proposal, differences
from pipeline.rescoring.remembered import MemoryOdds, MemoryProposals
from pipeline.rescoring.scene import Scene
from pipeline.rescoring.session import SessionOdds
from pipeline.rescoring.technique import Sounds, Technique
from pipeline.rescoring.variants import SpellingVariants
from pipeline.rescoring.vocabulary import HeardWords, Vocabulary
from pipeline.types.emissions import Emissions
from pipeline.types.entity import EMPTY, EntityList
from pipeline.types.hypothesis import Hypothesis
from pipeline.types.tokens import Tokens

TECHNIQUES: tuple[type[Technique], ...] = (
    SpellingVariants, PhoneFusion, HeardWords, PhoneRescoring, LexiconLookup, MemoryProposals,
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Weighed:
    """What a guard made of one utterance: the log odds of each proposal, and which are believed, by ``bound``.

    doubts: the log odds of names that the search wrote without the list; those in ``undone`` are below ``doubted`` and
        taken out, so they are not in ``unbiased``
    """

    unbiased: Hypothesis
    odds: list[tuple[Proposal, float]]
    chosen: list[Proposal]
    bound: float
    doubts: list[tuple[Doubt, float]] = dataclasses.field(default_factory=list)
    undone: list[Doubt] = dataclasses.field(default_factory=list)
    doubted: float = 0.0


class RescoringStage:
    """Loaded once per worker; deterministic. Techniques that the configuration has off are not there."""

    def __init__(
        self, techniques: Sequence[Technique], guard: Guard | None = None, doubts: Doubts | None = None
    ) -> None:
        """``doubts``: finds what the guard may doubt; None: nothing is."""
        self._techniques, self._guard, self._doubts = tuple(techniques), guard, doubts

    @property
    def compares(self) -> bool:
        """Whether ``finish`` needs to know what the unbiased search finds."""
        return self._guard is not None

    def expand(self, entities: EntityList) -> EntityList:
        """Return what the beam search should be given for the list."""
        for technique in self._techniques:
            entities = technique.expand(entities)
        return entities

    def finish(
        self,
        nbest: Sequence[Hypothesis],
        emissions: Emissions,
        entities: EntityList,
        unbiased: Sequence[Hypothesis] | None = None,
        size_class: int = 0,
    ) -> list[Hypothesis]:
        """Return the final n-best, best first. ``entities`` is the user's list; an empty one leaves only fusion.

        ``unbiased`` is what the search finds without a list; needed where ``compares`` says so, else the biased
        hypotheses are all there is to choose from. ``size_class``: of the list that ``entities`` was chosen from, see
        Shortlister.size_class.
        """
        found = self._ordered(nbest, emissions, entities)
        if not entities.entities:
            return found
        if self._guard and unbiased:
            plain = self._ordered(unbiased, emissions, EMPTY)
            if self._doubts is not None:
                with step("doubted") as kept:
                    undo = self._guard.undo(self._weigh_doubts(self._guard, plain, emissions, entities, size_class))
                    plain, kept.kept = undone(plain, undo), len(undo)
            scene, proposals = self._proposed(self._guard, plain[0], found, emissions, entities, size_class)
            return plain if scene is None else guarded(self._guard, plain, found, scene, proposals, entities)
        for technique in self._techniques:
            found = technique.correct(found, emissions, entities)
        return found

    def measured(
        self, nbest: Sequence[Hypothesis], emissions: Emissions, entities: EntityList, unbiased: Sequence[Hypothesis],
        size_class: int = 0,
    ) -> tuple[Hypothesis, list[tuple[Proposal, Vector]]]:  # fmt: skip
        """Return the unbiased hypothesis and every proposal with its evidence: what the guard is fitted on."""
        found, plain = self._ordered(nbest, emissions, entities), self._ordered(unbiased, emissions, EMPTY)
        if self._guard is None:
            return plain[0], []
        scene, proposals = self._proposed(self._guard, plain[0], found, emissions, entities, size_class)
        if scene is None:
            return plain[0], []
        measured = self._guard.measure(scene, proposals)
        return plain[0], [(one, features) for one, (features, _) in zip(proposals, measured, strict=True)]

    def weighed_doubts(
        self, emissions: Emissions, entities: EntityList, unbiased: Sequence[Hypothesis], size_class: int = 0
    ) -> tuple[Hypothesis, list[tuple[Doubt, float]]]:
        """Return the unbiased hypothesis and the log odds of every name in it that the guard may doubt."""
        plain = self._ordered(unbiased, emissions, EMPTY)
        if self._guard is None:
            return plain[0], []
        return plain[0], self._weigh_doubts(self._guard, plain, emissions, entities, size_class)

    def weighed(
        self, nbest: Sequence[Hypothesis], emissions: Emissions, entities: EntityList, unbiased: Sequence[Hypothesis],
        size_class: int = 0,
    ) -> Weighed | None:  # fmt: skip
        """Return what the guard made of every proposal; None without a guard or without phones to judge by."""
        found, plain = self._ordered(nbest, emissions, entities), self._ordered(unbiased, emissions, EMPTY)
        if self._guard is None:
            return None
        guard = self._guard
        doubts = self._weigh_doubts(guard, plain, emissions, entities, size_class)
        undo = guard.undo(doubts)
        plain = undone(plain, undo)
        scene, proposals = self._proposed(guard, plain[0], found, emissions, entities, size_class)
        if scene is None:
            return None
        weighed = guard.weigh(scene, proposals)
        odds = [(one, value) for one, value, _ in weighed]
        return Weighed(plain[0], odds, guard.decide(plain[0], weighed), guard.bound, doubts, undo, guard.doubted)

    def _weigh_doubts(
        self, guard: Guard, plain: Sequence[Hypothesis], emissions: Emissions, entities: EntityList, size_class: int
    ) -> list[tuple[Doubt, float]]:
        if self._doubts is None:
            return []
        return guard.weigh_doubts(self._doubts.of(plain, emissions, entities), emissions, entities, size_class)

    def _ordered(self, nbest: Sequence[Hypothesis], emissions: Emissions, entities: EntityList) -> list[Hypothesis]:
        for technique in self._techniques:
            nbest = technique.order(nbest, emissions, entities)
        return list(nbest)

    def _proposed(
        self, guard: Guard, unbiased: Hypothesis, biased: Sequence[Hypothesis], emissions: Emissions,
        entities: EntityList, size_class: int,
    ) -> tuple[Scene | None, list[Proposal]]:  # fmt: skip
        """Every place where the best biased hypothesis or a technique would write an entity that is not there."""
        with step("proposed") as kept:
            scene, proposals = guard.evidence.scene(unbiased, emissions, entities, size_class), list[Proposal]()
            if scene is not None:
                proposals = differences(unbiased, biased[0])
                for technique in self._techniques:
                    there = {(one.first, one.last, one.text) for one in proposals}
                    found = technique.propose(scene, entities, emissions)
                    proposals += [one for one in found if (one.first, one.last, one.text) not in there]
            kept.kept = len(proposals)
        return scene, proposals


NO_TECHNIQUES = RescoringStage(())
"""The stage that leaves everything as the search found it."""


def build_stage(config: RunConfig, tokens: Tokens, sounds: Sounds) -> RescoringStage:
    """Return the stage with what ``config`` turns on. Raises ModelError for missing files, ConfigError for the guard's.

    tokens: of the acoustic model, by which the guard compares spellings
    """
    techniques = [kind.build(config, sounds) for kind in TECHNIQUES if getattr(config, kind.part) is not None]
    if config.guard is None:
        return RescoringStage(techniques)
    evidence = Evidence(config.guard, tokens, config.language_model, sounds.pronouncer, sounds.lists)
    movers = [] if config.memory is None else [MemoryOdds(config.memory).of]
    movers += [] if config.session is None else [SessionOdds(config.session).of]
    guard = Guard(config.guard, evidence, config.adapter is not None, movers)
    return RescoringStage(
        techniques, guard, _doubts(config, tokens, sounds, techniques) if config.guard.doubts else None
    )


def _doubts(config: RunConfig, tokens: Tokens, sounds: Sounds, techniques: Sequence[Technique]) -> Doubts:
    """Return what finds doubts, with the vocabulary of a technique that has one."""
    known = [one.vocabulary for one in techniques if isinstance(one, HeardWords) and one.vocabulary is not None]

    def vocabulary() -> Vocabulary:
        return known[0] if known else Vocabulary(config.language_model, tokens, sounds.pronouncer)

    fusion = config.phone_fusion or PhoneFusionConfig()
    return Doubts(vocabulary, sounds.pronouncer, fusion.weight, fusion.floor)


def is_used(config: RunConfig) -> bool:
    """Whether any part of ``config`` needs the stage."""
    return config.guard is not None or any(getattr(config, kind.part) is not None for kind in TECHNIQUES)
