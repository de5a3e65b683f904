"""The meeting starts with what is known, the questions of the notebooks, and the runs that are there."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from amply_capacity.files import DATA_DIR, EXAMPLE_RUN, NOTEBOOKS_DIR, RUNS_DIR
from amply_capacity.report.notebooks import Text
from amply_capacity.report.start import MOST_RUNS, Start, open_start
from amply_capacity.report.what_if import WhatIf
from amply_capacity.run.reader import read_run

pytestmark = pytest.mark.xdist_group("start")
EXAMPLE = read_run(EXAMPLE_RUN).name


@pytest.fixture(autouse=True)
def nothing_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AMPLY_RUN", raising=False)
    monkeypatch.delenv("AMPLY_DEMAND", raising=False)


@pytest.fixture
def own_runs(tmp_path: Path) -> Iterator[list[str]]:
    """Names of runs that were recorded here, newest first: copies of the example."""
    names = [f"204{number:02}0101T000000Z-mixed-c0ffee"[-31:] for number in range(MOST_RUNS + 1, 0, -1)]
    for name in names:
        shutil.copytree(EXAMPLE_RUN, RUNS_DIR / name)
        file = RUNS_DIR / name / "run.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | {"run": name}))
    yield names
    for name in names:
        shutil.rmtree(RUNS_DIR / name)


def without_own_runs(monkeypatch: pytest.MonkeyPatch) -> Start:
    """The start where no other test has left a run."""
    monkeypatch.setattr("amply_capacity.report.start.listed", lambda most: [])
    monkeypatch.setattr("amply_capacity.report.notebooks.newest_or_example", lambda: read_run(EXAMPLE_RUN))
    return open_start()


def test_without_a_run_of_ones_own_the_example_stands_in_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    start = without_own_runs(monkeypatch)
    shown = start.opening()._repr_html_()
    assert "No run has been recorded in this checkout yet: this is the example" in shown
    assert "<code>locust -f loadtests/mixed.py" in shown
    assert start.session.plan["chosen"]["node_type"] in shown
    frame = start.runs().data
    assert frame[["", "run"]].values.tolist() == [["▶", EXAMPLE]]


def test_the_newest_run_is_chosen_and_marked_and_the_list_is_bounded(own_runs: list[str]) -> None:
    start = open_start()
    assert start.session.run.name == own_runs[0]
    assert "recorded in this checkout" not in start.opening()._repr_html_()
    frame = start.runs().data
    assert frame["run"].tolist() == own_runs[:MOST_RUNS]
    assert frame[""].tolist() == ["▶"] + [""] * (MOST_RUNS - 1)


def test_a_run_that_was_chosen_from_elsewhere_is_in_the_list(
        own_runs: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AMPLY_RUN", str(EXAMPLE_RUN))
    frame = open_start().runs().data
    assert frame.loc[frame[""] == "▶", "run"].tolist() == [EXAMPLE]


def test_each_notebook_is_led_to_with_its_question_and_todays_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    start = without_own_runs(monkeypatch)
    plan, shown = start.session.plan, start.questions()._repr_html_()
    linked = re.findall(r'<a href="([^"]+)">', shown)
    assert linked == sorted(path.name for path in NOTEBOOKS_DIR.glob("0[1-9]_*.ipynb"))
    answers = [one.answer for one in start.answered()]
    assert answers[0].startswith("A complete run of mixed: 1,002 operations/s, p99 ")
    assert plan["chosen"]["node_type"] in answers[1]
    assert answers[2].lower().startswith(plan["replica"]["verdict"])
    assert f"${plan['chosen']['usd_per_month']:.2f} a month now" in answers[3]
    assert "intervals held the truth" in answers[4]


def test_where_production_was_chosen_what_it_cannot_answer_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AMPLY_RUN", str(DATA_DIR / "examples" / "production"))
    start = open_start()
    answers = [one.answer for one in start.answered()]
    assert answers[0].startswith("An import: ")
    assert all("No answer: " in one and "no operations" in one for one in answers[1:4])
    assert "days of production" in start.opening()._repr_markdown_()
    asked = start.session.what_if()
    assert isinstance(asked, Text)
    assert "no operations" in asked.markdown


def test_where_a_run_cannot_carry_a_plan_that_is_said_where_the_answers_were(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copied = tmp_path / "sessions"
    shutil.copytree(EXAMPLE_RUN, copied)
    requests = read_run(copied).requests
    requests[requests["use_case"] == "sessions"].to_parquet(copied / "requests.parquet", index=False)
    monkeypatch.setenv("AMPLY_RUN", str(copied))
    start = open_start()
    assert start.opening()._repr_markdown_().startswith("> **Not drawn:** ")
    answers = [one.answer for one in start.answered()]
    assert answers[0].startswith("A complete run of mixed")
    assert all(one.startswith("No answer: ") for one in answers[1:4])
    assert "intervals held the truth" in answers[4]
    asked = start.session.what_if()
    assert isinstance(asked, WhatIf)
    assert answers[1].removeprefix("No answer: ").rstrip(".") in asked.table()
