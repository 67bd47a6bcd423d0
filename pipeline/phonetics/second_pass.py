"""D3, D4 and D5 around the beam search: what it searches, and what becomes of its n-best."""

from collections.abc import Callable, Sequence
from pathlib import Path

from pipeline.acoustic.emissions import Emissions
from pipeline.config import RunConfig
from pipeline.decoding.interface import Hypothesis
from pipeline.decoding.language_model import read_words
from pipeline.entities.catalog import EntityList
from pipeline.phonetics.g2g import SpellingVariants
from pipeline.phonetics.lookup import LexiconLookup
from pipeline.phonetics.pronunciation import MODELS, ListPronouncer, Pronouncer
from pipeline.phonetics.rescoring import Rescorer


class PhoneticPass:
    """Loaded once per worker; deterministic. Techniques that the configuration has off do nothing."""

    def __init__(self, config: RunConfig, models: Path = MODELS, cache: Path | None = None) -> None:
        """``cache``: a folder where pronunciations of lists are kept. Raises ModelError for missing models."""
        pronouncer = Pronouncer(models)
        lists = ListPronouncer(pronouncer, cache)
        known = known_words(config, pronouncer)
        self._rescorer = Rescorer(config.rescoring, pronouncer, lists) if config.rescoring else None
        self._lookup = LexiconLookup(config.lexicon, pronouncer, lists, known) if config.lexicon else None
        self._variants = SpellingVariants(config.g2g, pronouncer, known) if config.g2g else None

    def searched(self, entities: EntityList) -> EntityList:
        """Return what the beam search should be given: the list, with spelling variants as aliases if D5 is on."""
        return self._variants.expand(entities) if self._variants else entities

    def finish(self, hypotheses: Sequence[Hypothesis], emissions: Emissions, entities: EntityList) -> list[Hypothesis]:
        """Return the final n-best, best first. ``entities`` is the user's list; an empty one changes nothing."""
        found = list(hypotheses)
        if not entities.entities:
            return found
        if self._variants:
            found = _distinct([self._variants.canonical(hypothesis, entities) for hypothesis in found])
        if self._rescorer:
            found = self._rescorer.rescore(found, emissions, entities)
        if self._lookup:
            found = _distinct(self._lookup.apply(found, emissions, entities))
        return found


def build_phonetics(config: RunConfig, cache: Path | None = None) -> PhoneticPass | None:
    """Return the pass, or None if every technique of it is off. Raises ModelError for missing models."""
    used = (config.rescoring, config.lexicon, config.g2g)
    return None if all(part is None for part in used) else PhoneticPass(config, cache=cache)


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
