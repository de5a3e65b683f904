"""`amply-capacity report`: what it writes, and that it writes nothing where it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.xdist_group("plan")

FIVE = ["report.html", "report.json", "report.md", "report.pdf", "report.xlsx"]


@pytest.fixture(scope="module")
def options(recorded_run: Path, demand: Path) -> tuple[object, ...]:
    return ("report", "--run", recorded_run, "--demand", demand)


def test_all_five_formats_are_written_and_the_plan_is_that_of_the_plan_command(
        amply: Callable, options: tuple, tmp_path: Path) -> None:
    out = tmp_path / "new" / "folder"
    answer = amply(*options, "--out", out, "--json")
    assert answer.code == 0
    files = [str(out / f"report.{name}") for name in ("html", "pdf", "xlsx", "md", "json")]
    assert answer.json == {"files": files, "failed": []}
    assert json.loads((out / "report.json").read_text())["plan"] == amply("plan", *options[1:], "--json").json
    assert sorted(path.name for path in out.iterdir()) == FIVE
    assert (out / "report.pdf").read_bytes().startswith(b"%PDF-")
    assert (out / "report.xlsx").read_bytes().startswith(b"PK")


def test_what_fails_is_listed_with_exit_1_and_the_rest_is_written(
        amply: Callable, options: tuple, tmp_path: Path) -> None:
    (tmp_path / "report.md").mkdir()
    answer = amply(*options, "--out", tmp_path, "--format", "md,json", "--json")
    assert answer.code == 1
    assert answer.json["files"] == [str(tmp_path / "report.json")]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.json", "report.md"]
    (failed,) = answer.json["failed"]
    assert (failed["format"], failed["file"]) == ("md", str(tmp_path / "report.md"))
    assert "a file cannot be written" in failed["reason"]
    assert "\namply-capacity: report.md was not written: " in answer.err
    assert answer.err.count("\n") == 2  # the other one warns of old prices
    assert "Traceback" not in answer.err


def test_an_unknown_format_is_refused_and_nothing_is_written(
        amply: Callable, options: tuple, tmp_path: Path) -> None:
    answer = amply(*options, "--out", tmp_path / "out", "--format", "html,docx")
    answer.assert_refused("docx", "html, pdf, xlsx, md, json")
    assert not (tmp_path / "out").exists()
    amply(*options, "--out", tmp_path / "out", "--format", ",").assert_refused("format")


def test_a_file_where_the_folder_should_be_is_refused(
        amply: Callable, options: tuple, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("mine")
    for out in (file, file / "below"):
        amply(*options, "--out", out, "--format", "json").assert_refused(str(file))
    assert file.read_text() == "mine"


def test_a_run_that_is_not_there_is_refused(amply: Callable, demand: Path, tmp_path: Path) -> None:
    answer = amply("report", "--run", "no-such-run", "--demand", demand, "--out", tmp_path / "out")
    answer.assert_refused("no-such-run")
    assert not (tmp_path / "out").exists()
