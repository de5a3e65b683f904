"""`amply-capacity import`: real traffic as a run, and what the other commands say of such a run."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from amply_capacity.files import RUNS_DIR
from amply_capacity.run.reader import read_run
from amply_capacity.run.trace_file import COLUMNS

HEADER = ",".join(COLUMNS)


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    """Two minutes of cached reads and counters."""
    path = tmp_path / "accesses.csv"
    lines = [f"{number / 10},get,cache:{number * 7919 % 101},,400,300\n"
             f"{number / 10},incr,rate:{number % 7},,,\n" for number in range(1200)]
    path.write_text(f"{HEADER}\n" + "".join(lines))
    return path


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    path = tmp_path / "monitor.txt"
    lines = [f'{1700000000 + number / 10:.6f} [0 10.0.0.1:5000] "GET" "cache:{number * 7919 % 101}"\n'
             for number in range(1200)]
    path.write_text("OK\n" + "".join(lines) + '1700000200.000000 [0 10.0.0.1:5000] "HSET" "h" "f" "v"\n')
    return path


def test_a_trace_becomes_a_run_and_the_answer_says_where(
        amply: Callable, trace: Path, tmp_path: Path) -> None:
    answer = amply("import", "trace", trace, "--run-dir", tmp_path / "run", "--json")
    assert (answer.code, answer.json) == (0, {
        "run": str(tmp_path / "run"), "accesses": 2400, "keys": 108, "seconds": 119.9, "assumptions": [],
        "skipped": {}})
    assert f"reading {trace.name}" in answer.err
    assert len(read_run(tmp_path / "run").accesses) == 2400


def test_a_capture_becomes_a_run_and_the_answer_says_what_was_left_out(
        amply: Callable, capture: Path, tmp_path: Path) -> None:
    answer = amply("import", "monitor", capture, "--run-dir", tmp_path / "run", "--json")
    assert answer.code == 0
    assert answer.json["skipped"] == {"HSET": 1}
    assert (answer.json["accesses"], answer.json["keys"]) == (1200, 101)
    text = amply("import", "monitor", capture, "--run-dir", tmp_path / "again").out
    assert "HSET 1" in text
    assert "1,200 accesses to 101 keys" in text


def test_without_a_folder_the_run_is_listed_and_shown_by_its_name(amply: Callable, trace: Path) -> None:
    directory = Path(amply("import", "trace", trace, "--json").json["run"])
    try:
        assert directory.parent == RUNS_DIR
        listed = amply("runs", "list", "--json").json["runs"]
        assert [row["scenario"] for row in listed if row["directory"] == str(directory)] == ["trace"]
        shown = amply("runs", "show", directory.name)
        assert shown.code == 0
        for words in ("2,400 accesses to 108 keys in 119.9 s", "get 1,200, incr 1,200", "cache", "rate"):
            assert words in shown.out
        assert amply("runs", "show", directory, "--json").json["run"]["imported"]["ops"] == {
            "get": 1200, "incr": 1200}
    finally:
        for path in directory.iterdir():
            path.unlink()
        directory.rmdir()


def test_what_needs_load_refuses_an_import_in_a_sentence(
        amply: Callable, trace: Path, demand: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert amply("import", "trace", trace, "--run-dir", run).code == 0
    for command in (("plan", "--run", run, "--demand", demand), ("meeting", "--run", run),
                    ("report", "--run", run, "--demand", demand, "--out", tmp_path / "out")):
        amply(*command).assert_refused("key accesses alone", "predict hit-rate")
    assert not (tmp_path / "out").exists()


def test_a_hit_rate_is_predicted_from_an_import(amply: Callable, trace: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert amply("import", "trace", trace, "--run-dir", run).code == 0
    predicted = amply("predict", "hit-rate", run, "--maxmemory", "64mb", "--json").json["predictions"][0]
    assert predicted["hit_rate"] == pytest.approx(1 - 101 / 1200, abs=1e-3)


@pytest.mark.parametrize("kind", ["trace", "monitor"])
def test_a_file_with_faults_is_refused_with_its_lines_and_nothing_is_written(
        amply: Callable, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "bad.txt"
    bad = "rubbish\n" * 3
    path.write_text(f"{HEADER}\n{bad}" if kind == "trace" else f"OK\n{bad}")
    amply("import", kind, path, "--run-dir", tmp_path / "run").assert_refused(
        str(path), "line 2: ", "line 3: ", "line 4: ")
    assert [one.name for one in tmp_path.iterdir()] == ["bad.txt"]


@pytest.mark.parametrize("kind", ["trace", "monitor"])
def test_a_file_that_is_not_there_is_refused(amply: Callable, tmp_path: Path, kind: str) -> None:
    amply("import", kind, tmp_path / "none").assert_refused("none", "No such file")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("kind", ["trace", "monitor"])
def test_an_import_that_is_ended_leaves_nothing(
        tmp_path: Path, trace: Path, capture: Path, kind: str, number: signal.Signals) -> None:
    path = trace if kind == "trace" else capture
    header, _, lines = path.read_text().partition("\n")
    last = lines.splitlines()[-1]
    with open(path, "w") as file:
        file.write(f"{header}\n")
        for _ in range(200):
            file.write(f"{last}\n" * 10_000)
    command = [sys.executable, "-m", "amply_capacity.cli", "import", kind, path, "--run-dir",
               tmp_path / "run" / "mine"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 60.0
        while not list(tmp_path.glob("run/.mine-*/*.parquet")):
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.005)
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    assert process.returncode != 0
    assert out == ""
    assert "Traceback" not in err
    assert list((tmp_path / "run").iterdir()) == []
