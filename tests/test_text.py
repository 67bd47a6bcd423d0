import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.text import normalise


@pytest.mark.parametrize(
    ("came", "wanted"),
    [
        ("Kraków's  O’Neill", "krakow's o'neill"),
        ("ZELENSKYY, 5-FU!", "zelenskyy 5 fu"),
        ("rock 'n' roll", "rock n' roll"),
        ("the dogs' bowl", "the dogs' bowl"),
        ("Łódź Straße Ørsted", "lodz strasse orsted"),
        ("", ""),
        ("中文 🙂", ""),
    ],
)
def test_examples(came: str, wanted: str) -> None:
    assert normalise(came) == wanted


@given(st.text())
def test_normalising_twice_changes_nothing(text: str) -> None:
    once = normalise(text)
    assert normalise(once) == once
    assert set(once) <= set("abcdefghijklmnopqrstuvwxyz0123456789' ")
