"""The linter on small lists, with the shipped language model and pronunciations; and rare words."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from jobs.lint_list import main
from pipeline.lexicon.phone_index import PhoneIndex
from pipeline.lexicon.phones import parse_phones
from pipeline.lint.nearby import SoundTrie, distance
from pipeline.lint.spelling import _apart_by_one
from tests.support.shared_data import SHARED, needs_shared_data

LIST = """entity,aliases,pronunciations,weight
Zelenskyy,,,
Łódź,,W UH CH,
Lodz,,,
Zelenskyy,,,
Киев,,,
Knott,,,
Government,,,
Say,,,0.3
Bly,,,
Peskov,,B AE N AE N AH,
Peskova,,P EH S QQ,
Aaron,,,
Erin Brown,Aaron,,
New York,,,
New York Times,,,
Rhys,,,0
Reese,,,
"""


@pytest.fixture(scope="module")
def linted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """All findings about LIST by kind, and the exit code."""
    folder = tmp_path_factory.mktemp("lint")
    (folder / "list.csv").write_text(LIST, encoding="utf-8")
    code = main([str(folder / "list.csv"), "--output", str(folder / "found.json")])
    facts = json.loads((folder / "found.json").read_text())
    examples = {kind: {one["entry"]: one for one in those["examples"]} for kind, those in facts["kinds"].items()}
    return examples | {"facts": facts, "code": code, "path": folder / "list.csv"}


def test_what_cannot_be_used_is_an_error_with_its_row(linted: dict[str, Any]) -> None:
    assert linted["unusable"]["Киев"]["row"] == 5
    assert "QQ" in linted["bad_pronunciation"]["Peskova"]["detail"]
    assert (linted["facts"]["errors"], linted["code"]) == (2, 1)


def test_what_repeats(linted: dict[str, Any]) -> None:
    assert linted["duplicate"]["Zelenskyy"]["row"] == 4
    assert "Łódź" in linted["variant"]["Lodz"]["detail"]
    assert linted["shared_spelling"]["Erin Brown"]["detail"] == "its alias 'aaron' is also 'Aaron'"
    assert linted["near_duplicate"]["Peskov"]["detail"] == "'Peskova'"
    assert linted["contained"]["New York"]["detail"] == "in 'New York Times'"


def test_common_words_and_what_sounds_like_them(linted: dict[str, Any]) -> None:
    assert "Government" in linted["common_word"]
    assert "Say" not in linted["common_word"]  # it has been weighed down already
    assert linted["common_sound"]["Knott"]["detail"] == "'not'"
    assert "Zelenskyy" not in {*linted["common_sound"], *linted["near_common_sound"]}
    assert linted["same_sound"]["Reese"]["detail"] == "'Rhys'"


def test_short_odd_and_guessed_pronunciations(linted: dict[str, Any]) -> None:
    assert linted["short"]["Bly"]["detail"] == "/B L AY/"
    assert list(linted["odd_pronunciation"]) == ["Peskov"]
    assert "Zelenskyy" in linted["guessed_pronunciation"]
    assert "Aaron" not in linted["guessed_pronunciation"]
    assert list(linted["off"]) == ["Rhys"]


def test_every_finding_says_what_to_do(linted: dict[str, Any]) -> None:
    found = [one for those in linted["facts"]["kinds"].values() for one in those["examples"]]
    assert all(one["suggestion"] and one["severity"] in ("error", "warning", "info") for one in found)


def test_a_clean_list_is_exit_code_0_and_strict_counts_warnings(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "clean.txt").write_text("Volodymyr Zelenskyy\nWrocław\n", encoding="utf-8")
    assert main([str(tmp_path / "clean.txt"), "--strict", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["warnings"] == 0
    (tmp_path / "doubtful.txt").write_text("Government\n")
    assert main([str(tmp_path / "doubtful.txt")]) == 0
    assert "common_word" in capsys.readouterr().out
    assert main([str(tmp_path / "doubtful.txt"), "--strict"]) == 1
    assert main([str(tmp_path / "none.txt")]) == 2


def test_signs_that_are_left_out_and_comments_are_said(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("# money\n$100\nC#\nC++\n")
    main([str(tmp_path / "list.txt"), "--output", str(tmp_path / "found.json")])
    kinds = json.loads((tmp_path / "found.json").read_text())["kinds"]
    said = {one["entry"]: one["detail"] for one in kinds["sign_not_said"]["examples"]}
    assert said == {"$100": "'$'; it is sought as 'one hundred'", "C#": "'#'; it is sought as 'c'"}
    assert [one["entry"] for one in kinds["comment"]["examples"]] == ["# money"]


def test_lists_per_utterance_are_one_list(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "lists.tsv").write_text('a\t["Lviv", "Government"]\nb\t["Lviv", "🎉"]\n', encoding="utf-8")
    assert main([str(tmp_path / "lists.tsv"), "--json"]) == 1
    facts = json.loads(capsys.readouterr().out)
    assert facts["entities"] == 3
    assert facts["kinds"]["unusable"]["examples"][0]["entry"] == "🎉"


def test_the_trie_finds_what_comparing_with_each_finds() -> None:
    names = ["JH AA N", "JH OW N", "SH AO N", "M EH R IY", "M AA R IY AH", "B AE N AE N AH", "EH S"]
    phones = [parse_phones(name) for name in names]
    index, trie = PhoneIndex([(" ".join(one), one) for one in phones]), SoundTrie(phones)
    for one, near in zip(phones, trie.near(phones, 0.4), strict=True):
        expected = {match.key: round(match.distance, 5) for match in index.nearest(one, 0.4, 8)}
        assert {" ".join(trie.sounds[at]): round(apart, 5) for apart, at in near} == expected
    assert distance(phones[0], phones[0]) == 0.0
    assert SoundTrie([]).near(phones, 0.5) == [[]] * len(phones)


@pytest.mark.parametrize(
    ("first", "second", "near"),
    [
        ("marie", "maria", True),
        ("marie", "marrie", True),
        ("marie", "maire", True),
        ("marie", "amirie", False),
        ("marie", "mario n", False),
    ],
)
def test_one_letter_apart(first: str, second: str, near: bool) -> None:
    assert _apart_by_one(first, second) is near
    assert _apart_by_one(second, first) is near


@needs_shared_data
def test_thousands_of_rare_words_take_seconds(tmp_path: Path) -> None:
    words = (SHARED / "is21_deep_bias" / "all_rare_words.txt").read_text().split()[::60]
    (tmp_path / "rare.txt").write_text("\n".join(words))
    before = os.times()
    assert main([str(tmp_path / "rare.txt"), "--output", str(tmp_path / "found.json")]) == 0
    spent = os.times().user - before.user
    facts = json.loads((tmp_path / "found.json").read_text())
    assert facts["entities"] == len(words)
    assert facts["kinds"]["guessed_pronunciation"]["findings"] > 1000
    assert spent < 60  # processor time; 61,000 words: benchmarks/results/lint.md
