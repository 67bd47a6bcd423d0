"""Text normalisation: the one definition of what a word is, for references, hypotheses, lists and language models."""

import re
import unicodedata

_TYPOGRAPHIC = str.maketrans({"’": "'", "‘": "'", "ʼ": "'", "`": "'", "´": "'", "–": "-", "—": "-", "‐": "-", "‑": "-"})
# Letters that Unicode does not decompose into a base letter and a mark.
_LETTERS = str.maketrans({"ł": "l", "ø": "o", "đ": "d", "ð": "d", "þ": "th", "ß": "ss", "æ": "ae", "œ": "oe", "ı": "i"})
_NOT_SPOKEN = re.compile(r"[^a-z0-9' ]+")
_LOOSE_APOSTROPHE = re.compile(r"(?<![a-z0-9])'+|'+(?=')")


def normalise(text: str) -> str:
    """Return ``text`` in lower case, accents folded, with only letters, digits, inner or final apostrophes and spaces.

    >>> normalise("Kraków's  O’Neill—rock 'n' roll")
    "krakow's o'neill rock n' roll"
    """
    text = unicodedata.normalize("NFKD", text.lower().translate(_TYPOGRAPHIC).translate(_LETTERS))
    text = "".join(character for character in text if not unicodedata.combining(character))
    return " ".join(_LOOSE_APOSTROPHE.sub(" ", _NOT_SPOKEN.sub(" ", text)).split())
