"""The 39 ARPAbet phones of CMUdict without stress, and how far apart they sound.

What pronunciations are made of is a value, Units: these phones, or the letters of a model whose language has no
pronunciations here (pipeline.lexicon.letters).
"""

import dataclasses
import functools
from collections.abc import Container, Iterable

import numpy as np
import numpy.typing as npt

from pipeline.errors import InputError

PHONES = (
    "AA", "AE", "AH", "AO", "AW", "AY", "B", "CH", "D", "DH", "EH", "ER", "EY", "F", "G", "HH", "IH", "IY", "JH", "K",
    "L", "M", "N", "NG", "OW", "OY", "P", "R", "S", "SH", "T", "TH", "UH", "UW", "V", "W", "Y", "Z", "ZH",
)  # fmt: skip
"""Fixed order; column p + 1 of a phone head is PHONES[p], column 0 the blank."""

PHONE_IDS = {phone: id_ for id_, phone in enumerate(PHONES)}

Pronunciation = tuple[str, ...]

# Consonants: place 0 (lips) to 1 (glottis), manner 0 (stop) to 1 (glide), voiced, nasal, sibilant.
_CONSONANTS = {
    "P": (0.0, 0.0, 0, 0, 0), "B": (0.0, 0.0, 1, 0, 0), "T": (0.4, 0.0, 0, 0, 0), "D": (0.4, 0.0, 1, 0, 0),
    "K": (0.8, 0.0, 0, 0, 0), "G": (0.8, 0.0, 1, 0, 0), "CH": (0.5, 0.25, 0, 0, 1), "JH": (0.5, 0.25, 1, 0, 1),
    "F": (0.1, 0.5, 0, 0, 0), "V": (0.1, 0.5, 1, 0, 0), "TH": (0.3, 0.5, 0, 0, 0), "DH": (0.3, 0.5, 1, 0, 0),
    "S": (0.4, 0.5, 0, 0, 1), "Z": (0.4, 0.5, 1, 0, 1), "SH": (0.5, 0.5, 0, 0, 1), "ZH": (0.5, 0.5, 1, 0, 1),
    "HH": (1.0, 0.5, 0, 0, 0), "M": (0.0, 0.3, 1, 1, 0), "N": (0.4, 0.3, 1, 1, 0), "NG": (0.8, 0.3, 1, 1, 0),
    "L": (0.4, 0.8, 1, 0, 0), "R": (0.5, 0.9, 1, 0, 0), "W": (0.2, 1.0, 1, 0, 0), "Y": (0.6, 1.0, 1, 0, 0),
}  # fmt: skip
# Vowels: height, backness, rounding, r-colour, at the start and at the end (diphthongs move).
_VOWELS = {
    "IY": ((1.0, 0.0, 0, 0),) * 2, "IH": ((0.8, 0.15, 0, 0),) * 2, "EH": ((0.5, 0.1, 0, 0),) * 2,
    "AE": ((0.2, 0.1, 0, 0),) * 2, "AH": ((0.45, 0.5, 0, 0),) * 2, "AA": ((0.0, 0.8, 0, 0),) * 2,
    "AO": ((0.2, 1.0, 1, 0),) * 2, "UH": ((0.8, 0.85, 1, 0),) * 2, "UW": ((1.0, 1.0, 1, 0),) * 2,
    "ER": ((0.5, 0.5, 0, 1),) * 2, "EY": ((0.6, 0.05, 0, 0), (0.9, 0.1, 0, 0)),
    "AY": ((0.1, 0.5, 0, 0), (0.9, 0.1, 0, 0)), "OW": ((0.6, 0.9, 1, 0), (0.8, 0.95, 1, 0)),
    "AW": ((0.1, 0.5, 0, 0), (0.8, 0.9, 1, 0)), "OY": ((0.3, 1.0, 1, 0), (0.9, 0.1, 0, 0)),
}  # fmt: skip
_CONSONANT_WEIGHTS = (1.0, 1.0, 0.3, 0.6, 0.3)  # voicing is what a listener confuses first
_VOWEL_WEIGHTS = (0.8, 0.6, 0.2, 0.5)
_GLIDES = {("W", "UW"), ("Y", "IY"), ("R", "ER")}  # the same gesture with and without a syllable


def _distance(first: str, second: str) -> float:
    if first == second:
        return 0.0
    if (first, second) in _GLIDES or (second, first) in _GLIDES:
        return 0.3
    if first in _CONSONANTS and second in _CONSONANTS:
        rows = zip(_CONSONANT_WEIGHTS, _CONSONANTS[first], _CONSONANTS[second], strict=True)
        return min(1.0, 0.1 + sum(weight * abs(a - b) for weight, a, b in rows))
    if first in _VOWELS and second in _VOWELS:
        ends = zip(_VOWELS[first], _VOWELS[second], strict=True)
        each = [sum(w * abs(a - b) for w, a, b in zip(_VOWEL_WEIGHTS, x, y, strict=True)) for x, y in ends]
        return min(1.0, 0.1 + sum(each) / 2)
    return 1.0


@functools.cache
def substitution_costs() -> npt.NDArray[np.float32]:
    """[39, 39] articulatory distance in the order of PHONES: 0 equal, 1 unrelated; symmetric."""
    return np.array([[_distance(a, b) for b in PHONES] for a in PHONES], np.float32)


_GAP = 0.7  # an inserted or dropped phone or letter, where 1 is the substitution of unrelated ones
_WEAK_GAP = 0.4  # of those that come and go in connected speech
_WEAK = ("AH", "IH", "HH", "ER", "R", "T", "D")


def gap_costs(names: Iterable[str] = PHONES, weak: Container[str] = _WEAK) -> npt.NDArray[np.float32]:
    """[N] cost of inserting or dropping each, by default of the phones; ``weak`` ones come and go."""
    return np.array([_WEAK_GAP if name in weak else _GAP for name in names], np.float32)


@dataclasses.dataclass(frozen=True, eq=False)
class Units:
    """What pronunciations are made of; column k + 1 of the log-probs that they are laid on is names[k], 0 the blank.

    substitutions: [N, N] 0 equal to 1 unrelated, symmetric; gaps: [N] cost of inserting or dropping each
    """

    names: tuple[str, ...]
    substitutions: npt.NDArray[np.float32]
    gaps: npt.NDArray[np.float32]

    @functools.cached_property
    def ids(self) -> dict[str, int]:
        """The index of each name."""
        return {name: id_ for id_, name in enumerate(self.names)}

    def ids_of(self, pronunciation: Pronunciation) -> npt.NDArray[np.int64]:
        """Return indices into ``names``."""
        return np.array([self.ids[name] for name in pronunciation], np.int64)


MOST_UNITS = 63
"""Different phones, or letters, that a list's index can hold: six bits for each (pipeline.retrieval.sound_index)."""


def phone_ids(pronunciation: Pronunciation) -> npt.NDArray[np.int64]:
    """Return indices into PHONES."""
    return ARPABET.ids_of(pronunciation)


ARPABET = Units(PHONES, substitution_costs(), gap_costs())
"""The phones of English: what every pronunciation is made of unless something else is said."""


def parse_phones(text: str) -> Pronunciation:
    """Read ``"Z EH1 L AH0"`` in any case, with or without stress; raises InputError naming the unknown phone."""
    phones = tuple(phone.rstrip("012") for phone in text.upper().split())
    unknown = [phone for phone in phones if phone not in PHONE_IDS]
    if unknown or not phones:
        raise InputError(
            f"pronunciation '{text}': {unknown or 'empty'}; needed are ARPAbet phones, {' '.join(PHONES)}."
        )
    return phones
