"""The demonstration, whole: a real recording, the notebooks on it, and the report."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from locust_process import servers_of_ours

from amply_capacity.demo import run_demo
from amply_capacity.errors import AmplyError, BadInput
from amply_capacity.report.notebook_files import notebooks
from amply_capacity.run.reader import read_run


# With the report's tests: xdist starts the largest groups first, and this takes longest.
@pytest.mark.xdist_group("report")
def test_the_demo_records_executes_and_reports_with_progress_and_leaves_no_server(tmp_path: Path) -> None:
    out, state = tmp_path / "demo", tmp_path / "state"
    done = subprocess.run(
        [sys.executable, "-m", "amply_capacity.cli", "demo", "--seconds", "10", "--out", str(out), "--json"],
        capture_output=True, text=True, timeout=240, check=False, cwd=tmp_path,
        env=os.environ | {"AMPLY_STATE_DIR": str(state)})
    assert done.returncode == 0, done.stderr[-3000:]
    files = json.loads(done.stdout)
    assert files == {"report": str(out / "report.html"), "pdf": str(out / "report.pdf"),
                     "xlsx": str(out / "report.xlsx"), "markdown": str(out / "report.md"),
                     "json": str(out / "report.json"), "run": str(out / "run"),
                     "notebooks": str(out / "notebooks")}

    stages = re.findall(r"^demo  (\d/4|done) +\d+\.\d s  \S", done.stderr, re.MULTILINE)
    # A recording whose server was starved by other tests is made once more, and says so.
    assert list(dict.fromkeys(stages)) == ["1/4", "2/4", "3/4", "4/4", "done"]
    assert "prefill     sessions" in done.stderr

    run = read_run(out / "run")
    first, last = run.measured_seconds
    own = run.requests[(run.requests["command"] == "") & (run.requests["clock"] == "service")]
    assert own["operation"].nunique() == 10
    assert last - first + 1 >= 7
    plan = json.loads((out / "report.json").read_text())["plan"]
    assert plan["chosen"]["node_type"].startswith("cache.")
    assert plan["replica"]["verdict"] in {"add", "do not add", "undecided"}
    assert len(plan["months"]) == 36
    assert [row["run_id"] for row in plan["evidence"]] == [run.name]
    assert run.name in (out / "report.html").read_text()
    for path in notebooks():
        executed = nbformat.read(out / "notebooks" / path.name, as_version=4)
        assert all(cell.outputs for cell in executed.cells if cell.cell_type == "code")

    assert list(state.glob("clusters/*")) == [], "no cluster is left"
    assert not _working_below(state), "no server is left"


def _working_below(directory: Path) -> list[int]:
    """Pids of the processes that work below a directory."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and Path(os.readlink(entry / "cwd")).is_relative_to(directory):
                found.append(int(entry.name))
        except OSError:  # it has ended
            continue
    return found


@pytest.mark.parametrize("content", ["a file", "a folder of others"])
def test_the_demo_removes_nothing_but_an_earlier_run(tmp_path: Path, content: str) -> None:
    mine = tmp_path / "run"
    if content == "a folder of others":
        mine.mkdir()
        mine = mine / "thesis.txt"
    mine.write_text("mine")
    before = servers_of_ours()
    with pytest.raises(BadInput, match="holds something else"):
        run_demo(10, tmp_path)
    assert mine.read_text() == "mine"
    assert servers_of_ours() == before


def test_a_recording_that_fails_ends_the_demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("amply_capacity.demo._RATE", -1)  # Locust refuses it with exit code 2
    with pytest.raises(AmplyError, match="exit code 2"):
        run_demo(10, tmp_path)
    assert not (tmp_path / "report.html").exists()
