"""The report in a real browser: it renders without a console error, sorts, filters, opens, and stays text."""

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.score import main
from pipeline.report import ComparisonInput, build_comparison, build_report
from pipeline.scoring.comparison import compare
from tests.support.axe import axe_source
from tests.support.reports import HOSTILE, full_report, in_turn, run_with_sound
from tests.support.webdriver import Browser, needs_chromium

pytestmark = needs_chromium
NAMES = (
    "return [...document.querySelectorAll('#entities tbody:not([hidden]) tr:first-child > th')].map(c => c.innerText)"
)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(build_report(full_report()), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with Browser() as session:
        yield session


@pytest.fixture
def page(browser: Browser, report: Path) -> Browser:
    browser.open(report)
    return browser


def test_it_renders_without_a_console_message(page: Browser) -> None:
    assert page.run("return document.querySelector('h1').innerText") == HOSTILE
    assert page.run("return document.title") == HOSTILE
    assert page.run("return document.querySelectorAll('.headline svg.strip circle').length") == 14
    assert page.run("return document.querySelector('svg.strip circle').getBoundingClientRect().width") > 0
    assert page.run("return document.querySelectorAll('script').length") == 1
    assert page.run("return document.querySelectorAll('svg.chart circle').length") == 8
    assert page.console() == []


def test_it_sorts(page: Browser) -> None:
    before = page.run(NAMES)
    page.click("#entities thead th:nth-child(1) button")
    assert page.run(NAMES) == sorted(before, key=str.lower, reverse=True)
    page.click("#entities thead th:nth-child(1) button")
    assert page.run(NAMES) == sorted(before, key=str.lower)
    assert page.run("return document.querySelector('#entities th').getAttribute('aria-sort')") == "ascending"


def test_numbers_and_percentages_sort_as_numbers(page: Browser) -> None:
    page.click("#entities thead th:nth-child(7) button")
    shown = page.run(
        "return [...document.querySelectorAll('#entities tbody tr:first-child td:nth-child(7)')].map(c => c.innerText)"
    )
    assert shown == ["100%", "50%"]


def test_it_filters_by_text_and_by_kind(page: Browser) -> None:
    page.type("#entity-search", "new yo")
    assert page.run(NAMES) == ["New York"]
    assert page.run("return document.getElementById('entity-count').innerText") == "1 of 2 entities"
    page.run("document.getElementById('entity-search').value = ''")
    page.click("button[data-filter=missed]")
    assert page.run(NAMES) == [HOSTILE]
    page.click("button[data-filter=inserted]")
    assert page.run(NAMES) == ["New York"]


def test_details_open_from_the_keyboard(page: Browser) -> None:
    visible = "return document.querySelector('#entities .detail').getClientRects().length > 0"
    assert page.run(visible) is False
    page.type("#entities button.open", "\ue007")  # Enter
    assert page.run(visible) is True
    assert page.run("return document.querySelector('button.open').getAttribute('aria-expanded')") == "true"
    page.type("#entities button.open", " ")
    assert page.run(visible) is False


def test_it_plays_from_a_word(browser: Browser, tmp_path: Path) -> None:
    run, audio = run_with_sound(tmp_path)
    (tmp_path / "names.txt").write_text("Leeds")
    options = ["--transcripts", run, "--reference", audio, "--lists", str(tmp_path / "names.txt")]
    assert main([*options, "--output", str(tmp_path / "out")]) == 0
    browser.open(tmp_path / "out/report.html")
    browser.click("#entities button.open")
    browser.click("#entities i[data-t='1.0']")
    played = """const player = document.querySelector('audio');
        return new Promise(done => player.addEventListener('timeupdate', () => player.currentTime > 1.05 &&
            done([player.paused && !player.ended, player.error, Math.round(player.duration * 10)])))"""
    assert browser.run(played) == [False, None, 20]
    browser.type("#entities button.play", " ")  # Leeds, missed, from 0.5 to 1.0 s, and a little around it
    stopped = """const player = document.querySelector('#entities audio');
        return new Promise(done => player.addEventListener('pause', () => done(player.currentTime)))"""
    assert 1.2 < browser.run(stopped) < 1.8
    assert browser.run("return [...document.querySelectorAll('audio')].every(player => player.src)")
    assert browser.console() == []


def test_it_is_dark_where_dark_is_wanted(page: Browser) -> None:
    colour = "return getComputedStyle(document.body).backgroundColor"
    for scheme, expected in (("light", "rgb(255, 255, 255)"), ("dark", "rgb(15, 20, 25)")):
        page.devtools("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        assert page.run(colour) == expected
    page.devtools("Emulation.setEmulatedMedia", features=[])


def test_it_prints_in_light_colours_and_without_what_only_a_screen_can_do(page: Browser) -> None:
    media = [{"name": "prefers-color-scheme", "value": "dark"}]
    page.devtools("Emulation.setEmulatedMedia", media="print", features=media)
    assert page.run("return getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.run("return getComputedStyle(document.querySelector('.filters')).display") == "none"
    assert page.run("return getComputedStyle(document.querySelector('.key.s')).backgroundColor") == "rgb(255, 226, 168)"
    printed = page.devtools("Page.printToPDF", printBackground=True)["data"]
    page.devtools("Emulation.setEmulatedMedia", media="", features=[])
    assert base64.b64decode(printed).startswith(b"%PDF-")


def comparison_page() -> str:
    """Two runs with losses and gains, every text of them hostile."""
    return build_comparison(
        ComparisonInput(
            compare(in_turn("to leads", "to york"), in_turn("to leeds", "to work")),
            facts=({HOSTILE: "1"}, {HOSTILE: "2"}),
        )
    )


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["report", "comparison"])
def test_it_has_no_serious_accessibility_violation(
    name: str, scheme: str, browser: Browser, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    axe = axe_source(pytestconfig.cache.mkdir("axe") if pytestconfig.cache else tmp_path)
    path = tmp_path / "page.html"
    path.write_text(build_report(full_report()) if name == "report" else comparison_page(), encoding="utf-8")
    browser.open(path)
    browser.devtools("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    browser.run("for (const one of document.querySelectorAll('details')) one.open = true")
    browser.run("for (const one of document.querySelectorAll('button.open')) one.click()")
    browser.run(axe)
    found = "return axe.run().then(result => result.violations.map(v => [v.impact, v.id, v.nodes[0].html]))"
    violations = browser.run(found)
    browser.devtools("Emulation.setEmulatedMedia", features=[])
    assert [violation for violation in violations if violation[0] in ("serious", "critical")] == []
    assert browser.console() == []
