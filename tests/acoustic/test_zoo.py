"""What users bring: each checkpoint loads, or says in one line what is missing; the docs show what came of each."""

import functools
from pathlib import Path

import pytest

from tests.support.zoo import CASES, Case, table, tried

DOCS = Path(__file__).resolve().parents[2] / "docs" / "own-models.md"
RESULTS: dict[str, tuple[bool, str]] = {}


def result_of(case: Case, folder: Path) -> tuple[bool, str]:
    if case.what not in RESULTS:
        RESULTS[case.what] = tried(case, folder / "model")
    return RESULTS[case.what]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.what)
def test_it_loads_or_says_in_one_line_what_is_missing(case: Case, tmp_path: Path) -> None:
    loads, said = result_of(case, tmp_path)
    assert (loads, "\n" in said) == (case.loads, False), said


def test_the_docs_show_what_came_of_each(tmp_path_factory: pytest.TempPathFactory) -> None:
    made = functools.partial(tmp_path_factory.mktemp, "zoo")
    shown = table([(case.what, result_of(case, made())[1]) for case in CASES])
    assert shown in DOCS.read_text(encoding="utf-8"), f"docs/own-models.md must hold:\n{shown}"
