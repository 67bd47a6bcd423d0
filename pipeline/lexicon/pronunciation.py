"""N-best pronunciations of words and entities: the user's own, CMUdict, then G2P for the rest."""

import functools
import gzip
import itertools
import math
import re
from pathlib import Path

from pipeline.config import PRONUNCIATIONS
from pipeline.errors import ModelError
from pipeline.lexicon import spoken
from pipeline.lexicon.g2p import LETTERS, load_g2p
from pipeline.lexicon.phones import ARPABET, PHONES, Pronunciation, Units, parse_phones
from pipeline.text import ENGLISH, normalise
from pipeline.types.entity import Entity, EntityList

__all__ = ["PHONES", "Pronouncer", "Pronunciation"]

_MIN_RELATIVE = 0.03  # guesses this much less likely than the best are noise more often than variants
_MOST_REMEMBERED = 200_000  # words and phrases, some 60 MB; those of a language are met again and again
_LATER_READING = 0.5  # weight of a second way to read a token (as a word, digit by digit) against the first
_TOKEN = re.compile(r"(?:[A-Za-z]\.){2,}[A-Za-z]?|\d+(?:st|nd|rd|th)\b|\d+|[A-Za-z']+|&")
_WITH_STRESS = {*PHONES, *(phone + stress for phone in PHONES for stress in "012")}
_SIBILANTS = frozenset({"S", "Z", "SH", "ZH", "CH", "JH"})
_VOICELESS = frozenset({"P", "T", "K", "F", "TH"})

Weighted = list[tuple[Pronunciation, float]]


class Pronouncer:
    """Pronounces anything that can stand in a transcript or an entity list; deterministic; remembers words."""

    units: Units = ARPABET
    """What its pronunciations are made of."""

    def __init__(self, models: Path = PRONUNCIATIONS, n_best: int = 5) -> None:
        """Load CMUdict and the G2P model from ``models``; raises ModelError if either is missing or corrupt."""
        self._dictionary = read_dictionary(models / "cmudict.txt.gz")
        self._g2p = load_g2p(models / "g2p.npz")
        self._n_best = n_best
        self._remembered: dict[str, Weighted] = {}
        self._said: dict[str, tuple[Pronunciation, ...]] = {}

    def pronounce(self, text: str) -> tuple[Pronunciation, ...]:
        """Return up to ``n_best`` pronunciations of a word or phrase, best first; none if nothing in it is said.

        Casing and full stops are heeded where there are any: "BBC" and "B.B.C." are spelled out.
        """
        said = self._said.get(text)
        if said is None:
            if len(self._said) >= _MOST_REMEMBERED:
                self._said.clear()
            said = self._said[text] = tuple(phones for phones, _ in self._phrase(text))
        return said

    def entity(self, entity: Entity) -> tuple[Pronunciation, ...]:
        """Return the pronunciations of an entity: its own if the user gave some, else those of its spellings."""
        in_phones = [one for one in entity.pronunciations if not is_spelled(one)]
        if in_phones:
            return tuple(dict.fromkeys(parse_phones(given) for given in in_phones))
        same = normalise(entity.display_as, ENGLISH) == normalise(entity.text, ENGLISH)
        shown = entity.display_as if same else entity.text
        found = [phones for text in (shown, *entity.aliases) for phones in self.pronounce(text)]
        return tuple(dict.fromkeys(found))

    def spell(self, pronunciation: Pronunciation, count: int) -> list[tuple[str, float]]:
        """Return up to ``count`` spellings of a sound with their probabilities, best first."""
        return self._g2p.spell(pronunciation, count)

    def knows(self, word: str) -> bool:
        """Whether CMUdict has the word."""
        return word in self._dictionary

    def _phrase(self, text: str) -> Weighted:
        plain = text.translate(str.maketrans("’‘ʼ`´", "'''''"))
        tokens = _TOKEN.findall(_fold_accents(plain))
        parts = [found for token in tokens if (found := self._token(token))]
        joined = []
        for choice in itertools.islice(itertools.product(*(part[:3] for part in parts[:6])), 3**6):
            tail = tuple(phone for part in parts[6:] for phone in part[0][0])
            phones = tuple(phone for said, _ in choice for phone in said) + tail
            joined.append((phones, math.prod(weight for _, weight in choice)))
        if len(parts) == 1:
            joined = parts[0]
        return _best(joined, self._n_best) if parts else []

    def _token(self, token: str) -> Weighted:
        if token not in self._remembered:
            self._remembered[token] = self._read(token)
        return self._remembered[token]

    def _read(self, token: str) -> Weighted:
        word = token.lower()
        if token == "&":
            return self._say(("and",))
        if match := re.fullmatch(r"(\d+)(?:st|nd|rd|th)", word):
            return self._say(spoken.ordinal(int(match[1])))
        if token.isdigit():
            return self._readings([self._say(words) for words in spoken.digits(token)])
        readings = [self._say(words) for words in spoken.roman(token)]
        spelled = spoken.is_spelled_out(token)
        if spelled and not self.knows(word):
            readings.append(self._letters(word))
            if "." in token or len(word) == 1:
                return self._readings(readings)
        readings.append(self._word(word))
        if spelled and self.knows(word) and len(word) > 1:
            readings.append(self._letters(word))
        return self._readings(readings)

    def _word(self, word: str) -> Weighted:
        if word in self._dictionary:
            return [(phones, 1.0 if k == 0 else _LATER_READING) for k, phones in enumerate(self._dictionary[word])]
        if word.endswith("'s") and len(word) > 2:
            return [(_with_s(phones), weight) for phones, weight in self._token(word[:-2])]
        bare = word.strip("'")
        if bare != word:
            return self._token(bare) if bare else []
        if len(word) == 1:
            return self._letters(word)
        return self._g2p.pronounce(word, self._n_best)

    def _letters(self, word: str) -> Weighted:
        names = [self._dictionary[letter + "."][0] for letter in word if letter.isalpha()]
        return [(tuple(itertools.chain.from_iterable(names)), 1.0)]

    def _say(self, words: spoken.Words) -> Weighted:
        return [(tuple(phone for word in words for phone in self._word(word)[0][0]), 1.0)]

    def _readings(self, readings: list[Weighted]) -> Weighted:
        weighted = [
            (phones, weight * _LATER_READING**k) for k, reading in enumerate(readings) for phones, weight in reading
        ]
        return _best(weighted, self._n_best)


