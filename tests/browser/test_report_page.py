"""The HTML report in a browser: on a projector and a phone, light and dark, for everybody."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from amply_capacity.files import DATA_DIR, EXAMPLE_RUN
from amply_capacity.report.document import document_of
from amply_capacity.report.html import render_html

pytestmark = pytest.mark.xdist_group("browser")

SIZES = {"projector": (1920, 1080), "phone": (390, 844)}
SCREENS = [(size, mode) for size in SIZES for mode in ("light", "dark")]
EACH_ONCE = [("projector", "light"), ("phone", "dark")]
# What would reach beyond the window, unless it scrolls in a frame of its own.
_TOO_WIDE = """() => Array.from(document.querySelectorAll('body *')).filter(element => {
    const box = element.getBoundingClientRect();
    return box.width && box.right > window.innerWidth + 1 && !element.closest('.scroll');
}).map(element => element.outerHTML.slice(0, 120))"""


@pytest.fixture(scope="module")
def report(chromium: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of the example run, with a warning on it."""
    document = document_of([EXAMPLE_RUN], DATA_DIR / "demand.example.toml", worlds=1_000)
    document.content["warnings"].append("the run is partial: it was cut off")
    file = tmp_path_factory.mktemp("page") / "report.html"
    file.write_text(render_html(document), encoding="utf-8")
    return file


@pytest.fixture
def page(request: pytest.FixtureRequest, chromium: Any, report: Path) -> Iterator[Any]:
    """The report on a screen in a mode; everything that can be unfolded is."""
    size, mode = request.param
    width, height = SIZES[size]
    context = chromium.new_context(viewport={"width": width, "height": height}, color_scheme=mode)
    opened = context.new_page()
    opened.set_default_timeout(120_000.0)
    asked: list[str] = []
    opened.on("request", lambda request: asked.append(request.url))
    opened.goto(report.as_uri())
    opened.evaluate("() => document.querySelectorAll('details').forEach(one => { one.open = true })")
    assert asked == [report.as_uri()], "it needs nothing else"
    yield opened
    context.close()


def on(screens: list[tuple[str, str]]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("page", screens, indirect=True, ids="-".join)


@on(SCREENS)
def test_nothing_of_the_page_reaches_beyond_the_window(page: Any) -> None:
    assert page.evaluate("() => document.documentElement.scrollWidth <= window.innerWidth")
    assert page.evaluate(_TOO_WIDE) == []


@on(EACH_ONCE)
def test_the_page_has_no_barrier_that_axe_finds(page: Any) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright",
                              reason="no axe: pip install axe-playwright-python")
    # What is drawn is one image with its claim as text: its thousands of paths would only be walked through.
    page.evaluate("() => document.querySelectorAll('svg').forEach(one => one.replaceChildren())")
    found = axe.Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    page.evaluate("() => { document.querySelector('.lead').style.opacity = 0.2 }")
    assert "color-contrast" in axe.Axe().run(page, context=".answer").generate_snapshot(), "it finds one"


@on(EACH_ONCE[:1])
def test_the_page_can_be_walked_by_keyboard(page: Any) -> None:
    page.keyboard.press("Tab")
    assert page.evaluate("() => document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    page.wait_for_function("() => location.hash.length > 1")
