"""What the language model says of words in their context."""

import math
from collections.abc import Sequence

import kenlm

from pipeline.config import LanguageModelConfig
from pipeline.decoding.language_model import load_language_model

_LN10 = math.log(10.0)


class ContextScorer:
    """Holds a language model, or none: then every word is known and every text equally likely."""

    def __init__(self, config: LanguageModelConfig | None) -> None:
        """Raises ModelError if the model or its word list is missing or corrupt."""
        loaded = load_language_model(config) if config is not None else None
        self._model = loaded.model if loaded else None
        self._words = loaded.words if loaded else frozenset()
        self._reach = loaded.model.order - 1 if loaded else 0  # words that a word depends on

    def knows(self, word: str) -> bool:
        """Whether the word is in the vocabulary."""
        return self._model is None or word in self._words

    def rarity(self, word: str) -> float:
        """-log10 of the word's probability without context; unknown words are the rarest."""
        if self._model is None:
            return 0.0
        state = kenlm.State()
        self._model.NullContextWrite(state)
        return -float(self._model.BaseScore(state, word, kenlm.State()))

    def score(self, before: Sequence[str], words: Sequence[str], after: Sequence[str]) -> float:
        """ln p(words and what they change of ``after`` | before); ``before`` begins and ``after`` ends the text."""
        if self._model is None:
            return 0.0
        state, following = kenlm.State(), kenlm.State()
        if len(before) < self._reach:
            self._model.BeginSentenceWrite(state)
        else:
            self._model.NullContextWrite(state)
        total = 0.0
        for word in before[len(before) - min(len(before), self._reach) :]:
            self._model.BaseScore(state, word, following)
            state, following = following, state
        for word in (*words, *after[: self._reach], *(["</s>"] if len(after) < self._reach else [])):
            total += self._model.BaseScore(state, word, following)
            state, following = following, state
        return total * _LN10
