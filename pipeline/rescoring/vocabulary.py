"""Words that the phones hear and the search has not written, where another model hears the phones.

A recogniser that spells poorly writes words that are none, or other words than were said, and its n-best has nothing
better for fusion to choose. The phones that are heard beside it are another model's and often right there. So in the
best hypothesis each word, or two of them, that fits the phones badly, is not what is heard or is not known to the
language model is held against the words of the language model that sound like what was heard, one or two. They take
its place if the score that the n-best is sorted by rises:

    total' - total = acoustic' - acoustic + alpha * (lm' - lm) + beta * (words' - words) + weight * gain

acoustic: of the model's own pieces (pipeline.lexicon.subwords), gain: nats of phone cost (pipeline.rescoring.aligned);
all weights are those of the search and of fusion. The lists have no say in it: this is part of reading the audio, as
fusion is. What the phones of the same network say its search has mostly heard, so there it is off.
"""

import dataclasses
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pipeline.config import LanguageModelConfig, PhoneFusionConfig, RunConfig
from pipeline.decoding.language_model import read_words
from pipeline.lexicon.alignment import IMPOSSIBLE
from pipeline.lexicon.phone_index import PhoneIndex
from pipeline.lexicon.phones import Pronunciation
from pipeline.lexicon.pronunciation import Pronouncer
from pipeline.lexicon.subwords import IMPOSSIBLE as NO_ROOM
from pipeline.lexicon.subwords import SubwordScorer
from pipeline.rescoring.aligned import Aligned, align_hypothesis, floored
from pipeline.rescoring.context import ContextScorer
from pipeline.rescoring.edit import Edit, apply_edits
from pipeline.rescoring.technique import Sounds, Technique
from pipeline.types.emissions import Emissions, on_clock
from pipeline.types.entity import EntityList
from pipeline.types.hypothesis import Hypothesis, Word, distinct
from pipeline.types.tokens import Tokens

_MOST_WORDS = 2  # that one word is broken into
_EXCESS = 0.5  # nats per phone above the best path: a word that fits better is believed
_DISTANCE = 0.25  # weighted edits per phone: further away nothing wins
_CANDIDATES = 8  # of a place, the nearest
_SHORTEST = 2  # phones of a word of a pair
_HALF_DISTANCE, _HALVES = 0.1, 2  # of the words of a pair, which must be heard clearly
_ROUNDS = 6  # words that are replaced in one utterance, at most
_EQUAL = 0.01  # nats: words that sound the same
_RAREST = 5.5  # -log10 of a word's frequency; of rarer ones there are so many that one sounds like anything
_FLOOR = np.float32(-10.0)  # nats; a piece outside a frame's candidates is about this unlikely


@dataclasses.dataclass(frozen=True)
class _Better:
    """``texts`` in the place of words [first, last), by which the total rises."""

    rise: float
    first: int
    last: int
    texts: tuple[str, ...]
    frames: tuple[int, int]


class Vocabulary:
    """The words of a language model by their sound, and what it and the model's pieces say of them."""

    def __init__(self, model: LanguageModelConfig | None, tokens: Tokens, pronouncer: Pronouncer) -> None:
        """Without a list of the language model's words there are none, and without it all texts are equally likely.

        Raises ModelError if the language model or its word list is missing or corrupt.
        """
        self._model, self.context, self._scorer = model, ContextScorer(model), SubwordScorer(tokens)
        self._pieces = len(tokens.pieces)
        known = sorted(
            word
            for word in _words_of(model)
            if pronouncer.knows(word) and self.context.rarity(word) <= _RAREST  # and none whose sound is guessed
        )
        self.index = PhoneIndex(
            ((word, said) for word in known for said in pronouncer.pronounce(word)), pronouncer.units
        )

    def sounding(self, heard: Pronunciation) -> Iterator[tuple[str, ...]]:
        """Yield what sounds like phones: single words, and pairs of words wherever they may part."""
        for match in self.index.nearest(heard, _DISTANCE, _CANDIDATES):
            yield (match.key,)
        for at in range(_SHORTEST, len(heard) - _SHORTEST + 1):
            left = self.index.nearest(heard[:at], _HALF_DISTANCE, _HALVES)
            right = self.index.nearest(heard[at:], _HALF_DISTANCE, _HALVES) if left else []
            yield from ((one.key, other.key) for one in left for other in right)

    def spelled(self, emissions: Emissions) -> npt.NDArray[np.float32]:
        """Return [T, V] log-probs, floored."""
        return np.maximum(emissions.tokens.dense(self._pieces), _FLOOR)

    def likelier(self, texts: Sequence[str], first: int, last: int, new: Sequence[str]) -> float:
        """Return by how much the language model's part of the total rises with ``new`` for words [first, last)."""
        before, there, after = texts[:first], texts[first:last], texts[last:]
        gained = self.context.score(before, new, after) - self.context.score(before, there, after)
        unknown = sum(not self.context.knows(text) for text in there)
        model = self._model
        if model is None:
            return 0.0
        return model.alpha * gained + model.beta * (len(new) - len(there)) - model.unknown_penalty * unknown

    def spelling(
        self, words: Sequence[Word], spelled: npt.NDArray[np.float32], first: int, last: int, new: Sequence[str]
    ) -> float:
        """Return by how much the model's own pieces rise, over the words and one neighbour on each side.

        -inf where there is no room for the new words; 0, for want of anything to go by, where the old ones have none.
        """
        before, after = max(0, first - 1), min(len(words), last + 1)
        start = words[before].start_frame if before > 0 else 0
        end = words[after].start_frame if after < len(words) else len(spelled)
        texts = [one.text for one in words]
        changed = [*texts[before:first], *new, *texts[last:after]]
        ours, theirs = (self._scorer.score(spelled[start:end], " ".join(one)) for one in (texts[before:after], changed))
        if theirs <= NO_ROOM:
            return -math.inf
        return theirs - ours if ours > NO_ROOM else 0.0