def is_spelled(pronunciation: str) -> bool:
    """Whether a pronunciation of an entity is in small letters, spelled as it sounds, and not ARPAbet.

    >>> is_spelled("SH W AO R T S"), is_spelled("schworz"), is_spelled("z eh l")
    (False, True, False)
    """
    return pronunciation.islower() and not set(pronunciation.upper().split()) <= _WITH_STRESS


def _best(found: Weighted, count: int) -> Weighted:
    """The likeliest, each once; what is far less likely than the first is dropped."""
    once: dict[Pronunciation, float] = {}
    for phones, weight in found:
        once[phones] = max(weight, once.get(phones, 0.0))
    order = sorted(once.items(), key=lambda item: -item[1])[:count]
    return [(phones, weight) for phones, weight in order if phones and weight >= _MIN_RELATIVE * order[0][1]]


def _fold_accents(text: str) -> str:
    """Fold accents to the letters that the G2P reads, keeping capitals, full stops and all that tells how to read."""
    folded = (c if c.isascii() else _recase(normalise(c, ENGLISH), c) for c in text)
    return "".join(folded)


def _recase(folded: str, original: str) -> str:
    return folded.upper() if original.isupper() else folded or " "


def _with_s(phones: Pronunciation) -> Pronunciation:
    """The possessive: after a sibilant a syllable, otherwise voiced as the sound before it."""
    if not phones:
        return phones
    last = phones[-1]
    return (*phones, "IH", "Z") if last in _SIBILANTS else (*phones, "S" if last in _VOICELESS else "Z")


@functools.cache
def read_dictionary(path: Path) -> dict[str, tuple[Pronunciation, ...]]:
    """Read ``word<TAB>phones`` lines, variants in order; raises ModelError if the file is missing or broken."""
    found: dict[str, list[Pronunciation]] = {}
    try:
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            for line in lines:
                word, phones = line.rstrip("\n").split("\t")
                found.setdefault(word, []).append(tuple(phones.split()))
    except (OSError, EOFError, ValueError) as error:
        raise ModelError(f"{path}: not a pronunciation dictionary ({error}); restore it from git.") from error
    missing = [letter for letter in LETTERS[1:] if letter + "." not in found]
    if missing:
        raise ModelError(f"{path}: the names of the letters {missing} are missing (entries such as 'a.').")
    return {word: tuple(variants) for word, variants in found.items()}


class ListPronouncer:
    """Pronunciations of whole entity lists, kept in memory by list version."""

    def __init__(self, pronouncer: Pronouncer, keep: int = 64) -> None:
        self._pronouncer, self._keep = pronouncer, keep
        self._lists: dict[str, dict[str, tuple[Pronunciation, ...]]] = {}

    def pronounce(self, entities: EntityList) -> dict[str, tuple[Pronunciation, ...]]:
        """Return entity text -> pronunciations, best first."""
        if entities.version not in self._lists:
            while len(self._lists) >= self._keep:
                self._lists.pop(next(iter(self._lists)))
            self._lists[entities.version] = {one.text: self._pronouncer.entity(one) for one in entities.entities}
        return self._lists[entities.version]
