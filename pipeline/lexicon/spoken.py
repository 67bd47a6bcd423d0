"""How a written token is said: numbers, letters one by one, possessives. Everything else is a word."""

import re

_ONES = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
_TENS = ("zero", "ten", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_SCALES = ((10**9, "billion"), (10**6, "million"), (1000, "thousand"), (100, "hundred"))
_ORDINALS = {
    "one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth", "nine": "ninth",
    "twelve": "twelfth",
}  # fmt: skip
_ROMAN = {"I": 1, "V": 5, "X": 10}
_LONGEST_NUMBER = 12  # digits; longer ones are codes, said digit by digit

Words = tuple[str, ...]


def cardinal(number: int) -> Words:
    """
    >>> cardinal(2026)
    ('two', 'thousand', 'twenty', 'six')
    """
    if number < 20:
        return (_ONES[number],)
    if number < 100:
        return (_TENS[number // 10], *(cardinal(number % 10) if number % 10 else ()))
    scale, name = next((scale, name) for scale, name in _SCALES if number >= scale)
    return (*cardinal(number // scale), name, *(cardinal(number % scale) if number % scale else ()))


def ordinal(number: int) -> Words:
    """
    >>> ordinal(21)
    ('twenty', 'first')
    """
    *head, last = cardinal(number)
    if last in _ORDINALS:
        return (*head, _ORDINALS[last])
    return (*head, last.removesuffix("y") + "ieth" if last.endswith("y") else last.removesuffix("t") + "th")


def digits(text: str) -> tuple[Words, ...]:
    """Readings of a run of digits, the likeliest first: as a number, in pairs as years are, one by one."""
    singly = tuple(_ONES[int(digit)] for digit in text)
    if len(text) > _LONGEST_NUMBER or (len(text) > 1 and text[0] == "0"):
        return (singly, tuple("o" if word == "zero" else word for word in singly))
    number = int(text)
    found = [cardinal(number)]
    if (len(text) == 4 and number % 1000 >= 100) or 1000 < number < 2000:
        found.insert(0, _as_year(number))
    if len(text) == 3:
        found.append((*cardinal(number // 100), *_pair(number % 100)))
    return tuple(dict.fromkeys([*found, singly]))


def _as_year(number: int) -> Words:
    head, tail = divmod(number, 100)
    return (*cardinal(head), *(("hundred",) if tail == 0 else _pair(tail)))


def _pair(number: int) -> Words:
    return ("o", *cardinal(number)) if number < 10 else cardinal(number)


def roman(token: str) -> tuple[Words, ...]:
    """Readings of II to XXXIX in capitals ("Henry VIII": the eighth, or eight); nothing for anything else."""
    if not re.fullmatch(r"(?=..)X{0,3}(IX|IV|V?I{0,3})", token):
        return ()
    values = [_ROMAN[letter] for letter in token]
    number = sum(-v if v < following else v for v, following in zip(values, [*values[1:], 0], strict=True))
    return (("the", *ordinal(number)), cardinal(number))


def is_spelled_out(token: str) -> bool:
    """Whether a token looks like letters said one by one: B.B.C., BBC, or bbc (no vowel)."""
    letters = token.replace(".", "")
    if not re.fullmatch(r"[A-Za-z]{1,6}", letters):
        return False
    dotted = re.fullmatch(r"([A-Za-z]\.)+[A-Za-z]?\.?", token) is not None
    capitals = letters.isupper() and len(letters) <= 5
    return dotted or capitals or not re.search(r"[aeiouy]", letters.lower())
