"""The phones around the beam search: what it searches (D5), and what becomes of its n-best (fusion, D3, D4)."""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from pipeline.acoustic.emissions import Emissions
from pipeline.config import RunConfig
from pipeline.decoding.interface import Hypothesis
from pipeline.decoding.language_model import read_words
from pipeline.decoding.ngram import read_ngrams
from pipeline.entities.catalog import EntityList
from pipeline.phonetics.fusion import PhoneFusion
from pipeline.phonetics.g2g import SpellingVariants
from pipeline.phonetics.guard import Guard
from pipeline.phonetics.lookup import LexiconLookup
from pipeline.phonetics.pronunciation import MODELS, ListPronouncer, Pronouncer
from pipeline.phonetics.rescoring import Rescorer

_MARKS = ("<s>", "</s>", "<unk>", "<UNK>")


class PhoneticPass:
    """Loaded once per worker; deterministic. Techniques that the configuration has off do nothing."""

    def __init__(self, config: RunConfig, models: Path = MODELS, cache: Path | None = None) -> None:
        """``cache``: a folder where pronunciations of lists are kept. Raises ModelError for missing models."""
        self.pronouncer = pronouncer = Pronouncer(models)
        lists = ListPronouncer(pronouncer, cache)
        known = known_words(config, pronouncer)
        guard = (
            Guard(config.guard, pronouncer, lists, common_words(config, config.guard.common)) if config.guard else None
        )
        self._guard, self.n_best = guard, config.beam.n_best
        self._fusion = PhoneFusion(config.phone_fusion, pronouncer, lists) if config.phone_fusion else None
        self._rescorer = Rescorer(config.rescoring, pronouncer, lists) if config.rescoring else None
        self._lookup = LexiconLookup(config.lexicon, pronouncer, lists, known, guard) if config.lexicon else None
        self._variants = SpellingVariants(config.g2g, pronouncer, known) if config.g2g else None

    def searched(self, entities: EntityList) -> EntityList:
        """Return what the beam search should be given: the list, with spelling variants as aliases if D5 is on."""
        return self._variants.expand(entities) if self._variants else entities

    def finish(self, hypotheses: Sequence[Hypothesis], emissions: Emissions, entities: EntityList) -> list[Hypothesis]:
        """Return the final n-best, best first. ``entities`` is the user's list; an empty one leaves only fusion."""
        found = list(hypotheses)
        if self._variants and entities.entities:
            found = _distinct([self._variants.canonical(hypothesis, entities) for hypothesis in found])
        if self._fusion:
            found = self._fusion.fuse(found, emissions, entities)[: self.n_best]
        if not entities.entities:
            return found
        if self._rescorer:
            found = self._rescorer.rescore(found, emissions, entities)
        if self._guard:
            found = _distinct(self._guard.check(_with_alternatives(found, hypotheses), emissions, entities))
        if self._lookup:
            found = _distinct(self._lookup.apply(found, emissions, entities))
        return found


def build_phonetics(config: RunConfig, cache: Path | None = None) -> PhoneticPass | None:
    """Return the pass, or None if every technique of it is off. Raises ModelError for missing models."""
    used = (config.phone_fusion, config.rescoring, config.lexicon, config.g2g, config.guard)
    return None if all(part is None for part in used) else PhoneticPass(config, cache=cache)


def known_words(config: RunConfig, pronouncer: Pronouncer) -> Callable[[str], bool]:
    """Whether the language model's word list has a word; CMUdict's where there is no such list."""
    if config.language_model is None or config.language_model.unigrams is None:
        return pronouncer.knows
    return frozenset(read_words(Path(config.language_model.unigrams))).__contains__


def common_words(config: RunConfig, count: int) -> list[str]:
    """The most frequent words of the language model; none without one."""
    if config.language_model is None:
        return []
    arrays = read_ngrams(Path(config.language_model.path))
    order = np.argsort(-arrays.unigrams[:, 0], kind="stable")[: count + len(_MARKS)]
    return [arrays.words[k] for k in order if arrays.words[k] not in _MARKS][:count]


def _with_alternatives(found: Sequence[Hypothesis], decoded: Sequence[Hypothesis]) -> list[Hypothesis]:
    """Only the search's best has alternatives: give those of the same entities to the best that rescoring chose."""
    known = {span.entity: span.alternative for hypothesis in decoded[:1] for span in hypothesis.entities}
    spans = [
        span if span.alternative is not None else dataclasses.replace(span, alternative=known.get(span.entity))
        for span in found[0].entities
    ]
    return [dataclasses.replace(found[0], entities=tuple(spans)), *found[1:]]


def _distinct(hypotheses: Sequence[Hypothesis]) -> list[Hypothesis]:
    """Each text once, where it stands first."""
    first: dict[str, Hypothesis] = {}
    for hypothesis in hypotheses:
        first.setdefault(hypothesis.text, hypothesis)
    return list(first.values())
