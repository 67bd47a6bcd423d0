"""Alternative spellings of entities, as one would spell them by ear, all meaning the one canonical form.

The joint n-gram of the G2P model is run backwards: from an entity's pronunciations to the likeliest spellings of that
sound; and a table of which letters the recogniser writes for which, learned from its own mistakes, respells the name
itself (pipeline.lexicon.confusions; the "grapheme to grapheme" variants of Le et al., "G2G: TTS-driven pronunciation
learning for graphemic hybrid ASR", 2020). They become aliases of the entity in the searched list, and what was found
under an alias of ours is written in its canonical form.
"""

import dataclasses
import itertools
import math
from collections.abc import Sequence
from pathlib import Path

from pipeline.config import G2gConfig
from pipeline.lexicon.confusions import read_table, respell
from pipeline.rescoring.edit import Edit, apply_edits
from pipeline.rescoring.technique import Sounds, Technique
from pipeline.types.emissions import Emissions
from pipeline.types.entity import Entity, EntityList
from pipeline.types.hypothesis import Hypothesis, distinct

TECHNIQUE = "g2g"
_PRONUNCIATIONS = 3  # of a word that are spelled back


class SpellingVariants(Technique):
    """Holds the pronouncer; remembers words and the last lists. Deterministic."""

    part = "g2g"

    def __init__(self, config: G2gConfig, sounds: Sounds, keep: int = 64) -> None:
        """Words that ``sounds`` knows never become variants; ``keep``: expanded lists that are remembered."""
        self._config, self._pronouncer, self._known, self._keep = config, sounds.pronouncer, sounds.knows, keep
        self._confusions = read_table(Path(config.confusions)) if config.confusions else {}
        self._words: dict[str, list[tuple[str, float]]] = {}
        self._lists: dict[str, EntityList] = {}

    def expand(self, entities: EntityList) -> EntityList:
        """Return the list with the variants as further aliases; what the user wrote keeps its meaning."""
        if entities.version not in self._lists:
            while len(self._lists) >= self._keep:
                self._lists.pop(next(iter(self._lists)))
            self._lists[entities.version] = self._make(entities)
        return self._lists[entities.version]

    def order(self, nbest: Sequence[Hypothesis], emissions: Emissions, entities: EntityList) -> list[Hypothesis]:
        """Return the hypotheses with variants in their canonical form, each text once, where it stands first."""
        if not entities.entities:
            return list(nbest)
        return distinct([self.canonical(hypothesis, entities) for hypothesis in nbest])

    def canonical(self, hypothesis: Hypothesis, entities: EntityList) -> Hypothesis:
        """Write what was found under a variant in its canonical form. ``entities`` is the list before ``expand``."""
        edits = []
        for span in hypothesis.entities:
            words = hypothesis.words[span.start_word : span.end_word]
            if " ".join(word.text for word in words) not in entities.by_text:
                named = dataclasses.replace(span, techniques=(*span.techniques, TECHNIQUE))
                frames = (words[0].start_frame, words[-1].end_frame)
                edits.append(Edit(span.start_word, span.end_word, frames, tuple(span.entity.split()), named))
        return apply_edits(hypothesis, edits) if edits else hypothesis

    def variants(self, entity: Entity) -> list[str]:
        """Return the entity's further spellings, likeliest first."""
        if entity.pronunciations and " " not in entity.text:
            parts = [self._spelled(entity.text, self._pronouncer.entity(entity))]
        else:
            parts = [self._word(word) for word in entity.text.split()]
        choices = itertools.islice(itertools.product(*parts), 4096)  # long phrases: the first words stay as they are
        joined = {" ".join(word for word, _ in choice): math.prod(p for _, p in choice) for choice in choices}
        likely = sorted(joined.items(), key=lambda item: (-item[1], item[0]))
        found = [text for text, probability in likely if probability >= self._config.min_probability]
        return [text for text in found if text != entity.text and self._is_free(text)][: self._config.variants]

    def _is_free(self, text: str) -> bool:
        return not all(self._known(word) for word in text.split())

    def _word(self, word: str) -> list[tuple[str, float]]:
        """The word itself, as sure as can be, and its variants; known words are spelled one way only."""
        if word not in self._words:
            pronunciations = () if self._known(word) else self._pronouncer.pronounce(word)
            self._words[word] = self._spelled(word, pronunciations)
        return self._words[word]

    def _spelled(self, word: str, pronunciations: tuple[tuple[str, ...], ...]) -> list[tuple[str, float]]:
        best: dict[str, float] = {}
        for phones in pronunciations[:_PRONUNCIATIONS]:
            for text, probability in self._pronouncer.spell(phones, 2 * self._config.variants):
                best[text] = max(probability, best.get(text, 0.0))
        best = {text: p for text, p in best.items() if p >= self._config.min_probability}
        if pronunciations:
            count, least = 2 * self._config.variants, self._config.min_confusion
            for text, probability in respell(word, self._confusions, count, least):
                # on the scale of the other kind, whose least probability is another
                scaled = min(1.0, probability / least * self._config.min_probability)
                best[text] = max(scaled, best.get(text, 0.0))
        best.pop(word, None)
        return [(word, 1.0), *sorted(best.items(), key=lambda item: (-item[1], item[0]))]

    def _make(self, entities: EntityList) -> EntityList:
        taken = set(entities.by_text)
        expanded = []
        for entity in entities.entities:
            found = [text for text in self.variants(entity) if text not in taken] if entity.weight > 0 else []
            taken.update(found)
            expanded.append(dataclasses.replace(entity, aliases=(*entity.aliases, *found)))
        return EntityList(tuple(expanded), entities.rejected)
