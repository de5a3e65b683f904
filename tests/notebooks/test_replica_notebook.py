"""The session of the notebook on the replica."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from cheaper import cheapen

from amply_capacity.files import DATA_DIR, EXAMPLE_RUN
from amply_capacity.report import replica_notebook as module
from amply_capacity.report.look import Picture
from amply_capacity.report.notebooks import Text
from amply_capacity.report.opening import Opening
from amply_capacity.report.replica_notebook import crash_drills, open_replica_session
from amply_capacity.run.reader import Run, read_run

# With the plan's tests, as the other notebooks.
pytestmark = pytest.mark.xdist_group("plan")

EXAMPLES = DATA_DIR / "examples"
DEMAND = DATA_DIR / "demand.example.toml"


def recorded(directory: Path, example: str, **drill: object) -> Run:
    """A drill as one of this checkout, with what is to be different."""
    target = directory / str(len(list(directory.iterdir())))
    shutil.copytree(EXAMPLES / example, target)
    manifest = json.loads((target / "run.json").read_text())
    manifest["drill"] |= drill
    (target / "run.json").write_text(json.dumps(manifest))
    return read_run(target)


def test_without_drills_of_ones_own_those_that_ship_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "all_runs", list)
    assert [run.directory for run in crash_drills()] == [EXAMPLES / "drill-single",
                                                         EXAMPLES / "drill-replicated"]


def test_ones_own_newest_completed_crash_of_each_kind_comes_first(monkeypatch: pytest.MonkeyPatch,
                                                                  tmp_path: Path) -> None:
    broken_off = recorded(tmp_path, "drill-single", completed=False)
    mine = recorded(tmp_path, "drill-single")
    restarted = recorded(tmp_path, "drill-replicated", drill="restart")
    monkeypatch.setattr(module, "all_runs", lambda: [broken_off, restarted, mine])
    assert [run.directory for run in crash_drills()] == [mine.directory, EXAMPLES / "drill-replicated"]


def test_the_session_opens_with_the_decision_in_one_sentence_and_knows_the_drills(
        monkeypatch: pytest.MonkeyPatch) -> None:
    cheapen(monkeypatch)
    monkeypatch.setattr(module, "all_runs", list)
    session = open_replica_session(EXAMPLE_RUN, DEMAND)
    opening = session.opening()
    assert isinstance(opening, Opening)
    assert opening.conclusion.count(". ") == 0
    assert opening.conclusion.endswith("are thought likely.")
    assert all(run.name in opening.origin for run in session.drills)
    assert [one["run"] for one in session.plan["replica"]["drills"]] == [run.name for run in session.drills]
    assert isinstance(session.timeline(), Picture)
    said = session.beside()._repr_html_()
    assert said.count("<p") == 4
    assert "<span>$</span>" in said


def test_of_production_it_says_why_there_is_no_decision() -> None:
    session = open_replica_session(EXAMPLES / "production", DEMAND)
    assert isinstance(session.opening(), Text)
