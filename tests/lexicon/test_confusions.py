from pathlib import Path

import pytest

from pipeline.errors import ModelError
from pipeline.lexicon.confusions import learn, letter_runs, read_table, respell, word_pairs


def test_words_stand_against_words() -> None:
    pairs = list(word_pairs("mr phillips went home today", "mr filips went to rome today"))
    assert pairs == [("mr", "mr"), ("phillips", "filips"), ("went", "went"), ("today", "today")]


@pytest.mark.parametrize(
    ("word", "written", "runs"),
    [
        ("smith", "smyth", [("i", "y")]),
        ("matt", "mat", [("tt", "t")]),
        ("ann", "anne", [("n", "ne")]),
        ("knight", "night", [("kn", "n")]),
        ("same", "same", []),
    ],
)
def test_runs_that_differ(word: str, written: str, runs: list[tuple[str, str]]) -> None:
    assert list(letter_runs(word, written)) == runs


def test_habits_are_learned_and_slips_are_not() -> None:
    wrong = [("phone", "fone"), ("graphs", "grafs"), ("sophia", "sofia"), ("cat", "bat")]
    of_one_word = [("ship", "sheep")] * 9 + [("ship", "elephant")] * 9
    assert learn([*wrong, *of_one_word, *[("graph", "graph")] * 3]) == {"ph": {"f": 0.5}}


def test_spellings_multiply_and_have_a_least_probability() -> None:
    table = {"ph": {"f": 0.5}, "i": {"y": 0.1, "ee": 0.2}}
    assert respell("sophia", table, 9, 0.06) == [("sofia", 0.5), ("sopheea", 0.2), ("sofeea", 0.1), ("sophya", 0.1)]
    assert respell("sophia", table, 1, 0.06) == [("sofia", 0.5)]
    assert respell("bob", table, 9, 0.0) == []


def test_damaged_table(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="not a table of spelling confusions"):
        read_table(tmp_path / "none.json")
    (tmp_path / "list.json").write_text("[1]")
    with pytest.raises(ModelError, match="not a table"):
        read_table(tmp_path / "list.json")
