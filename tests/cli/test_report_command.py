"""`amply-capacity report`: what it writes, and that it writes nothing where it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.xdist_group("plan")


@pytest.fixture(scope="module")
def options(recorded_run: Path, demand: Path) -> tuple[object, ...]:
    return ("report", "--run", recorded_run, "--demand", demand)


def test_the_plan_in_report_json_is_the_plan_of_the_plan_command(
        amply: Callable, options: tuple, tmp_path: Path) -> None:
    out = tmp_path / "new" / "folder"
    answer = amply(*options, "--out", out, "--json")
    assert answer.code == 0
    assert answer.json == {"files": [str(out / "report.html"), str(out / "report.json")]}
    assert json.loads((out / "report.json").read_text())["plan"] == amply("plan", *options[1:], "--json").json
    assert sorted(path.name for path in out.iterdir()) == ["report.html", "report.json"]


def test_one_format_alone_can_be_asked_for(amply: Callable, options: tuple, tmp_path: Path) -> None:
    assert amply(*options, "--out", tmp_path, "--format", "json").out == f"{tmp_path / 'report.json'}\n"
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]


def test_an_unknown_format_is_refused_and_nothing_is_written(
        amply: Callable, options: tuple, tmp_path: Path) -> None:
    answer = amply(*options, "--out", tmp_path / "out", "--format", "html,docx")
    answer.assert_refused("docx", "html, json")
    assert not (tmp_path / "out").exists()
    amply(*options, "--out", tmp_path / "out", "--format", ",").assert_refused("format")


def test_a_file_where_the_folder_should_be_is_refused(
        amply: Callable, options: tuple, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("mine")
    for out in (file, file / "below"):
        amply(*options, "--out", out, "--format", "json").assert_refused(str(file))
    assert file.read_text() == "mine"
