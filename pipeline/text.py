"""Text normalisation: the one definition of what a word is, for references, hypotheses, lists and language models.

Which letters words are written in is a value, an Alphabet. A run has one, and passes it to everything that reads text.
"""

import dataclasses
import functools
import re
import unicodedata

_TYPOGRAPHIC = str.maketrans({"’": "'", "‘": "'", "ʼ": "'", "`": "'", "´": "'", "–": "-", "—": "-", "‐": "-", "‑": "-"})
LATIN_FOLDS = (
    *(("ł", "l"), ("ø", "o"), ("đ", "d"), ("ð", "d"), ("þ", "th")),
    *(("ß", "ss"), ("æ", "ae"), ("œ", "oe"), ("ı", "i")),
)
"""Letters that Unicode does not decompose into a base letter and a mark, and what is written for them."""


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


ENGLISH = Alphabet("abcdefghijklmnopqrstuvwxyz")
"""The alphabet of the models of today."""


def normalise(text: str, alphabet: Alphabet = ENGLISH) -> str:
    """Return ``text`` in lower case, accents folded, with only letters, digits, inner or final apostrophes and spaces.

    >>> normalise("Kraków's  O’Neill—rock 'n' roll")
    "krakow's o'neill rock n' roll"
    >>> normalise("Müller in Kraków", Alphabet(ENGLISH.letters + "äöüß"))
    'müller in krakow'
    """
    text = text.lower()
    if alphabet.kept is None:
        text = _fold(text, alphabet)
    else:
        parts = alphabet.kept.split(unicodedata.normalize("NFC", text))  # what is kept is every second one
        text = "".join(part if at % 2 else _fold(part, alphabet) for at, part in enumerate(parts))
    return " ".join(alphabet.loose_apostrophe.sub(" ", alphabet.not_spoken.sub(" ", text)).split())


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
