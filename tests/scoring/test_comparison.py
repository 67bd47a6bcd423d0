"""Comparing two runs: gains, losses, significance, the page and the job."""

import json
from pathlib import Path

import pytest

from jobs.compare import main
from pipeline.report import ComparisonInput, build_comparison
from pipeline.scoring.comparison import EntityChange, compare
from pipeline.scoring.difference import differences, verdict
from pipeline.scoring.matched_pairs import matched_pairs, segments_of
from pipeline.scoring.score import Lists, Reference, Written, score
from tests.support.reports import HOSTILE, PLACES, Structure, in_turn


def test_regressions_come_first_and_entities_are_counted() -> None:
    comparison = compare(in_turn("to leads", "to york", "to leeds"), in_turn("to leeds", "to work leeds", "to leeds"))
    assert [change.after.utterance_id for change in comparison.changes] == ["u1", "u0"]
    worst, best = comparison.changes
    assert (worst.lost, worst.new_false, worst.more_errors, worst.is_worse) == (("york",), ("leeds",), 2, True)
    assert (best.gained, best.more_errors, best.is_better) == (("leeds",), -1, True)
    assert comparison.entities == (EntityChange("leeds", 1, 0, 1, 0), EntityChange("york", 0, 1, 0, 0))


def test_equal_runs_have_no_changes_and_nothing_is_worse() -> None:
    comparison = compare(in_turn("to leeds", "to work"), in_turn("to leeds", "to work"))
    assert (comparison.changes, comparison.entities, comparison.worse) == ((), (), [])
    assert set(comparison.matched_pairs.values()) == {None}


def test_a_clear_loss_is_called_worse_and_a_clear_gain_better() -> None:
    good, bad = in_turn(*["to leeds", "to york"] * 10), in_turn(*["to leeds", "to work"] * 10)
    assert compare(good, bad).worse == ["wer", "b_wer", "recall", "f1"]
    assert compare(bad, good).worse == []
    assert verdict("f1", differences(bad, good)["f1"]) == "better"
    assert verdict("u_wer", differences(bad, good)["u_wer"]) == "no clear change"


def test_matched_pairs_agree_with_the_normal_distribution() -> None:
    """Errors change by +1, +1, +1, -1: mean 0.5, standard error 0.5, so z = 1 and p = 0.3173."""
    before = in_turn("to leeds", "to york", "to leeds", "to work")
    after = in_turn("to leads", "to work", "to leads", "to york")
    assert matched_pairs(before, after)["wer"] == pytest.approx(0.3173, abs=1e-4)


def test_two_words_right_in_both_runs_part_segments() -> None:
    said = [Reference("a", "one two leeds four five six seven eight")]
    lists = Lists(lambda _: PLACES)
    before = score(said, {"a": Written("won two leads four five six eight")}, lists).utterances[0]
    after = score(said, {"a": Written("one two leeds four five six seven and eight")}, lists).utterances[0]
    # "won two leads" is one segment, one U and one B error; three right words; then a deletion and an insertion.
    assert segments_of(before, after) == [((1, 1), (0, 0)), ((1, 0), (1, 0))]


def test_where_every_segment_changes_alike_the_sign_test_speaks() -> None:
    good, bad = in_turn(*["to leeds", "to york"] * 2), in_turn(*["to leeds", "to work"] * 2)
    assert matched_pairs(good, bad) == {"wer": 0.5, "u_wer": None, "b_wer": 0.5}


def test_the_page_escapes_and_says_what_changed() -> None:
    page = ComparisonInput(
        compare(in_turn("to leads", "to york"), in_turn("to leeds", "to work")),
        facts=({"zebra": "1", HOSTILE: HOSTILE}, {"zebra": "1"}),
    )
    structure = Structure(build_comparison(page))
    text = " ".join(structure.text)
    assert structure.open == []
    assert structure.tags.count("script") == 1
    assert structure.text.count(HOSTILE) >= 2  # the fact's name and value, differing, come before what is the same
    assert text.rindex(HOSTILE) < text.index("zebra")
    for expected in ("Regressions", "Lost york", "Improvements", "Gained leeds", "Matched pairs p"):
        assert expected in text


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "r.tsv").write_text("".join(f"u{at}\tto leeds\n" for at in range(20)))
    (tmp_path / "a.tsv").write_text("".join(f"u{at}\tto leeds\n" for at in range(20)))
    (tmp_path / "b.tsv").write_text("".join(f"u{at}\tto leads\n" for at in range(20)))
    (tmp_path / "names.txt").write_text("Leeds\n")
    return tmp_path


def arguments(files: Path, *more: str) -> list[str]:
    lists, output = str(files / "names.txt"), str(files / "out")
    return [str(files / "a.tsv"), str(files / "b.tsv"), "--lists", lists, "--output", output, *more]


def test_the_job_with_a_reference(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments(files, "--reference", str(files / "r.tsv"))) == 0
    written = json.loads((files / "out/comparison.json").read_text())
    assert written["first"]["entity"]["recall"] == 1.0
    assert written["second"]["entity"]["recall"] == 0.0
    assert "f1" in written["worse"]
    assert len(written["utterances"]) == 20
    printed = capsys.readouterr().out
    assert "entities lost: leeds" in printed
    assert "B-WER: worse (p: bootstrap 0.002, matched pairs < 0.001)" in printed
    assert main(arguments(files, "--reference", str(files / "r.tsv"), "--fail-on-worse")) == 1


def test_the_job_without_a_reference_shows_what_differs_and_judges_nothing(
    files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments(files)) == 0
    written = json.loads((files / "out/comparison.json").read_text())
    assert written["second"]["wer"]["rate"] == 0.5  # half of the words of run A were changed
    assert (written["judged"], "worse" in written) == (False, False)
    document = (files / "out/comparison.html").read_text()
    assert "what run A wrote stands for what was said" in document
    assert "Only in Run A" in document
    for judgement in ("Regressions", "Worse by more than chance", "Significance"):
        assert judgement not in document
    assert "entities only in run A: leeds" in capsys.readouterr().out
    assert main(arguments(files, "--fail-on-worse")) == 2
    assert "--fail-on-worse needs --reference" in capsys.readouterr().err


def test_runs_of_different_corpora_are_refused(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (files / "b.tsv").write_text("other\tto leeds\n")
    assert main(arguments(files)) == 2
    assert "'other'" in capsys.readouterr().err
