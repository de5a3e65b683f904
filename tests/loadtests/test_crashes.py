"""Kills (SIGKILL) of the generator, of its recording process, or of both: what is lost of the run."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from locust_process import cluster_directories, operation_counts, servers_of_ours, wait_until

from amply_capacity.errors import BadRun
from amply_capacity.run.reader import Run, read_run, recover
from amply_capacity.target import cluster as clusters
from amply_capacity.target.cluster import Cluster
from amply_capacity.target.endpoint import connect
from amply_capacity.target.process import free_port

# Beside tests that compute, and not one after another at the end: a load waits more than it works.
pytestmark = pytest.mark.xdist_group("loads")

Start = Callable[..., subprocess.Popen[bytes]]
Children = Callable[[int, str], list[int]]

_SCRIBE = "amply_capacity.load.scribe"
_LOST_SECONDS = 2.0
# Each has one GET, so that the server's own count of them can be compared with the run's.
_READS = ("--mix", "cached_read=1")


@pytest.fixture
def survivor() -> Iterator[Cluster]:
    """A server that does not end with its load, so that it can be asked afterwards."""
    with clusters.throw_away(name="survivor", maxmemory_bytes=2**27) as cluster:
        yield cluster


def _gets_served(cluster: Cluster) -> int:
    with connect(cluster.endpoint) as client:
        return int(client.info("commandstats").get("cmdstat_get", {}).get("calls", 0))


def _gets_recorded(run: Run) -> int:
    return int(run.requests.loc[run.requests["command"] == "GET", "count"].sum())


def _check_loss(run: Run, served: int, killed_s: float) -> None:
    """Nothing but what was answered in the last two seconds before the kill is missing."""
    by_second = run.requests[run.requests["command"] == "GET"].groupby("second")["count"].sum()
    # A second began up to 1 s before its last reply.
    assert killed_s - _LOST_SECONDS - 1.0 <= by_second.index.max() <= killed_s
    assert by_second.index.tolist() == list(range(by_second.index.min(), by_second.index.max() + 1))
    lost = served - _gets_recorded(run)
    assert 0 <= lost <= _LOST_SECONDS * by_second.max()


@pytest.mark.parametrize(("seed", "dies"), [
    (1, {"generator"}), (2, {"generator", "scribe"}),
])
def test_a_killed_run_is_recovered_to_within_two_seconds(
    seed: int, dies: set[str], loading: Start, children_of: Children, survivor: Cluster, tmp_path: Path
) -> None:
    """At a moment between two reports that the seed chooses."""
    process = loading("--target", "survivor", *_READS, scenario="cache", seconds=3)
    (scribe,) = children_of(process.pid, _SCRIBE)
    time.sleep(random.Random(seed).random())
    killed_s = time.time()
    process.kill()
    if "scribe" in dies:
        os.kill(scribe, signal.SIGKILL)
    process.wait()
    if "scribe" in dies:
        with pytest.raises(BadRun, match="runs recover"):
            read_run(tmp_path / "run")
    run = recover(tmp_path / "run")
    assert run.verdict == "partial"
    assert run.manifest["verdict_reason"]
    assert not run.server.empty
    _check_loss(run, _gets_served(survivor), killed_s)


def test_master_workers_and_recording_process_killed_at_once_leave_a_run(
    loading: Start, survivor: Cluster, tmp_path: Path
) -> None:
    process = loading("--target", "survivor", "--processes", "2", "--master-bind-port", str(free_port()),
                      *_READS, scenario="cache", seconds=3)
    everybody = [process.pid, *(one.pid for one in psutil.Process(process.pid).children(recursive=True))]
    assert len(everybody) >= 4
    killed_s = time.time()
    for pid in everybody:
        os.kill(pid, signal.SIGKILL)
    process.wait()
    _check_loss(recover(tmp_path / "run"), _gets_served(survivor), killed_s)


def test_the_load_ends_when_its_recording_process_is_killed_and_the_run_is_recovered(
    loading: Start, children_of: Children, survivor: Cluster, tmp_path: Path
) -> None:
    process = loading("--target", "survivor", *_READS, scenario="cache", seconds=2)
    (scribe,) = children_of(process.pid, _SCRIBE)
    own = os.getpriority(os.PRIO_PROCESS, process.pid)
    wait_until(lambda: os.getpriority(os.PRIO_PROCESS, scribe) > own, "that the load goes first")
    killed_s, served = time.time(), _gets_served(survivor)
    os.kill(scribe, signal.SIGKILL)
    assert process.wait(60) == 2
    words = (tmp_path / "log").read_text()
    assert words.count("the recording process has died") == 1
    assert "Traceback" not in words
    _check_loss(recover(tmp_path / "run"), served, killed_s)


def test_a_server_of_the_run_is_swept_after_a_kill(loading: Start) -> None:
    servers, directories = servers_of_ours(), cluster_directories()
    process = loading(seconds=1)
    process.kill()
    process.wait()
    wait_until(lambda: servers_of_ours() == servers, "the server's end")
    assert cluster_directories() > directories
    clusters.stop(clusters.start())
    assert cluster_directories() == directories


def test_a_kill_during_the_pre_fill_leaves_no_half_run_and_no_server(
    starting: Start, tmp_path: Path
) -> None:
    servers = servers_of_ours()
    process = starting("-t", "60s", "--population", "20000", "--run-dir", str(tmp_path / "run"))
    wait_until(lambda: servers_of_ours() > servers or process.poll() is not None, "a server")
    time.sleep(random.Random(5).random())
    process.kill()
    process.wait()
    assert not (tmp_path / "run").exists()
    wait_until(lambda: servers_of_ours() == servers, "the server's end")


def test_a_kill_while_the_run_is_closed_loses_nothing(
    loading: Start, children_of: Children, survivor: Cluster, tmp_path: Path
) -> None:
    process = loading("--target", "survivor", *_READS, scenario="cache", seconds=2)
    (scribe,) = children_of(process.pid, _SCRIBE)
    process.send_signal(signal.SIGINT)
    deadline = time.monotonic() + 60.0
    run = tmp_path / "run"
    first, parts = run / "requests.parquet", run / "parts"
    while not first.exists() and parts.exists() and time.monotonic() < deadline:
        pass  # the moment is short
    os.kill(scribe, signal.SIGKILL)
    process.kill()
    process.wait()
    recovered = recover(run)
    assert recovered.verdict == "partial"
    # Each user was stopped in the middle of an operation at most, which is then none.
    assert 0 <= _gets_served(survivor) - _gets_recorded(recovered) <= 5
    assert operation_counts(recovered.requests)["cached_read"] == _gets_recorded(recovered)
