"""A master and its workers, each a real Locust process: what is recorded, named, and left behind."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from locust_process import (
    cluster_directories,
    csv_counts,
    operation_counts,
    run_locust,
    servers_of_ours,
    wait_until,
)

from amply_capacity.run.reader import read_run, recover
from amply_capacity.target.process import exists, free_port

# Beside tests that compute, and not one after another at the end: a load waits more than it works.
pytestmark = pytest.mark.xdist_group("loads")

Start = Callable[..., subprocess.Popen[bytes]]
Children = Callable[[int, str], list[int]]

_SCRIBE = "amply_capacity.load.scribe"
_LOAD = ("-u", "6", "-r", "6", "-t", "120s", "--population", "60", "--prefill", "0", "--think-time-ms", "20")


def _ended(pid: int) -> bool:
    """Whether the process has ended, collected or not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return not exists(pid)


def test_a_killed_worker_is_named_its_data_stay_and_another_takes_its_place(
    starting: Start, tmp_path: Path
) -> None:
    servers, directories = servers_of_ours(), cluster_directories()
    port, log, run_dir = str(free_port()), tmp_path / "log", tmp_path / "run"
    master = starting(*_LOAD, "--master", "--master-bind-port", port, "--expect-workers", "2",
                      "--run-dir", str(run_dir), "--csv", str(tmp_path / "csv"))

    def worker(name: str) -> subprocess.Popen[bytes]:
        return starting("--worker", "--master-port", port, log=name)

    first, second = worker("worker-1"), worker("worker-2")
    events = run_dir / "parts" / "events.arrows"

    def notes_of(process: subprocess.Popen[bytes]) -> int:
        """How often that process' figures of itself have been recorded."""
        return events.read_bytes().count(f'"pid": {process.pid},'.encode()) if events.exists() else 0

    wait_until(lambda: min(notes_of(first), notes_of(second)) >= 2, "a load by both")
    killed_s = time.time()
    second.kill()
    wait_until(lambda: " was lost: its last report came " in log.read_text(), "a word of the loss")
    assert time.time() - killed_s < 30.0
    third = worker("worker-3")
    wait_until(lambda: notes_of(third) >= 2, "a load by the third")
    master.send_signal(signal.SIGINT)
    code = master.wait(60)
    for process in (first, third):
        process.wait(30)
    words = log.read_text()
    assert "Traceback" not in words
    run = read_run(run_dir)
    (lost,) = run.manifest["lost_workers"]
    assert run.verdict == "partial"
    reason = run.manifest["verdict_reason"]
    assert f"worker {lost['worker_id']} was lost; its data up to then is kept" in reason
    assert words.count(" was lost") == 2  # at once, and in the verdict
    assert killed_s - 2.0 <= lost["last_second"] <= killed_s + 1.0
    # The third plays what nobody played any more.
    joined = run.events.loc[run.events["name"] == "worker joined", "detail"].iloc[0]
    assert joined["worker"] == lost["worker"]
    noted = run.events.loc[run.events["name"] == "load", "detail"]
    assert max(one["second"] for one in noted if one["pid"] == second.pid) >= killed_s - 3.0
    counts, _, failures = csv_counts(tmp_path / "csv")
    assert counts == operation_counts(run.requests)
    assert code == (1 if failures else 0), words
    assert servers_of_ours() == servers
    assert cluster_directories() <= directories


def test_without_any_worker_left_the_load_is_over(
    loading: Start, children_of: Children, tmp_path: Path
) -> None:
    servers = servers_of_ours()
    process = loading("--processes", "2", seconds=2)
    for worker in children_of(process.pid, "--processes"):
        os.kill(worker, signal.SIGKILL)
    assert process.wait(60) == 2
    words = (tmp_path / "log").read_text()
    assert "all workers are lost" in words
    assert "Traceback" not in words
    run = read_run(tmp_path / "run")
    assert len(run.manifest["lost_workers"]) == 2
    assert run.verdict == "partial"
    assert operation_counts(run.requests)
    assert servers_of_ours() == servers


def test_workers_of_a_killed_master_end_and_the_run_is_recovered(
    loading: Start, children_of: Children, tmp_path: Path
) -> None:
    servers = servers_of_ours()
    process = loading("--processes", "2", seconds=3)
    workers = children_of(process.pid, "--processes")
    scribes = children_of(process.pid, _SCRIBE)
    assert len(workers) == 2
    killed_s = time.time()
    process.kill()
    process.wait()
    run = recover(tmp_path / "run")
    assert killed_s - 3.0 <= run.requests["second"].max() <= killed_s
    assert run.verdict == "partial"
    wait_until(lambda: all(map(_ended, workers + scribes)), "the end of the workers and the scribe")
    assert servers_of_ours() == servers


def test_sigterm_to_a_loading_master_ends_its_workers_and_leaves_nothing(
    loading: Start, children_of: Children, tmp_path: Path
) -> None:
    servers, directories = servers_of_ours(), cluster_directories()
    process = loading("--processes", "2", seconds=2)
    offspring = children_of(process.pid, "")
    process.send_signal(signal.SIGTERM)
    process.wait(60)
    words = (tmp_path / "log").read_text()
    assert "Traceback" not in words
    assert " was lost" not in words
    run = read_run(tmp_path / "run")
    assert run.verdict == "partial"
    assert "of 120 s" in run.manifest["verdict_reason"]
    assert csv_counts(tmp_path / "csv")[0] == operation_counts(run.requests)
    assert all(map(_ended, offspring))
    assert servers_of_ours() == servers
    assert cluster_directories() <= directories


