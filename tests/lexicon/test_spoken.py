import pytest

from pipeline.lexicon.spoken import cardinal, digits, is_spelled_out, ordinal, roman


@pytest.mark.parametrize(
    ("number", "said"),
    [(0, "zero"), (19, "nineteen"), (60, "sixty"), (905, "nine hundred five"), (1_000_001, "one million one")],
)
def test_cardinal(number: int, said: str) -> None:
    assert " ".join(cardinal(number)) == said


@pytest.mark.parametrize(
    ("number", "said"),
    [(1, "first"), (12, "twelfth"), (20, "twentieth"), (28, "twenty eighth"), (100, "one hundredth")],
)
def test_ordinal(number: int, said: str) -> None:
    assert " ".join(ordinal(number)) == said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1984", "nineteen eighty four"),
        ("1905", "nineteen o five"),
        ("2007", "two thousand seven"),
        ("5", "five"),
        ("007", "zero zero seven"),
        ("911", "nine hundred eleven"),
    ],
)
def test_first_reading_of_digits(text: str, said: str) -> None:
    assert " ".join(digits(text)[0]) == said


def test_other_readings_of_digits() -> None:
    assert ("nine", "one", "one") in digits("911")
    assert ("nine", "eleven") in digits("911")
    assert digits("1234567890123")[0][:2] == ("one", "two")


def test_roman_numerals() -> None:
    assert roman("VIII") == (("the", "eighth"), ("eight",))
    assert roman("XIV")[1] == ("fourteen",)
    assert roman("MIX") == roman("X") == roman("viii") == ()


def test_spelled_out() -> None:
    assert [token for token in ("BBC", "B.B.C.", "bbc", "Bob", "rhythm", "NASDAQ") if is_spelled_out(token)] == [
        "BBC",
        "B.B.C.",
        "bbc",
    ]
