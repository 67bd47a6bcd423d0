"""The reviewers' page in a real browser, by keyboard alone; what it saves is read back."""

import time
from pathlib import Path

import pyarrow.parquet as pq

from jobs.review_export import main as export
from jobs.review_import import main as load
from tests.support.reports import HOSTILE
from tests.support.reviewed import write_reviewed_run
from tests.support.webdriver import Browser, needs_chromium

pytestmark = needs_chromium
ENTER, SHIFT, RIGHT = "\ue007", "\ue008", "\ue014"


def test_it_is_worked_by_keyboard_and_saves_what_was_said(tmp_path: Path) -> None:
    run, audio = write_reviewed_run(tmp_path)
    assert export([run, "--format", "html", "--audio", audio, "--output", str(tmp_path / "tasks")]) == 0
    with Browser() as browser:
        browser.open(tmp_path / "tasks/review.html")
        browser.devtools("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
        asked = "return document.getElementById('asking').textContent"
        assert browser.run(asked) == "Was this said: Anna?"
        browser.type("#reviewer", "Eve")
        browser.run("document.activeElement.blur()")
        browser.type("body", "rwn")
        assert browser.run(asked) == f"Was this said: {HOSTILE}?"
        browser.type("body", "c")
        browser.type("#correction", "Leigh" + ENTER)
        browser.type("body", "nm" + RIGHT + ENTER)
        browser.type("#correction", "New York" + ENTER)
        assert browser.run("return document.querySelector('#missed-names li').textContent") == (
            "missed: New York (york)"
        )
        played = """const player = document.getElementById('player');
            return new Promise(done => { player.addEventListener('playing', () => done(true)); player.play(); })"""
        assert browser.run(played) is True
        browser.type("body", "s")
        deadline = time.monotonic() + 30
        while not (found := list(tmp_path.glob("reviews-*.json"))) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert browser.console() == []
    assert load([str(found[0]), "--run", run, "--output", str(tmp_path / "reviews")]) == 0
    (file,) = (tmp_path / "reviews/reviews").glob("*.parquet")
    fields = ("utterance_id", "entity", "text", "verdict", "correction", "reviewer", "whole", "error")
    assert [tuple(row[name] for name in fields) for row in pq.read_table(file).to_pylist()] == [
        ("a", "anna", "anna", "rejected", None, "Eve", True, None),
        ("a", "leeds", "leeds", "corrected", "Leigh", "Eve", True, None),
        ("b", None, "york", "missed", "New York", "Eve", False, None),
    ]
