"""Letters in place of phones: how names are found in a language that has no pronunciations here.

A model that writes letters hears them, so its own output over letters takes the place of a phone head's, a name is said
as it is spelled, and how far apart two letters sound takes the place of the distance of phones. Spelled by ear is
spelled as heard: a user who knows better gives aliases, or pronunciations in the model's letters.
"""

import functools
import unicodedata
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from pipeline.config import PRONUNCIATIONS
from pipeline.lexicon.phones import Pronunciation, Units, gap_costs
from pipeline.lexicon.pronunciation import Pronouncer, is_spelled
from pipeline.text import Alphabet, normalise
from pipeline.types.entity import Entity

_SAME_BASE = 0.2  # letters that differ in a mark: a and ä, и and й
_ALIKE = 0.35
_VOWELS_APART = 0.6
_WEAK = "'hetrьъ"
"""Letters that come and go in how words are spelled by ear."""
_GROUPS = (
    "bp", "dt", "gk", "ckq", "szcxß", "fvw", "mn", "ijy", "uw", "jg",
    "бп", "дт", "гкх", "зсц", "вф", "шщчж", "иыйі", "мн", "еэё",
    "βπφ", "δτθ", "γκχ", "ζσς", "μν", "ιηυ", "οω",
)  # fmt: skip
"""Letters that are written for one another where somebody spells by ear."""
_VOWELS = frozenset("aeiouyаеёиоуыэюяіїєαεηιουω")


def letter_units(letters: Iterable[str]) -> Units:
    """Return the units of a model that writes ``letters``, in their order."""
    names = tuple(letters)
    apart = np.array([[_distance(one, other) for other in names] for one in names], np.float32)
    return Units(names, apart, gap_costs(names, _WEAK))


def _distance(one: str, other: str) -> float:
    if one == other:
        return 0.0
    bases = _base(one), _base(other)
    if bases[0] == bases[1]:
        return _SAME_BASE
    if any(bases[0] in group and bases[1] in group for group in _GROUPS):
        return _ALIKE
    return _VOWELS_APART if _VOWELS.issuperset(bases) else 1.0


def _base(letter: str) -> str:
    return letter if letter == "ß" else unicodedata.normalize("NFD", letter)[0]


class LetterPronouncer(Pronouncer):
    """Says everything as it is spelled; deterministic."""

    def __init__(self, units: Units, alphabet: Alphabet, models: Path = PRONUNCIATIONS) -> None:
        """``units``: letters that the model writes; ``models``: unused, as there is no dictionary to read."""
        self.units, self._alphabet = units, alphabet
        self._spell = functools.lru_cache(maxsize=1 << 18)(self._letters_of)

    def _letters_of(self, text: str) -> Pronunciation:
        return tuple(letter for letter in normalise(text, self._alphabet) if letter in self.units.ids)

    def pronounce(self, text: str) -> tuple[Pronunciation, ...]:
        """Return the letters of a word or phrase that the model writes; none if there are none."""
        letters = self._spell(text)
        return (letters,) if letters else ()

    def entity(self, entity: Entity) -> tuple[Pronunciation, ...]:
        """Return the letters of an entity's pronunciations, if the user gave some, else those of its spellings."""
        spelled = [one for one in entity.pronunciations if is_spelled(one)]
        given = spelled or (entity.text, *entity.aliases)
        return tuple(dict.fromkeys(letters for text in given if (letters := self._spell(text))))

    def spell(self, pronunciation: Pronunciation, count: int) -> list[tuple[str, float]]:
        """Return the spelling that the letters are: what is searched for where a name is not said as it is written."""
        return [("".join(pronunciation), 1.0)]

    def knows(self, word: str) -> bool:
        """Return False, as there is no dictionary."""
        return False
