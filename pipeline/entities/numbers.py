"""Numbers spoken out: recognisers write words, entity lists write digits ("COVID-19", "5-FU", "Boeing 747")."""

import re

_ONES = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"),
    *("ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
)
_TENS = ("zero", "ten", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_SCALES = ((10**12, "trillion"), (10**9, "billion"), (10**6, "million"), (1000, "thousand"), (100, "hundred"))
_LONGEST_CARDINAL = 6
"""Digits. Longer numbers (telephone, account and product numbers) are read digit by digit."""
_IRREGULAR_ORDINALS = {
    "one": "first",
    "two": "second",
    "three": "third",
    "five": "fifth",
    "eight": "eighth",
    "nine": "ninth",
    "twelve": "twelfth",
}
_NUMBER = re.compile(r"([0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)(?:\.([0-9]+))?(st|nd|rd|th)?(?![0-9])", re.IGNORECASE)


def cardinal(value: int) -> str:
    """Return ``value`` (0 to below 10**15) in words: 745 -> "seven hundred forty five"."""
    if value < 20:
        return _ONES[value]
    if value < 100:
        return _TENS[value // 10] + (f" {_ONES[value % 10]}" if value % 10 else "")
    scale, name = next((scale, name) for scale, name in _SCALES if value >= scale)
    rest = value % scale
    return f"{cardinal(value // scale)} {name}" + (f" {cardinal(rest)}" if rest else "")


def ordinal(value: int) -> str:
    """Return ``value`` as an ordinal: 21 -> "twenty first"."""
    *front, last = cardinal(value).split()
    if last not in _IRREGULAR_ORDINALS:
        return " ".join([*front, f"{last[:-1]}ieth" if last.endswith("y") else f"{last}th"])
    return " ".join([*front, _IRREGULAR_ORDINALS[last]])


def digit_by_digit(digits: str) -> str:
    """Return "407" as "four zero seven"."""
    return " ".join(_ONES[int(digit)] for digit in digits)


def _in_pairs(digits: str) -> str:
    """Return "747" as "seven forty seven" and "1984" as "nineteen eighty four": how models and years are read."""
    head, tail = digits[:-2], digits[-2:]
    if tail == "00":
        return f"{cardinal(int(head))} hundred"
    return f"{cardinal(int(head))} " + (f"oh {_ONES[int(tail[1])]}" if tail[0] == "0" else cardinal(int(tail)))


def readings(digits: str) -> list[str]:
    """Return the ways in which a string of digits is read, the likeliest first, each once."""
    if len(digits) > _LONGEST_CARDINAL or (digits[0] == "0" and len(digits) > 1):
        return [digit_by_digit(digits)]
    value = int(digits)
    ways = [cardinal(value)]
    if len(digits) in (3, 4) and value % 1000:
        is_year = 1100 <= value < 2000 or 2010 <= value < 2100
        ways.insert(0 if is_year else 1, _in_pairs(digits))
    return list(dict.fromkeys([*ways, digit_by_digit(digits)]))


def speak(text: str) -> list[str]:
    """Return ``text`` with its numbers spoken out, one variant per way of reading them, the likeliest first.

    All numbers of one variant are read in the same way, so the count of variants does not multiply.

    >>> speak("COVID-19")
    ['COVID- nineteen ', 'COVID- one nine ']
    """
    found = list(_NUMBER.finditer(text))
    spoken = [_spoken_forms(*match.groups()) for match in found]
    variants = []
    for rank in range(max((len(forms) for forms in spoken), default=0)):
        parts, position = [], 0
        for match, forms in zip(found, spoken, strict=True):
            parts += [text[position : match.start()], " ", forms[min(rank, len(forms) - 1)], " "]
            position = match.end()
        variants.append("".join([*parts, text[position:]]))
    return list(dict.fromkeys(variants)) or [text]


def _spoken_forms(whole: str, decimals: str | None, suffix: str | None) -> list[str]:
    digits = whole.replace(",", "")
    if suffix and not decimals and len(digits) <= _LONGEST_CARDINAL:
        return [ordinal(int(digits))]
    after = (f" point {digit_by_digit(decimals)}" if decimals else "") + (f" {suffix}" if suffix else "")
    ways = [cardinal(int(digits))] if "," in whole and int(digits) < 10**15 else readings(digits)
    return [way + after for way in ways]