@pytest.mark.parametrize(("stage", "number"), [
    ("the pre-fill", signal.SIGTERM), ("the wait for workers", signal.SIGINT),
    ("the wait for workers", signal.SIGTERM),
])
def test_a_signal_before_the_load_leaves_nothing(
    stage: str, number: signal.Signals, starting: Start, children_of: Children, tmp_path: Path
) -> None:
    servers, directories = servers_of_ours(), cluster_directories()
    prefill = ("--population", "20000") if stage == "the pre-fill" else ("--prefill", "0")
    process = starting("-t", "60s", "--master", "--master-bind-port", str(free_port()), *prefill,
                       "--run-dir", str(tmp_path / "run"))
    if stage == "the pre-fill":
        wait_until(lambda: servers_of_ours() > servers or process.poll() is not None, "a server")
    else:
        wait_until(lambda: (tmp_path / "run" / "run.json").exists() or process.poll() is not None, "a run")
    offspring = children_of(process.pid, "")
    process.send_signal(number)
    code = process.wait(60)
    words = (tmp_path / "log").read_text()
    assert code in {128 + signal.SIGINT, 128 + number}, words
    assert "Traceback" not in words
    assert all(map(_ended, offspring))
    assert servers_of_ours() == servers
    assert cluster_directories() <= directories
    if stage != "the pre-fill":
        assert read_run(tmp_path / "run").manifest["verdict_reason"] == "it was ended before the load began"


def test_two_workers_play_exactly_the_operations_of_one(tmp_path: Path) -> None:
    """With one seed and one number of iterations, over disjoint keys; and each run ends by itself."""
    counts = []
    for processes in ((), ("--processes", "2")):
        directory = tmp_path / f"by-{len(processes)}"
        directory.mkdir()
        options = ("-u", "6", "-r", "6", "-t", "60s", "--population", "60", "--prefill", "0")
        code, words = run_locust("mixed", *options, "--iterations", "1203", *processes, "--run-dir",
                                 str(directory / "run"), log=directory / "log")
        assert code in {0, 1}, words
        run = read_run(directory / "run")
        assert "broken off" not in run.manifest["verdict_reason"]
        counts.append(operation_counts(run.requests))
    assert sum(counts[0].values()) == 1203
    assert counts[0] == counts[1]


def test_processes_agree_on_another_port_where_locusts_own_is_taken(tmp_path: Path) -> None:
    with socket.socket() as holder:
        with contextlib.suppress(OSError):  # taken by somebody else: as well
            holder.bind(("", 5557))
            holder.listen()
        # Not as two words, to which `run_locust` would add ports.
        code, words = run_locust("cache", "-u", "4", "-r", "4", "--iterations", "400", "--population", "60",
                                 "--prefill", "0", "--think-time-ms", "20", "--processes=2", "--run-dir",
                                 str(tmp_path / "run"), log=tmp_path / "log")
    assert code == 0, words
    assert "Traceback" not in words
    run = read_run(tmp_path / "run")
    assert sum(operation_counts(run.requests).values()) == 400
    loads = run.events.loc[run.events["name"] == "load", "detail"]
    assert {one["worker"] for one in loads if one["role"] == "worker"} == {0, 1}


@pytest.mark.parametrize(("users", "processes"), [(3, 2), (2, 3)])
def test_iterations_are_played_exactly_by_users_that_do_not_divide_evenly(
    users: int, processes: int, tmp_path: Path
) -> None:
    code, words = run_locust("cache", "-u", str(users), "-r", str(users), "-t", "60s", "--iterations", "100",
                             "--population", "60", "--prefill", "0", "--processes", str(processes),
                             "--run-dir", str(tmp_path / "run"), log=tmp_path / "log")
    assert code == 0, words
    run = read_run(tmp_path / "run")
    assert sum(operation_counts(run.requests).values()) == 100
    first, last = run.requests["second"].min(), run.requests["second"].max()
    assert last - first < 30, "it ended itself"


@pytest.mark.parametrize(("options", "environment"), [
    ("--master --master-bind-port={}", {}), ("--master --master-bind-port {}", {}),
    ("--master", {"LOCUST_MASTER_BIND_PORT": "{}"}), ("--processes=2 --master-bind-port={}", {})])
def test_a_master_whose_port_is_taken_says_so(
    tmp_path: Path, options: str, environment: dict[str, str]
) -> None:
    with socket.socket() as holder:
        holder.bind(("", 0))
        holder.listen()
        port = holder.getsockname()[1]
        code, words = run_locust("cache", "-u", "4", *options.format(port).split(), "--run-dir",
                                 str(tmp_path / "run"), log=tmp_path / "log",
                                 **{name: value.format(port) for name, value in environment.items()})
    assert code == 2, words
    assert "Traceback" not in words
    assert f"the master's port has to be free. Got: {port}, where something listens already. Do: " in words
    assert not (tmp_path / "run").exists()
