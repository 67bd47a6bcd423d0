"""What is said of a change, and whether it may be published."""

from typing import Any

import pytest

from pipeline.errors import ConfigError
from pipeline.reprocess.changes import CHANGES, Change, Totals, change_of, changes_of, changes_table
from pipeline.reprocess.gates import Gates, Published, objections
from pipeline.reprocess.page import build_page
from pipeline.types.entity import EMPTY, Entity, EntityList


def row(text: str | None, *entities: tuple[str, int, int], **more: Any) -> dict[str, Any]:
    found = [{"display_as": name, "start_word": start, "end_word": end} for name, start, end in entities]
    return {"utterance_id": "u1", "text": text, "entities": found, "error": None, "list_version": "a", **more}


def changed(before: dict[str, Any], after: dict[str, Any]) -> Change:
    change = change_of(before, after, EntityList((Entity("zelensky", "Zelensky"), Entity("zelensky", "Zelenskyy"))))
    assert change is not None
    return change


def test_a_name_in_the_place_of_other_words() -> None:
    change = changed(row("we met the lens key today"), row("we met zelensky today", ("Zelensky", 2, 3)))
    assert change == Change(
        "u1",
        ("Zelensky", "Zelenskyy"),
        "we met the lens key today",
        "we met zelensky today",
        ("Zelensky",),
        (),
        0,
        None,
    )


def test_words_that_change_elsewhere_are_counted() -> None:
    change = changed(row("we met the lens key to day"), row("he met zelensky today", ("Zelensky", 2, 3)))
    assert change.other_words == 2  # he, and today beside the name


def test_a_lost_name_is_no_other_word() -> None:
    change = changed(row("met zelensky", ("Zelensky", 1, 2)), row("met a lens key"))
    assert (change.lost, change.gained, change.other_words) == (("Zelensky",), (), 0)


def test_the_version_of_the_list_alone_is_no_change() -> None:
    assert change_of(row("a"), row("a", list_version="b"), EMPTY) is None
    assert not changed(row("a", score=1.0), row("a", score=2.0)).is_visible


def test_changes_come_back_from_their_table() -> None:
    changes = [changed(row("a b"), row("c", ("C", 0, 1))), changed(row("a"), row(None, error="u1: broke."))]
    table = changes_table(changes)
    assert table.schema.equals(CHANGES)
    assert changes_of(table) == changes


GOOD = Totals(rows=1000, recomputed=50, changed=20, words=10_000, other_words=3, errors=1)


@pytest.mark.parametrize(
    ("new", "reason"),
    [
        ({"rows": 999}, "999 rows, 1,000 utterances went in"),
        ({"errors": 60}, "60 of 1,000 (6.00%) rows have an error, at most 5.00% may"),
        ({"errors": 3}, "the rise may be at most 0.10%"),
        ({"changed": 300}, "300 of 1,000 (30.00%) rows changed, at most 20.00% may"),
        ({"other_words": 21}, "21 of 10,000 (0.21%) words outside of entities changed"),
    ],
)
def test_each_gate_says_why(new: dict[str, int], reason: str) -> None:
    totals = Totals(**(vars(GOOD) | new))
    assert reason in "; ".join(objections(totals, 1000, Published(1000, 1), Gates()))


def test_what_looks_like_no_accident_may_be_published() -> None:
    assert objections(GOOD, 1000, Published(1000, 1), Gates()) == []
    assert objections(Totals(rows=1000, changed=1000), 1000, None, Gates()) == [], "the first one has nothing to differ"


def test_a_gate_is_a_share() -> None:
    with pytest.raises(ConfigError, match="changed must be a share from 0 to 1, got 20"):
        Gates(changed=20)


def test_the_page_escapes_what_it_shows() -> None:
    change = changed(row("<b>old</b> words"), row("<i>new</i> words", ("<script>x", 0, 1)))
    page = build_page("A & B", {"List": "<v1>"}, Totals(rows=2, recomputed=1, changed=1, gained=1), [change])
    assert "<script>x" not in page
    assert "<b>old" not in page
    assert "&lt;script&gt;x" in page
    assert "A &amp; B" in page
    assert "2 utterances: 1 transcribed again, 1 changed" in page


def test_the_page_of_no_change() -> None:
    page = build_page("Nothing", {}, Totals(rows=2), [])
    assert "No transcript changed." in page
    assert "No entity was gained or lost." in page
