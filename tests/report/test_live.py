"""What is drawn in a notebook follows the run that is picked."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import IPython.display
import pytest

from amply_capacity.errors import BadRun
from amply_capacity.files import DATA_DIR, EXAMPLE_RUN
from amply_capacity.report import figures, notebooks, tables
from amply_capacity.report.live import Html, Live, as_text
from amply_capacity.report.notebooks import Session, Text, open_session
from amply_capacity.report.run_picker import RunPicker
from amply_capacity.report.what_if import STATIC_VARIABLE
from amply_capacity.run.reader import read_run

PRODUCTION = DATA_DIR / "examples" / "production"


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[list[Any]]:
    """Of each output of a notebook what stood there, in turn."""
    found: list[list[Any]] = []

    class Handle:
        def __init__(self, first: object) -> None:
            self.contents: list[Any] = [first]
            found.append(self.contents)

        def update(self, other: object) -> None:
            self.contents.append(other)

    monkeypatch.setattr(IPython.display, "display", lambda first, **_: Handle(first))
    return found


@pytest.fixture
def session() -> Session:
    return open_session(EXAMPLE_RUN, DATA_DIR / "demand.example.toml")


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """The example run under another name."""
    directory = tmp_path / "other"
    shutil.copytree(EXAMPLE_RUN, directory)
    file = directory / "run.json"
    file.write_text(file.read_text().replace("20261123T210543Z-mixed-f69989", "another"))
    return directory


def test_what_is_drawn_gets_what_it_asks_for_by_name() -> None:
    live = Live({"run": lambda: "a run", "plan": lambda: 1 / 0}, str, (BadRun,))
    assert live._made(lambda run: run, {}) == "a run"
    assert live._made(lambda *, month=0: month, {"month": 18}) == 18
    with pytest.raises(ZeroDivisionError):
        live._made(lambda plan: plan, {})


def test_all_outputs_follow_the_run_that_is_chosen(
        session: Session, other: Path, shown: list[list[Any]]) -> None:
    session.draw(session.run_summary)
    session.draw(figures.throughput)
    session.draw(tables.operations)
    done: list[str] = []
    session.choose(other, lambda: done.append("done"))
    assert done == ["done"]
    assert [len(contents) for contents in shown] == [2, 2, 2]
    summary, figure, _ = shown
    assert "Run 20261123T210543Z-mixed-f69989" in summary[0].origin
    assert "Run another" in summary[1].origin
    assert summary[0].conclusion == summary[1].conclusion, "the same recording"
    assert figure[0].claim == figure[1].claim


def test_the_plan_is_made_anew_of_the_run_that_is_chosen(session: Session, other: Path) -> None:
    before = session.plan
    session.choose(other)
    assert session.plan is not before
    assert [run["run_id"] for run in session.plan["evidence"]] == ["another"]


def test_a_cell_that_is_run_again_takes_the_place_of_its_older_output(
        session: Session, other: Path, shown: list[list[Any]]) -> None:
    session.draw(figures.latency)
    session.draw(figures.latency)
    session.choose(other)
    assert [len(contents) for contents in shown] == [1, 2]


def test_in_a_kernel_the_last_choice_wins(session: Session, other: Path, shown: list[list[Any]]) -> None:
    async def hand() -> list[str]:
        done: list[str] = []
        session.draw(session.run_summary)
        session.choose(other, lambda: done.append("other"))
        session.choose(EXAMPLE_RUN, lambda: done.append("example"))
        for _ in range(400):
            await asyncio.sleep(0.05)
            if done:
                break
        return done

    assert asyncio.run(hand()) == ["example"]
    assert "20261123T210543Z" in shown[0][-1].origin


def test_what_is_no_recording_is_refused_and_changes_nothing(
        session: Session, tmp_path: Path, shown: list[list[Any]]) -> None:
    session.draw(session.run_summary)
    with pytest.raises(BadRun):
        session.choose(tmp_path)
    assert session.run.directory == EXAMPLE_RUN
    assert [len(contents) for contents in shown] == [1]


def test_what_cannot_be_drawn_of_a_run_is_said_in_its_place(shown: list[list[Any]]) -> None:
    production = open_session(PRODUCTION, DATA_DIR / "demand.example.toml")
    production.draw(figures.headroom)
    ((said,),) = shown
    assert isinstance(said, Text)
    assert "Not drawn" in said.markdown
    assert "no operations" in said.markdown


def test_a_picker_lists_the_runs_and_the_example_and_tells_what_it_drew_from(
        session: Session, other: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notebooks, "all_runs", lambda: [read_run(other), read_run(PRODUCTION)])
    picker = session.pick_run()
    words = [label for label, _ in picker.options]
    assert [place for _, place in picker.options] == [str(other), str(EXAMPLE_RUN)], "no imports"
    assert words[0].startswith("2026-11-23 21:05 · mixed · complete · 1,002/s · p99 ")
    assert words[1].endswith("(the example that ships)")
    bundle = picker._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in bundle
    picker._box.children[0].value = str(other)
    assert session.run.name == "another"
    assert picker._said.value == f"Drawn from {words[0]}."


def test_a_pick_that_fails_is_said_and_the_run_stays(session: Session) -> None:
    def fail(directory: str, then: Callable[[], object]) -> None:
        raise BadRun("the run is truncated", got=directory, do="recover it")

    picker = RunPicker([], session.run, fail)
    assert picker.pick(str(EXAMPLE_RUN)).startswith("Nothing has changed: the run is truncated")


def test_an_export_has_a_sentence_in_place_of_the_picker(
        session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(STATIC_VARIABLE, "1")
    assert set(session.pick_run()._repr_mimebundle_()) == {"text/html", "text/plain"}


def test_text_is_text_and_no_formula() -> None:
    assert Html(as_text("<b> $1 $2"))._repr_html_() == "&lt;b&gt; <span>$</span>1 <span>$</span>2"
