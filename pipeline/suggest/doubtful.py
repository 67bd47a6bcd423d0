"""Spans of words that a run doubts: what it does not know, is not sure of, what fits the sound badly, what is rare.

A span is one to MOST_WORDS words next to each other, none of them in an entity of the run's list, the first and the
last of them doubtful: the recogniser often breaks one name into two words.
"""

import dataclasses
import difflib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from pipeline.config import RunConfig
from pipeline.decoding.language_model import common_words, load_language_model
from pipeline.errors import ConfigError
from pipeline.lexicon.alignment import IMPOSSIBLE
from pipeline.lexicon.phones import Pronunciation
from pipeline.lexicon.pronunciation import Pronouncer
from pipeline.rescoring.aligned import Aligned, align_hypothesis, floored
from pipeline.types.hypothesis import Hypothesis, Word

RARE = "rare"
REASONS = ("unknown", "unsure", "misfit", RARE)
"""Why a word is doubtful: no word of the language model; a confidence below CONFIDENCE; phones that cost EXCESS nats
each more than the best path through its frames; not among the common words."""
MOST_WORDS = 3
COMMON = 5000
"""Most frequent words of the language model that are common."""
CONFIDENCE = 0.6
EXCESS = 0.3
_LEAST_PHONES = 3  # what is shorter sounds like too much
_FLOOR = -8.0  # as in LexiconConfig: one misheard phone must not decide alone
_OTHERS = 8  # further hypotheses that are asked for spellings
_Row: TypeAlias = Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Language:
    """What the language says of words.

    knows:    whether a word is known to it
    common:   its most frequent words
    log10_of: log10 of the probability that a text begins anywhere
    """

    knows: Callable[[str], bool]
    common: frozenset[str]
    log10_of: Callable[[str], float]


def read_language(config: RunConfig) -> Language:
    """Return what the language model of a configuration says; raises ConfigError without one, or ModelError."""
    if config.language_model is None:
        raise ConfigError("suggestions need a language model, to know what is common; name one in --config.")
    model = load_language_model(config.language_model)

    def log10_of(text: str) -> float:
        return float(model.model.score(text, bos=False, eos=False))

    return Language(model.words.__contains__, frozenset(common_words(config.language_model.path, COMMON)), log10_of)


@dataclasses.dataclass(frozen=True)
class Span:
    """Words [first, last) of an utterance; seconds of it.

    others:  what further hypotheses write there
    phones:  as heard where the run has a cached first pass, else as what is written is said
    reasons: of REASONS, those of any of its words
    log10:   probability of the text
    context: some words before and after
    """

    utterance_id: str
    first: int
    last: int
    start_seconds: float
    end_seconds: float
    text: str
    others: tuple[str, ...]
    phones: Pronunciation
    reasons: tuple[str, ...]
    log10: float
    context: tuple[str, str]


class Doubts:
    """Finds the spans of rows."""

    def __init__(self, language: Language, pronouncer: Pronouncer) -> None:
        self._language, self._pronouncer = language, pronouncer

    def spans(self, row: _Row, phones: npt.NDArray[np.float16] | None) -> Iterator[Span]:
        """Yield the doubtful spans of a TRANSCRIPTS row without an error.

        phones: [T, 40] log-probabilities of its first pass, if there are any
        """
        words = row["words"] or ()
        taken = {at for one in row["entities"] or () for at in range(one["start_word"], one["end_word"])}
        aligned = self._aligned(words, phones)
        reasons = [() if at in taken else self._reasons(words, at, aligned) for at in range(len(words))]
        others = _Others(row)
        for first, last in _places(reasons, taken):
            text = " ".join(word["word"] for word in words[first:last])
            heard = aligned.heard(first, last) if aligned else next(iter(self._pronouncer.pronounce(text)), ())
            if len(heard) < _LEAST_PHONES:
                continue
            found = {reason for at in range(first, last) for reason in reasons[at]}
            yield Span(
                row["utterance_id"],
                first,
                last,
                float(words[first]["start_seconds"]),
                float(words[last - 1]["end_seconds"]),
                text,
                others.between(first, last),
                heard,
                tuple(reason for reason in REASONS if reason in found),
                self._language.log10_of(text),
                (_text(words[max(0, first - 4) : first]), _text(words[last : last + 4])),
            )

    def _aligned(self, words: Sequence[_Row], phones: npt.NDArray[np.float16] | None) -> Aligned | None:
        if phones is None or not words:
            return None
        said = Hypothesis(tuple(Word(word["word"], 0, 0, word["confidence"]) for word in words), 0.0, 0.0, 0.0, 0.0)
        aligned = align_hypothesis(said, floored(phones, _FLOOR), self._pronouncer, {})
        return None if aligned.alignment.cost >= IMPOSSIBLE else aligned

    def _reasons(self, words: Sequence[_Row], at: int, aligned: Aligned | None) -> tuple[str, ...]:
        word, found = words[at]["word"], []
        if not self._language.knows(word):
            found.append("unknown")
        if words[at]["confidence"] < CONFIDENCE:
            found.append("unsure")
        if aligned is not None:
            said = aligned.alignment.words[at]
            if said.cost - aligned.least(at, at + 1) > EXCESS * max(1, len(said.phones)):
                found.append("misfit")
        if word not in self._language.common:
            found.append(RARE)
        return tuple(found)


def _places(reasons: Sequence[tuple[str, ...]], taken: set[int]) -> Iterator[tuple[int, int]]:
    for first, why in enumerate(reasons):
        if not why:
            continue
        for last in range(first + 1, min(first + MOST_WORDS, len(reasons)) + 1):
            if last - 1 in taken:
                break
            if reasons[last - 1]:
                yield first, last


def _text(words: Sequence[_Row]) -> str:
    return " ".join(word["word"] for word in words)


class _Others:
    """What the further hypotheses of a row write in the place of words of the first."""

    def __init__(self, row: _Row) -> None:
        self._words = [word["word"] for word in row["words"] or ()]
        self._texts = [one["text"].split() for one in (row["nbest"] or ())[1 : 1 + _OTHERS]]
        self._edges: list[dict[int, int]] | None = None  # looked for when first asked

    def between(self, first: int, last: int) -> tuple[str, ...]:
        if self._edges is None:
            self._edges = [self._matching(text) for text in self._texts]
        found = []
        for text, edges in zip(self._texts, self._edges, strict=True):
            if first in edges and last in edges:
                found.append(" ".join(text[edges[first] : edges[last]]))
        own = " ".join(self._words[first:last])
        return tuple(dict.fromkeys(one for one in found if one and one != own))

    def _matching(self, text: list[str]) -> dict[int, int]:
        """Return edges between words of the first hypothesis -> the same edge in another."""
        edges = {0: 0, len(self._words): len(text)}
        for kind, a, b, i, j in difflib.SequenceMatcher(None, self._words, text, autojunk=False).get_opcodes():
            edges |= {a: i, b: j}
            if kind == "equal":
                edges |= {a + step: i + step for step in range(b - a)}
        return edges
