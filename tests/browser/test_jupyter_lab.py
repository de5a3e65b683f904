"""The notebooks in JupyterLab, as a meeting uses them: every cell runs, and widgets are answered."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from cheaper import WORLDS
from jupyter_lab import PATIENCE_SECONDS, Lab, jupyter_lab

from amply_capacity.files import EXAMPLE_RUN, RUNS_DIR
from amply_capacity.report.notebook_files import notebooks

pytestmark = pytest.mark.xdist_group("browser")

START, PICKER, SLIDERS = "00_start_here", "01_run_review", "02_node_sizing"
NAME = "20300202T000000Z-mixed-b0b0b0"
DECIDED = re.compile(rf"\. {WORLDS:,} worlds, run")
"""Below the sliders, once the whole plan is made."""


@pytest.fixture(scope="module")
def lab(chromium: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """JupyterLab on the example run, with one more run that was recorded here."""
    shutil.copytree(EXAMPLE_RUN, RUNS_DIR / NAME)
    file = RUNS_DIR / NAME / "run.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"run": NAME}))
    with jupyter_lab(tmp_path_factory.mktemp("jupyter")) as running:
        yield running
    shutil.rmtree(RUNS_DIR / NAME)


@pytest.fixture(scope="module")
def page(lab: Lab, chromium: Any) -> Iterator[Any]:
    """JupyterLab on a projector."""
    opened = chromium.new_page(viewport={"width": 1600, "height": 900})
    opened.set_default_timeout(1000.0 * PATIENCE_SECONDS)
    lab.show(opened)
    yield opened
    opened.close()


def run(lab: Lab, page: Any, name: str) -> None:
    """Open a notebook and run it; no cell may fail, print, or show nothing."""
    lab.open(page, f"{name}.ipynb")
    for cell in lab.run_all(page):
        kinds = [output["output_type"] for output in cell["outputs"]]
        assert kinds, f"nothing is shown by {cell['source']!r}"
        assert not {"error", "stream"} & set(kinds), cell


@pytest.mark.parametrize(
    "name", [path.stem for path in notebooks() if path.stem not in (START, PICKER, SLIDERS)])
def test_every_cell_of_a_notebook_runs_in_jupyterlab(lab: Lab, page: Any, name: str) -> None:
    run(lab, page, name)
    lab.close(page)


def test_the_start_leads_to_the_run_review_whose_figures_follow_the_run_that_is_picked(
        lab: Lab, page: Any) -> None:
    run(lab, page, START)
    page.get_by_role("link", name="Run review").click()
    lab.wait_for(page, f"{PICKER}.ipynb")
    run(lab, page, PICKER)
    runs = page.locator(".widget-dropdown select")
    runs.scroll_into_view_if_needed()
    label = runs.locator("option").first.text_content()
    runs.select_option(label)
    page.get_by_text(f"Drawn from {label}.").wait_for()
    page.get_by_text(f"Run {NAME}").wait_for()
    lab.close(page)
    lab.close(page)


def test_the_decision_follows_a_slider(lab: Lab, page: Any) -> None:
    run(lab, page, SLIDERS)
    shown = page.locator(".jp-OutputArea-output", has_text=DECIDED)
    before = str(shown.text_content())  # of what is scrolled away too
    assert "25,000 users" in before
    handle = page.locator(".widget-slider", has_text="registered users").locator(".noUi-handle")
    handle.scroll_into_view_if_needed()
    handle.focus()
    for _ in range(12):
        handle.press("PageUp")
    shown.filter(has_not_text="25,000 users").wait_for()
    assert decision(str(shown.text_content())) != decision(before)
    lab.close(page)


def decision(answer: str) -> str:
    """The first sentence: how many of which node type."""
    return answer.split(" a month")[0]