def _words_of(model: LanguageModelConfig | None) -> set[str]:
    return set() if model is None or model.unigrams is None else set(read_words(Path(model.unigrams)))


class HeardWords(Technique):
    """Nothing where it is off, or without a list of the language model's words. Deterministic."""

    part = "phone_fusion"

    def __init__(
        self, config: PhoneFusionConfig, sounds: Sounds, model: LanguageModelConfig | None = None,
        tokens: Tokens | None = None,
    ) -> None:  # fmt: skip
        """Raises ModelError if the language model or its word list is missing or corrupt."""
        self._config, self._pronouncer = config, sounds.pronouncer
        self.vocabulary: Vocabulary | None = None
        if config.vocabulary and model is not None and model.unigrams is not None and tokens is not None:
            self.vocabulary = Vocabulary(model, tokens, sounds.pronouncer)

    @classmethod
    def build(cls, config: RunConfig, sounds: Sounds) -> "HeardWords":
        """Take the language model and the inventory of the run."""
        return cls(config.phone_fusion or PhoneFusionConfig(), sounds, config.language_model, sounds.tokens)

    def order(self, nbest: Sequence[Hypothesis], emissions: Emissions, entities: EntityList) -> list[Hypothesis]:
        """Return the n-best with the best hypothesis as the phones would have it; its entities stay as they are."""
        if self.vocabulary is None or emissions.phone_log_probs is None or not nbest or not nbest[0].words:
            return list(nbest)
        log_probs = floored(emissions.phone_log_probs, self._config.floor)
        spelled, best = self.vocabulary.spelled(emissions), nbest[0]
        for _ in range(_ROUNDS):
            plain = dataclasses.replace(best, entities=())
            aligned = align_hypothesis(plain, log_probs, self._pronouncer, {}, emissions.phone_rate)
            if aligned.alignment.cost >= IMPOSSIBLE:
                break
            found = list(self._better(self.vocabulary, best, aligned, spelled))
            if not found:
                break
            best = _with(best, max(found, key=lambda one: (one.rise, -one.first, one.texts)))
        return distinct([best, *nbest[1:]])

    def _better(
        self, vocabulary: Vocabulary, said: Hypothesis, aligned: Aligned, spelled: npt.NDArray[np.float32]
    ) -> Iterator[_Better]:
        """Yield everything that raises the total of ``said``."""
        texts = [word.text for word in said.words]
        for first, last in self._doubtful(vocabulary, said, aligned):
            for new in vocabulary.sounding(aligned.heard(first, last)):
                if list(new) == texts[first:last]:
                    continue
                fit = aligned.fit(first, last, [self._pronouncer.pronounce(word) for word in new])
                rise = vocabulary.likelier(texts, first, last, new) + self._config.weight * fit.gain
                if rise <= 0 or fit.gain < -_EQUAL:  # spelling costs most to compare, and can hardly make up for it
                    continue
                rise += vocabulary.spelling(said.words, spelled, first, last, new)
                if rise > 0:
                    yield _Better(rise, first, last, new, on_clock(fit.frames, 1.0 / aligned.rate))

    def _doubtful(self, vocabulary: Vocabulary, said: Hypothesis, aligned: Aligned) -> Iterator[tuple[int, int]]:
        """Yield words [first, last) that may be others; none of an entity."""
        listed = {at for span in said.entities for at in range(span.start_word, span.end_word)}
        for first in range(len(said.words)):
            for last in range(first + 1, min(first + _MOST_WORDS, len(said.words)) + 1):
                words = aligned.alignment.words[first:last]
                excess = sum(word.cost for word in words) - aligned.least(first, last)
                unknown = not all(vocabulary.context.knows(word.text) for word in said.words[first:last])
                written = tuple(phone.phone for word in words for phone in word.phones)
                doubted = (
                    unknown
                    or written != aligned.heard(first, last)
                    or excess > _EXCESS * max(1, sum(len(word.phones) for word in words))
                )
                if doubted and listed.isdisjoint(range(first, last)):
                    yield first, last


def _with(said: Hypothesis, better: _Better) -> Hypothesis:
    """Return ``said`` with the word in its place and a total that has risen."""
    edited = apply_edits(said, [Edit(better.first, better.last, better.frames, better.texts)])
    return dataclasses.replace(edited, total=said.total + better.rise)
