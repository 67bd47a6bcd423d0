"""Text normalisation: the one definition of what a word is, for references, hypotheses, lists and language models.

Which letters words are written in is a value, an Alphabet. A run has one, and passes it to everything that reads text.
"""

import dataclasses
import functools
import re
import unicodedata
from collections.abc import Iterable

_TYPOGRAPHIC = str.maketrans({"’": "'", "‘": "'", "ʼ": "'", "`": "'", "´": "'", "–": "-", "—": "-", "‐": "-", "‑": "-"})
LATIN_FOLDS = (
    *(("ł", "l"), ("ø", "o"), ("đ", "d"), ("ð", "d"), ("þ", "th")),
    *(("ß", "ss"), ("æ", "ae"), ("œ", "oe"), ("ı", "i")),
)
"""Letters that Unicode does not decompose into a base letter and a mark, and what is written for them."""
_GREEK_FOLDS = (("ς", "σ"),)
_NO_SPACES = ("CJK ", "HIRAGANA ", "KATAKANA ", "THAI ", "LAO ", "KHMER ", "MYANMAR ", "TIBETAN ")
"""How Unicode's names of the letters begin in scripts that put no spaces between words."""
_TURKIC = str.maketrans({"I": "ı", "İ": "i"})
"""What Turkish, Azeri and Tatar have for the lower case of these two."""
_ENOUGH_LATIN = 13  # of a to z: a model that has so many writes Latin, and lacks only what its training text lacked


@dataclasses.dataclass(frozen=True)
class Alphabet:
    """What words are written in: ``letters``, the digits 0 to 9 and the apostrophe.

    Letters with a mark that the alphabet has are kept ("ä", "й"); of others the mark is dropped.

    letters: lower case, each one character of Unicode's composed form (NFC) and there once
    folds:   (letter, what is written for it), for letters outside the alphabet

    Raises ValueError for letters that are none of this.
    """

    letters: str
    folds: tuple[tuple[str, str], ...] = LATIN_FOLDS

    def __post_init__(self) -> None:
        wrong = [letter for letter in self.letters if not _is_letter(letter)]
        if wrong or not self.letters or len(set(self.letters)) < len(self.letters):
            raise ValueError(
                f"an alphabet of the letters {self.letters!r}: needed is at least one letter, each in lower case and "
                f"composed (NFC), and none twice; {wrong} are none."
            )

    def lower(self, text: str) -> str:
        """Return ``text`` in lower case, as the languages of these letters have it.

        >>> Alphabet(ENGLISH.letters + "çğıöşü").lower("IĞDIR, İzmir")
        'ığdır, izmir'
        """
        return (text.translate(_TURKIC) if self._is_turkic else text).lower()

    @functools.cached_property
    def _is_turkic(self) -> bool:
        return _is_turkic(self.letters)

    @property
    def writes_english(self) -> bool:
        """Whether English words can be written in it, such as those that numbers are spoken with."""
        return set(ENGLISH.letters) <= set(self.letters)

    def writes(self, character: str) -> bool:
        """Whether anything is left of a character when it is normalised."""
        return bool(normalise(character, alphabet=self))

    @functools.cached_property
    def plain(self) -> re.Pattern[str]:
        """Matches text that is only words of letters, one space between them, and so is normalised already."""
        letters = re.escape("".join(letter for letter in self.letters if not unicodedata.combining(letter)))
        return re.compile(rf"[{letters}]+(?: [{letters}]+)*\Z")

    @functools.cached_property
    def translation(self) -> dict[int, str]:
        """For str.translate: every letter that is folded, and what is written for it."""
        return str.maketrans({letter: written for letter, written in self.folds if letter not in self.letters})

    @functools.cached_property
    def kept(self) -> re.Pattern[str] | None:
        """Matches a letter that folding would change; None if there is none, as in English."""
        letters = [letter for letter in self.letters if _fold(letter, alphabet=self) != letter]
        return re.compile(f"([{re.escape(''.join(letters))}])") if letters else None

    @functools.cached_property
    def not_spoken(self) -> re.Pattern[str]:
        """Matches what stands for a space."""
        return re.compile(rf"[^{re.escape(self.letters)}0-9' ]+")

    @functools.cached_property
    def loose_apostrophe(self) -> re.Pattern[str]:
        """Matches apostrophes that no letter or digit stands before."""
        return re.compile(rf"(?<![{re.escape(self.letters)}0-9])'+|'+(?=')")


def _is_letter(character: str) -> bool:
    return (
        unicodedata.category(character)[0] in "LM"
        and character == character.lower()
        and unicodedata.is_normalized("NFC", character)
    )


def _is_turkic(letters: str) -> bool:
    return "ı" in letters and "ğ" in letters


ENGLISH = Alphabet("abcdefghijklmnopqrstuvwxyz")
"""The alphabet of the default model."""


