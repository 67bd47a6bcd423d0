"""The public lists: what names are replaced by, and which words are names somewhere. No list of a user is ever one."""

import functools
import gzip
import lzma
from collections.abc import Mapping
from pathlib import Path

from pipeline.config import LanguageModelConfig
from pipeline.decoding.language_model import common_words

_DATA = Path(__file__).resolve().parent / "data"
COMMON = 5000
"""So many of the language model's commonest words are names only where a list or an entity says so."""


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


ONES = _words("zero one two three four five six seven eight nine")
CARDINALS = ONES + _words(
    "ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen "
    "twenty thirty forty fifty sixty seventy eighty ninety"
)
_ORDINALS = _words(
    "third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth fifteenth sixteenth "
    "seventeenth eighteenth nineteenth twentieth thirtieth fortieth fiftieth sixtieth seventieth eightieth ninetieth "
    "hundredth thousandth"
)
_SCALES = _words("hundred thousand million billion trillion dozen hundreds thousands millions")
UNSURE_NUMBERS = frozenset(_words("one first second oh"))
"""Numbers only beside another one."""
NUMBERS = frozenset(CARDINALS + _SCALES + _ORDINALS) - UNSURE_NUMBERS
MONTHS = _words("january february march april may june july august september october november december")
UNSURE_DATES = frozenset(_words("march may"))
"""Dates only near a number."""
DAYS = _words("monday tuesday wednesday thursday friday saturday sunday")
_CALLED = _words(
    "alpha bravo charlie delta echo foxtrot golf hotel india juliet kilo lima mike november oscar papa quebec romeo "
    "sierra tango uniform victor whiskey xray yankee zulu"
)


@functools.cache
def surrogates() -> Mapping[str, tuple[str, ...]]:
    """Return for each class of names what is written for them, sorted; none is a word of the shipped vocabulary."""
    found: dict[str, list[str]] = {}
    for line in gzip.decompress((_DATA / "surrogates.txt.gz").read_bytes()).decode().splitlines():
        kind, name = line.split(" ")
        found.setdefault(kind, []).append(name)
    lists = {kind: tuple(names) for kind, names in found.items()}
    letters = tuple("abcdefghijklmnopqrstuvwxyz")
    own = {"number": CARDINALS, "date": (*MONTHS, *DAYS), "letter": letters, "phone": ONES, "email": _CALLED}
    return lists | own


@functools.cache
def known_names() -> frozenset[str]:
    """Return every word that is a name in a public list and not one of the commonest words."""
    names = lzma.decompress((_DATA / "known_names.txt.xz").read_bytes()).decode().split()
    return frozenset(names) - frozenset(common_words(LanguageModelConfig().path, COMMON))
