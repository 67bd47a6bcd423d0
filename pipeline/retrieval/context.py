"""What is known of an utterance before any list is looked at: the features by which a policy decides.

duration:   ln(1 + seconds)
phones:     mean entropy of the phones, in nats, over frames whose best symbol is no blank
tokens:     mean doubt (1 - probability) of the best subword, over frames whose best one is no blank
unknown:    share of the words that the first pass writes by itself which the dictionary lacks; a language model's doubt
            is not known yet, as the shortlist is made before the search
unknown_words: ln(1 + how many such words there are): names are among them, and more of them in a long utterance
background: for each level, how many entries of a catalog that never changes the phones allow: so many candidates a
            list gets here by chance. The catalog is BACKGROUND words of the dictionary, drawn by a hash.

Values are rounded, so that they do not hang on the last bits of a sum.
"""

import dataclasses
import hashlib
import math

import numpy as np
import numpy.typing as npt

from pipeline.config import PRONUNCIATIONS, ShortlistConfig
from pipeline.lexicon.pronunciation import Pronouncer, read_dictionary
from pipeline.retrieval.lexical import written
from pipeline.retrieval.phonetic import Phonetic
from pipeline.retrieval.sound_index import build_index
from pipeline.retrieval.strategy import LEVELS
from pipeline.types.emissions import Emissions
from pipeline.types.entity import Entity, EntityList
from pipeline.types.tokens import Tokens

CONTEXT = ("one", "duration", "phones", "tokens", "unknown", "unknown_words")
BACKGROUND = 512
_FEWEST = 5  # phones of a word of the catalog: names are rarely shorter
_DIGITS = 4


@dataclasses.dataclass(frozen=True)
class Context:
    """Values of CONTEXT, and [LEVELS] entries of the background catalog that each level of the phones allows."""

    values: tuple[float, ...]
    background: tuple[float, ...]


class ContextReader:
    """Loaded once per worker; deterministic."""

    def __init__(self, config: ShortlistConfig, pronouncer: Pronouncer, tokens: Tokens) -> None:
        self._pronouncer, self._tokens = pronouncer, tokens
        levels = [Phonetic(config, pronouncer, keep=1).at(level) for level in range(1, LEVELS + 1)]
        catalog = EntityList(tuple(Entity(word, word) for word in _background()))
        self._levels = levels
        self._catalog = build_index(levels[0].pronounce(catalog))

    def of(self, heard: Emissions) -> Context:
        """Return the features of an utterance; nothing of them depends on a list."""
        frames = heard.tokens
        best, blank = frames.ids[:, 0], self._tokens.blank
        said = best != blank
        doubt = 1.0 - np.exp(frames.values[:, 0].astype(np.float64))
        seconds = 0.0 if heard.whence is None else heard.whence.duration_seconds
        words = written(frames, self._tokens).split()
        unknown = sum(not self._pronouncer.knows(word) for word in words)
        values = (
            1.0, math.log1p(max(0.0, seconds)), _entropy(heard.phone_log_probs),
            float(doubt[said].mean()) if said.any() else 0.0, unknown / max(1, len(words)), math.log1p(unknown),
        )  # fmt: skip
        return Context(tuple(round(value, _DIGITS) for value in values), self._background(heard.phone_log_probs))

    def _background(self, phones: npt.NDArray[np.float16] | None) -> tuple[float, ...]:
        if phones is None:
            return (0.0,) * LEVELS
        found = self._levels[-1].matching(phones, self._catalog)
        return tuple(float(count) for count in self._counted(found.pronunciations, found.costs))

    def _counted(self, pronunciations: npt.NDArray[np.int32], costs: npt.NDArray[np.float32]) -> list[int]:
        """Return how many entries each level allows, of what the widest one does."""
        counts = []
        for level in self._levels:
            within = costs <= level.limits(self._catalog.longest)[self._catalog.lengths[pronunciations]]
            _, owners = self._catalog.owned(pronunciations[within])
            counts.append(len(np.unique(owners)))
        return counts


def _entropy(phones: npt.NDArray[np.float16] | None) -> float:
    """Return the mean entropy, in nats, of the frames that are no blank (column 0)."""
    if phones is None or not len(phones):
        return 0.0
    logs = phones.astype(np.float64)
    said = logs.argmax(1) != 0
    entropy = -(np.exp(logs) * logs).sum(1)[said]
    return float(entropy.mean()) if len(entropy) else 0.0


def _background() -> list[str]:
    """Return the words of the catalog: those with the least hashes, in the order of the dictionary."""
    words = read_dictionary(PRONUNCIATIONS / "cmudict.txt.gz")
    long = [word for word, said in words.items() if said and len(said[0]) >= _FEWEST and word.isalpha()]
    least = sorted(long, key=lambda word: hashlib.sha256(word.encode()).digest())[:BACKGROUND]
    return sorted(least)
