"""The phones around the beam search: what it searches (D5), and what becomes of its n-best (fusion, D3, D4)."""

from collections.abc import Callable, Sequence
from pathlib import Path

from pipeline.acoustic.loading import load_tokens
from pipeline.config import RunConfig
from pipeline.decoding.language_model import read_words
from pipeline.lexicon.pronunciation import MODELS, ListPronouncer, Pronouncer
from pipeline.rescoring.evidence import Evidence, Scene, Vector
from pipeline.rescoring.fusion import PhoneFusion
from pipeline.rescoring.guard import Guard, guarded
from pipeline.rescoring.lookup import LexiconLookup
from pipeline.rescoring.phone_rescoring import Rescorer
from pipeline.rescoring.proposals import Proposal, differences
from pipeline.rescoring.variants import SpellingVariants
from pipeline.types.emissions import Emissions
from pipeline.types.entity import EMPTY, EntityList
from pipeline.types.hypothesis import Hypothesis
from pipeline.types.tokens import Tokens


class PhoneticPass:
    """Loaded once per worker; deterministic. Techniques that the configuration has off do nothing."""

    def __init__(
        self, config: RunConfig, models: Path = MODELS, cache: Path | None = None, tokens: Tokens | None = None
    ) -> None:
        """``cache``: a folder where pronunciations of lists are kept; ``tokens``: the model's, if they are loaded.

        Raises ModelError for missing models.
        """
        self.pronouncer = pronouncer = Pronouncer(models)
        lists = ListPronouncer(pronouncer, cache)
        known = known_words(config, pronouncer)
        self._guard, self.n_best = _guard(config, tokens, pronouncer, lists), config.beam.n_best
        self._fusion = PhoneFusion(config.phone_fusion, pronouncer, lists) if config.phone_fusion else None
        self._rescorer = Rescorer(config.rescoring, pronouncer, lists) if config.rescoring else None
        self._lookup = LexiconLookup(config.lexicon, pronouncer, lists, known) if config.lexicon else None
        self._variants = SpellingVariants(config.g2g, pronouncer, known) if config.g2g else None

    @property
    def compares(self) -> bool:
        """Whether ``finish`` needs to know what the unbiased search finds."""
        return self._guard is not None

    def searched(self, entities: EntityList) -> EntityList:
        """Return what the beam search should be given: the list, with spelling variants as aliases if D5 is on."""
        return self._variants.expand(entities) if self._variants else entities

    def finish(
        self,
        hypotheses: Sequence[Hypothesis],
        emissions: Emissions,
        entities: EntityList,
        unbiased: Sequence[Hypothesis] | None = None,
    ) -> list[Hypothesis]:
        """Return the final n-best, best first. ``entities`` is the user's list; an empty one leaves only fusion.

        ``unbiased`` is what the search finds without a list; needed where ``compares`` says so, else the biased
        hypotheses are all there is to choose from.
        """
        found = self._ordered(hypotheses, emissions, entities)
        if not entities.entities:
            return found
        if self._guard and unbiased:
            plain = self._fused(unbiased, emissions)
            scene, proposals = self._proposed(plain[0], found, emissions, entities)
            return plain if scene is None else guarded(self._guard, plain, found, scene, proposals, entities)
        if self._lookup:
            found = _distinct(self._lookup.apply(found, emissions, entities))
        return found

    def measured(
        self,
        hypotheses: Sequence[Hypothesis],
        emissions: Emissions,
        entities: EntityList,
        unbiased: Sequence[Hypothesis],
    ) -> tuple[Hypothesis, list[tuple[Proposal, Vector]]]:
        """Return the unbiased hypothesis and every proposal with its evidence: what the guard is fitted on."""
        found, plain = self._ordered(hypotheses, emissions, entities), self._fused(unbiased, emissions)
        scene, proposals = self._proposed(plain[0], found, emissions, entities)
        if self._guard is None or scene is None:
            return plain[0], []
        measured = self._guard.evidence.measure(scene, proposals)
        return plain[0], [(one, features) for one, (features, _) in zip(proposals, measured, strict=True)]

    def _ordered(
        self, hypotheses: Sequence[Hypothesis], emissions: Emissions, entities: EntityList
    ) -> list[Hypothesis]:
        found = list(hypotheses)
        if self._variants and entities.entities:
            found = _distinct([self._variants.canonical(hypothesis, entities) for hypothesis in found])
        found = self._fused(found, emissions, entities)
        return self._rescorer.rescore(found, emissions, entities) if self._rescorer and entities.entities else found

    def _fused(
        self, hypotheses: Sequence[Hypothesis], emissions: Emissions, entities: EntityList = EMPTY
    ) -> list[Hypothesis]:
        fused = self._fusion.fuse(hypotheses, emissions, entities) if self._fusion else list(hypotheses)
        return fused[: self.n_best]

    def _proposed(
        self, unbiased: Hypothesis, biased: Sequence[Hypothesis], emissions: Emissions, entities: EntityList
    ) -> tuple[Scene | None, list[Proposal]]:
        """Every place where the best biased hypothesis or the lookup would write an entity that is not there."""
        scene = self._guard.evidence.scene(unbiased, emissions, entities) if self._guard else None
        if scene is None:
            return None, []
        proposals = differences(unbiased, biased[0])
        if self._lookup:
            searched = {(one.first, one.last, one.text) for one in proposals}
            looked_up = self._lookup.propose(scene.aligned, entities, emissions.attended)
            proposals += [one for one in looked_up if (one.first, one.last, one.text) not in searched]
        return scene, proposals


def build_phonetics(config: RunConfig, cache: Path | None = None, tokens: Tokens | None = None) -> PhoneticPass | None:
    """Return the pass, or None if every technique of it is off. Raises ModelError for missing models."""
    used = (config.phone_fusion, config.rescoring, config.lexicon, config.g2g, config.guard)
    return None if all(part is None for part in used) else PhoneticPass(config, cache=cache, tokens=tokens)


def _guard(config: RunConfig, tokens: Tokens | None, pronouncer: Pronouncer, lists: ListPronouncer) -> Guard | None:
    if config.guard is None:
        return None
    tokens = tokens or load_tokens(config.acoustic)
    evidence = Evidence(config.guard, tokens, config.language_model, pronouncer, lists)
    return Guard(config.guard, evidence, adapted=config.adapter is not None)


def known_words(config: RunConfig, pronouncer: Pronouncer) -> Callable[[str], bool]:
    """Whether the language model's word list has a word; CMUdict's where there is no such list."""
    if config.language_model is None or config.language_model.unigrams is None:
        return pronouncer.knows
    return frozenset(read_words(Path(config.language_model.unigrams))).__contains__


def _distinct(hypotheses: Sequence[Hypothesis]) -> list[Hypothesis]:
    """Each text once, where it stands first."""
    first: dict[str, Hypothesis] = {}
    for hypothesis in hypotheses:
        first.setdefault(hypothesis.text, hypothesis)
    return list(first.values())
