"""The documentation builds without a warning: no dead link, no missing page, no unknown reference."""

import html
import re
from pathlib import Path

import pytest

from jobs.cli.completion import parsers
from tests.support.doc_blocks import blocks_of
from tests.support.doc_sandbox import ROOT

_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("*/*.md"), *ROOT.glob("*/*/*.md")]
OUTSIDE_THE_SITE = [
    page for page in PAGES if page.relative_to(ROOT).parts[0] not in ("docs", "out", "build", ".venv", "node_modules")
]


def test_figures_and_tables_are_made_from_the_code(site: Path) -> None:
    works = (site / "how-biasing-works.html").read_text()
    assert works.count('<figure class="drawn"><svg') == 2
    assert "max_false_accepts_per_hour" in (site / "reference/configuration.html").read_text()
    assert "rollcall compare" in (site / "reference/commands.html").read_text()
    assert "audio_sha256" in (site / "data_dictionary.html").read_text()
    assert "<!-- generate" not in works


def test_every_option_of_every_command_is_there(site: Path) -> None:
    page = html.unescape((site / "reference/commands.html").read_text())
    for name, parser in parsers().items():
        section = page.split(f"rollcall {name}<a", 1)[1].split("<h2", 1)[0]
        flags = {flag for action in parser._actions for flag in action.option_strings if flag.startswith("--")}
        assert [flag for flag in sorted(flags - {"--help", "--json"}) if flag not in section] == [], name


def test_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    for page in site.rglob("*.html"):
        loaded = re.findall(r'<(?:script|img|iframe|link)[^>]+(?:src|href)="(https?:[^"]+)"', page.read_text())
        assert [address for address in loaded if "canonical" not in address] == [], page.name


@pytest.mark.parametrize("page", OUTSIDE_THE_SITE, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_between_files_of_the_repository_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for block in blocks_of(page, ROOT):
        text = text.replace(block.code, "")
    links = [link for link in _LINK.findall(text) if not link.startswith(("http:", "https:", "mailto:", "#"))]
    assert [link for link in links if not (page.parent / link.split("#")[0]).exists()] == []
