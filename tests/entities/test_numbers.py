import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.entities.numbers import cardinal, ordinal, readings, speak


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0, "zero"),
        (13, "thirteen"),
        (40, "forty"),
        (99, "ninety nine"),
        (100, "one hundred"),
        (745, "seven hundred forty five"),
        (1_000_001, "one million one"),
        (12_345, "twelve thousand three hundred forty five"),
    ],
)
def test_cardinals(value: int, words: str) -> None:
    assert cardinal(value) == words


@pytest.mark.parametrize(
    ("value", "words"),
    [(1, "first"), (2, "second"), (12, "twelfth"), (20, "twentieth"), (21, "twenty first"), (100, "one hundredth")],
)
def test_ordinals(value: int, words: str) -> None:
    assert ordinal(value) == words


@pytest.mark.parametrize(
    ("digits", "ways"),
    [
        ("19", ["nineteen", "one nine"]),
        ("1984", ["nineteen eighty four", "one thousand nine hundred eighty four", "one nine eight four"]),
        ("2000", ["two thousand", "two zero zero zero"]),
        ("747", ["seven hundred forty seven", "seven forty seven", "seven four seven"]),
        ("007", ["zero zero seven"]),
        ("5551234", ["five five five one two three four"]),
    ],
)
def test_readings(digits: str, ways: list[str]) -> None:
    assert readings(digits) == ways


def test_variants_do_not_multiply() -> None:
    assert speak("5 of 12") == [" five  of  twelve ", " five  of  one two "]


def test_text_without_digits_is_itself() -> None:
    assert speak("Zelensky") == ["Zelensky"]


@given(st.text(alphabet="0123456789.,-ab ", max_size=30))
def test_no_digit_survives(text: str) -> None:
    assert not any(character.isdigit() for variant in speak(text) for character in variant)
