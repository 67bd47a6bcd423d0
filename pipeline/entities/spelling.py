"""From an entry as a user wrote it to the spellings that the recogniser can write, or the reason why there are none."""

import re
import unicodedata

from pipeline.entities.numbers import speak
from pipeline.errors import RowError
from pipeline.text import ENGLISH, Alphabet, foreign_letters, normalise

MAX_CHARACTERS = 200
"""Longest entry. A name of 200 characters takes over ten seconds to say; longer ones are pasted text, not names."""

_SYMBOLS = str.maketrans({"&": " and ", "%": " percent ", "+": " plus ", "@": " at "})
_SILENT_SIGNS = frozenset("#*\\^_")  # beside Unicode's own symbols
_HAS_DIGIT = re.compile(r"[0-9]")


def spellings(entry: str, alphabet: Alphabet = ENGLISH) -> list[str]:
    """Return the normalised spellings of ``entry``, the one that is spoken likeliest first.

    Digits are spoken out, in English and so only where the alphabet can write that; the written form follows as a
    further spelling, so that references with digits match too.
    Raises RowError with the reason if nothing of it can be recognised, or if only a part could be.

    >>> spellings("COVID-19")
    ['covid nineteen', 'covid one nine', 'covid 19']
    """
    if len(entry) <= MAX_CHARACTERS and alphabet.plain.match(entry):
        return [entry]  # most entries of most lists; 10 times faster than what follows
    _check(entry, alphabet)
    compatible = unicodedata.normalize("NFKC", entry)
    variants = speak(compatible.translate(_SYMBOLS)) if alphabet.writes_english else [compatible]
    forms = [normalise(variant, alphabet) for variant in variants]
    if _HAS_DIGIT.search(compatible) or "&" in compatible:
        forms.append(normalise(compatible, alphabet))
    forms = [form for form in dict.fromkeys(forms) if form]
    if not forms:
        raise RowError("has no letter or digit that can be spoken")
    return forms


def unsaid_signs(entry: str) -> str:
    """Return the signs of ``entry`` that change what is said and are left out, each once: "$100" is not "100".

    Symbols (currencies, arrows, emoji) and such as '#'; not punctuation, nor signs that are spoken, such as '&'.

    >>> unsaid_signs("C# for $100")
    '#$'
    """
    if entry.isascii() and entry.replace(" ", "").isalnum():
        return ""
    left = unicodedata.normalize("NFKC", entry).translate(_SYMBOLS)
    return "".join(dict.fromkeys(sign for sign in left if _is_silent(sign)))


def _is_silent(character: str) -> bool:
    is_quote = unicodedata.category(character) == "Sk"  # accents that stand alone, used as apostrophes
    return not is_quote and (unicodedata.category(character)[0] == "S" or character in _SILENT_SIGNS)


def _check(entry: str, alphabet: Alphabet) -> None:
    if not entry.strip():
        raise RowError("is empty")
    if len(entry) > MAX_CHARACTERS:
        raise RowError(f"has {len(entry)} characters, at most {MAX_CHARACTERS} are allowed")
    foreign = foreign_letters(entry, alphabet)
    if foreign:
        raise RowError(_foreign(foreign[:20], alphabet))


def _foreign(letters: str, alphabet: Alphabet) -> str:
    if alphabet == ENGLISH:
        return f"has letters that an English recogniser cannot write ('{letters}'); give a Latin spelling"
    return f"has letters that the model cannot write ('{letters}'); give a spelling in its own, {alphabet.letters}"
