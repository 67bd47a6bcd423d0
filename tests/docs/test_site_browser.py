"""The pages of the documentation in a real browser, wide and narrow, light and dark: no text leaves its box."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.webdriver import Browser, needs_chromium

pytestmark = needs_chromium
LEAVING = """
const found = [], edge = 1.5, width = arguments[1];  // a narrow window widens itself to what is in it
const scrolls = one => {
  for (; one && one !== document.body; one = one.parentElement) {
    const style = getComputedStyle(one);
    if (/auto|scroll|hidden|clip/.test(style.overflowX) || style.position === "fixed") return true;
  }
  return false;
};
const say = (text, why) => found.push(`${text.trim().slice(0, 40)}: ${why}`);
if (document.documentElement.scrollWidth > width + 1) say("page", "scrolls sideways");
const content = document.querySelector(arguments[0]);
const walker = document.createTreeWalker(content, NodeFilter.SHOW_TEXT);
for (let node; (node = walker.nextNode());) {
  const parent = node.parentElement;
  if (!node.data.trim() || parent.closest("svg, script, style")) continue;
  const range = document.createRange();
  range.selectNodeContents(node);
  for (const rect of range.getClientRects()) {
    if (rect.width < 1 || scrolls(parent)) continue;
    if (rect.left < -edge || rect.right > width + edge) say(node.data, "leaves the window");
    const block = parent.closest("p, li, td, th, h1, h2, h3, h4, pre, figcaption, dd, dt, div");
    const box = block.getBoundingClientRect();
    if (rect.right > box.right + edge || rect.left < box.left - edge) say(node.data, "leaves its " + block.tagName);
  }
}
for (const svg of content.querySelectorAll("figure svg")) {
  const whole = svg.getBoundingClientRect();
  if (!whole.width) continue;
  const boxes = [...svg.querySelectorAll("rect.box")].map(one => one.getBoundingClientRect());
  for (const text of svg.querySelectorAll("text")) {
    const at = text.getBoundingClientRect();
    const touched = boxes.find(b => b.left < at.right && at.left < b.right && b.top < at.bottom && at.top < b.bottom);
    const holds = touched || whole;
    if (at.left < holds.left - edge || at.right > holds.right + edge || at.top < holds.top - edge ||
        at.bottom > holds.bottom + edge) say(text.textContent, "leaves its box");
    if (parseFloat(getComputedStyle(text).fontSize) * whole.width / svg.viewBox.baseVal.width < 9)
      say(text.textContent, "is too small to read");
  }
}
return found;
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with Browser() as session:
        yield session


def show(browser: Browser, page: Path, width: int, scheme: str) -> None:
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.devtools("Emulation.setDeviceMetricsOverride", **size)
    browser.devtools("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    browser.open(page)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1300, 390])
def test_no_text_leaves_its_box(site: Path, browser: Browser, width: int, scheme: str) -> None:
    pages = [page for page in sorted(site.rglob("*.html")) if page.name != "404.html"]
    assert len(pages) > 15
    leaving = {}
    for page in pages:
        show(browser, page, width, scheme)
        assert browser.run("return document.body.dataset.mdColorScheme") == ("slate" if scheme == "dark" else "default")
        if found := browser.run(LEAVING, "article", width):
            leaving[page.relative_to(site).as_posix()] = found[:5]
    assert leaving == {}


def test_what_the_check_must_find(tmp_path: Path, browser: Browser) -> None:
    (tmp_path / "a.html").write_text(
        "<meta name=viewport content='width=device-width'><article><p style='width:60px'>Donaudampfschifffahrt</p>"
        "<figure><svg viewBox='0 0 700 40' width=700><rect class=box width=50 height=40></rect>"
        "<text x=2 y=20 font-size=13>subword and phone</text></svg></figure></article>"
    )
    show(browser, tmp_path / "a.html", 390, "light")
    found = browser.run(LEAVING, "article", 390)
    assert any("scrolls sideways" in one for one in found)
    assert any("Donaudampf" in one and "leaves its P" in one for one in found)
    assert any("subword" in one and "leaves its box" in one for one in found)


def test_the_first_screen_has_what_it_is_for(site: Path, browser: Browser) -> None:
    show(browser, site / "index.html", 1300, "light")
    shown = browser.run(
        "return [...document.querySelectorAll('article figure svg, article img')]"
        ".filter(one => one.getBoundingClientRect().width).map(one => one.tagName)"
    )
    assert shown == ["svg", "svg", "svg", "IMG"]
    assert browser.run("return document.querySelector('article img').naturalWidth") > 600
    assert browser.run("return document.querySelector('article figure').getBoundingClientRect().top") < 500
