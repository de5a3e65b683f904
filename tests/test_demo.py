"""The demonstration, whole: a real recording, a real crash, the notebooks, and the report."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import nbformat
import pytest
from locust_process import cluster_directories, servers_of_ours, wait_until

from amply_capacity.demo import run_demo
from amply_capacity.drill.request import DrillRequest
from amply_capacity.errors import AmplyError, BadInput
from amply_capacity.files import DATA_DIR, EXAMPLE_RUN
from amply_capacity.report.notebook_files import notebooks
from amply_capacity.run.reader import read_run


# With the report's tests: xdist starts the largest groups first, and this takes longest.
@pytest.mark.xdist_group("report")
def test_the_demo_records_drills_executes_and_reports_with_progress_and_leaves_no_server(
        tmp_path: Path) -> None:
    out, state = tmp_path / "demo", tmp_path / "state"
    done = subprocess.run(
        [sys.executable, "-m", "amply_capacity.cli", "demo", "--seconds", "10", "--out", str(out), "--json"],
        capture_output=True, text=True, timeout=240, check=False, cwd=tmp_path,
        env=os.environ | {"AMPLY_STATE_DIR": str(state)})
    assert done.returncode == 0, done.stderr[-3000:]
    files = json.loads(done.stdout)
    assert files == {"report": str(out / "report.html"), "pdf": str(out / "report.pdf"),
                     "xlsx": str(out / "report.xlsx"), "markdown": str(out / "report.md"),
                     "json": str(out / "report.json"), "run": str(out / "run"), "drill": str(out / "drill"),
                     "notebooks": str(out / "notebooks")}

    stages = re.findall(r"^demo  (\d/5|done) +\d+\.\d s  \S", done.stderr, re.MULTILINE)
    # A recording or a drill whose servers were starved by other tests is made once more, and says so.
    assert list(dict.fromkeys(stages)) == ["1/5", "2/5", "3/5", "4/5", "5/5", "done"]
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
    drill = read_run(out / "drill")
    assert [row["run_id"] for row in plan["evidence"]] == [run.name, drill.name]
    for one in (run, drill):
        assert one.name in (out / "report.html").read_text()

    answer, (shown,) = drill.manifest["drill"], plan["replica"]["drills"]
    assert answer["completed"] is True, answer["reason"]
    assert (shown["run"], shown["kind"], shown["topology"]) == (drill.name, "crash", "replicated")
    assert shown["unavailable_seconds"] == answer["unavailable_seconds"] > 0.5, "Sentinels wait for a second"
    assert shown["lost_writes"] == answer["lost_writes"]
    assert shown["lost_by_law"] == answer["predicted"]["lost_writes"]["mid"]
    (learned,) = plan["replica"]["learned"]
    assert (learned["number"], learned["runs"]) == ("failures.reconnect_seconds", [drill.name])
    for path in notebooks():
        executed = nbformat.read(out / "notebooks" / path.name, as_version=4)
        assert all(cell.outputs for cell in executed.cells if cell.cell_type == "code")
    assert drill.name in (out / "notebooks" / "03_replica_decision.ipynb").read_text()

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


@pytest.mark.parametrize("name", ["run", "drill"])
@pytest.mark.parametrize("content", ["a file", "a folder of others"])
def test_the_demo_removes_nothing_but_an_earlier_run(tmp_path: Path, name: str, content: str) -> None:
    mine = tmp_path / name
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


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The recording has been made before: the one that ships."""
    monkeypatch.setattr("amply_capacity.demo._record",
                        lambda run, demand, seconds: shutil.copytree(EXAMPLE_RUN, run))


@pytest.mark.usefixtures("recorded")
def test_ctrl_c_in_the_drill_ends_the_demo_and_leaves_no_server(tmp_path: Path) -> None:
    servers, directories = servers_of_ours(), cluster_directories()
    parts = tmp_path / "drill" / "parts" / "requests.arrows"

    def press() -> None:
        wait_until(parts.exists, "the drill's load")
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=press)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        run_demo(10, tmp_path)
    thread.join()
    assert (servers_of_ours(), cluster_directories()) == (servers, directories)
    assert read_run(tmp_path / "drill").verdict == "partial"
    assert not (tmp_path / "notebooks").exists()


@pytest.mark.usefixtures("recorded")
@pytest.mark.parametrize(("fails", "seconds"), [(1, [6, 12]), (9, [6, 12, 24])], ids=["once", "ever"])
def test_a_drill_that_does_not_show_clients_to_be_back_is_held_again_and_longer(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], fails: int,
        seconds: list[int]) -> None:
    """The one that ships, whose failover did not complete so many times."""
    held: list[int] = []

    def hold(request: DrillRequest) -> None:
        assert request.run_dir is not None
        shutil.copytree(DATA_DIR / "examples" / "drill-replicated", request.run_dir)
        held.append(request.seconds)
        if len(held) <= fails:
            file = request.run_dir / "run.json"
            manifest = json.loads(file.read_text())
            manifest["drill"] |= {"completed": False, "reason": "Sentinel says NOQUORUM"}
            file.write_text(json.dumps(manifest))

    def stop(*_: object) -> None:
        raise AmplyError("far enough", got="the notebooks", do="nothing")

    monkeypatch.setattr("amply_capacity.demo.hold_drill", hold)
    monkeypatch.setattr("amply_capacity.demo.execute", stop)
    with pytest.raises(AmplyError, match="far enough"):
        run_demo(10, tmp_path)
    assert held == seconds
    said = re.findall(r"3/5 .*drilling again, (\d+) s", capfd.readouterr().err)
    assert [int(one) for one in said] == held[1:]
    assert read_run(tmp_path / "drill").manifest["drill"]["completed"] is (fails == 1)