def alphabet_of(texts: Iterable[str]) -> Alphabet | None:
    """Return the alphabet of what ``texts`` are written in, such as the pieces of a model; None without any letter.

    Where most of a to z is there, all of it is: what a model's training text lacked by chance ("q") is a letter of its
    words all the same. Accents that stand alone are no letters; letters that join them are.

    >>> alphabet_of(["SCHÖN", "groß", "abcdefghijklm"]).letters
    'abcdefghijklmnopqrstuvwxyzßö'
    """
    whole = "".join(unicodedata.normalize("NFC", text) for text in texts)
    turkic = bool(set("ıİ") & set(whole)) and bool(set("ğĞ") & set(whole))
    lowered = (whole.translate(_TURKIC) if turkic else whole).lower()
    found = {character for character in lowered if _is_letter(character) and not _is_mark(character)}
    if len(found & set(ENGLISH.letters)) >= _ENOUGH_LATIN:
        found |= set(ENGLISH.letters)
    return with_letters("".join(sorted(found))) if found else None


def _is_mark(character: str) -> bool:
    """Whether it is an accent of its own, stands for the apostrophe, or is another way to write letters ("ﬁ", "º")."""
    is_sign = "\u0300" <= character <= "\u036f" or ord(character) in _TYPOGRAPHIC
    return is_sign or unicodedata.normalize("NFKC", character) != character


def with_letters(letters: str) -> Alphabet:
    """Return the alphabet of ``letters``, each there once, with the folds that belong to them.

    Two alphabets of the same letters are the same, so the letters are all that has to be noted of one.
    Raises ValueError as Alphabet does.
    """
    return Alphabet(letters, LATIN_FOLDS + (_GREEK_FOLDS if "σ" in letters else ()))


def normalise(text: str, alphabet: Alphabet = ENGLISH) -> str:
    """Return ``text`` in lower case, accents folded, with only letters, digits, inner or final apostrophes and spaces.

    >>> normalise("Kraków's  O’Neill—rock 'n' roll")
    "krakow's o'neill rock n' roll"
    >>> normalise("Müller in Kraków", Alphabet(ENGLISH.letters + "äöüß"))
    'müller in krakow'
    """
    text = alphabet.lower(text)
    if alphabet.kept is None:
        text = _fold(text, alphabet)
    else:
        parts = alphabet.kept.split(unicodedata.normalize("NFC", text))  # what is kept is every second one
        text = "".join(part if at % 2 else _fold(part, alphabet) for at, part in enumerate(parts))
    return " ".join(alphabet.loose_apostrophe.sub(" ", alphabet.not_spoken.sub(" ", text)).split())


def parse_letters(text: str) -> Alphabet:
    """Return the alphabet that a user names: letters, and ranges of them; raises ValueError for what is none.

    >>> parse_letters("a-zäöüß").letters
    'abcdefghijklmnopqrstuvwxyzßäöü'
    """
    letters = unicodedata.normalize("NFC", text.replace(" ", ""))
    for first, last in re.findall(r"(\w)-(\w)", letters):
        if not first < last:
            raise ValueError(f"'{first}-{last}' is no range of letters.")
        letters = letters.replace(f"{first}-{last}", "".join(map(chr, range(ord(first), ord(last) + 1))))
    return with_letters("".join(sorted(set(letters))))


def unwritable(letters: Iterable[str]) -> dict[str, str]:
    """Return of ``letters`` those of scripts that this program cannot write yet, and what is missing for each.

    >>> unwritable("aшب中")
    {'ب': 'writing from right to left', '中': 'a splitter of words, as this script has no spaces'}
    """
    found: dict[str, str] = {}
    for letter in letters:
        if unicodedata.bidirectional(letter) in ("R", "AL"):
            found[letter] = "writing from right to left"
        elif unicodedata.name(letter, "").startswith(_NO_SPACES):
            found[letter] = "a splitter of words, as this script has no spaces"
    return found


def _fold(text: str, alphabet: Alphabet) -> str:
    """Return ``text`` in plain signs, with letters folded and without marks."""
    text = unicodedata.normalize("NFKD", text.translate(_TYPOGRAPHIC).translate(alphabet.translation))
    return "".join(character for character in text if not unicodedata.combining(character))


def foreign_letters(text: str, alphabet: Alphabet = ENGLISH) -> str:
    """Return the letters and digits of ``text`` that normalisation would lose, each once; marks and signs may be lost.

    Whoever reads a text that must not lose words asks this first: what it returns is an error, never silence.

    >>> foreign_letters("the москва River")
    'москва'
    """
    if text.isascii() and alphabet.writes_english:
        return ""
    return "".join(dict.fromkeys(character for character in text if not _is_writable(character, alphabet)))


@functools.lru_cache(maxsize=4096)
def _is_writable(character: str, alphabet: Alphabet) -> bool:
    return not character.isalnum() or alphabet.writes(character)
