"""Real Locust processes that end otherwise than planned: what is left, and what can still be read."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
from locust_process import (
    cluster_directories,
    csv_counts,
    operation_counts,
    run_locust,
    servers_of_ours,
    start_locust,
    wait_until,
)

from amply_capacity.errors import BadRun
from amply_capacity.run.reader import read_run, recover
from amply_capacity.target import cluster as clusters
from amply_capacity.target.endpoint import connect

_LONG = ("-u", "5", "-r", "5", "-t", "120s", "--population", "60", "--prefill", "0", "--think-time-ms", "2")


def _seconds_recorded(run: Path) -> int:
    """Seconds of requests in the parts of a run that is being recorded."""
    part = run / "parts" / "requests.arrows"
    if not part.exists():
        return 0
    seconds: set[int] = set()
    try:
        with pa.ipc.open_stream(part.read_bytes()) as stream:
            for batch in stream:
                seconds |= set(batch.column("second").to_pylist())
    except (pa.ArrowInvalid, OSError):
        pass
    return len(seconds)


@pytest.fixture
def loading(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Starts a long load; returns once some seconds of it are recorded."""
    processes = []

    def start(*options: str, scenario: str = "mixed", seconds: int = 3) -> subprocess.Popen[bytes]:
        process = start_locust(
            scenario,
            *_LONG,
            "--run-dir",
            str(tmp_path / "run"),
            "--csv",
            str(tmp_path / "csv"),
            *options,
            log=tmp_path / "log",
        )
        processes.append(process)
        wait_until(
            lambda: _seconds_recorded(tmp_path / "run") >= seconds or process.poll() is not None, "a load"
        )
        assert process.poll() is None, (tmp_path / "log").read_text()
        return process

    yield start
    for process in processes:
        process.kill()
        process.wait()


def _children(pid: int, named: str) -> list[int]:
    """The pids of a process' children whose command line holds that name."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in children if named in Path(f"/proc/{child}/cmdline").read_text()]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_is_readable_partial_and_leaves_no_server(
    number: signal.Signals, loading: Callable[..., subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    servers, directories = servers_of_ours(), cluster_directories()
    process = loading()
    process.send_signal(number)
    code = process.wait(60)
    words = (tmp_path / "log").read_text()
    assert "Traceback" not in words
    run = read_run(tmp_path / "run")
    assert run.verdict == "partial"
    assert "of 120 s" in run.manifest["verdict_reason"]
    counts, _, failures = csv_counts(tmp_path / "csv")
    assert counts == operation_counts(run.requests)
    assert code == (1 if failures else 0), words
    assert servers_of_ours() == servers
    assert cluster_directories() == directories


@pytest.mark.parametrize("dies", ["the generator", "the generator and its recording process"])
def test_a_killed_run_is_recovered_to_within_two_seconds_and_its_server_is_swept(
    dies: str, loading: Callable[..., subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    servers, directories = servers_of_ours(), cluster_directories()
    process = loading(seconds=4)
    scribes = _children(process.pid, "amply_capacity.load.scribe")
    assert len(scribes) == 1
    process.kill()
    if dies != "the generator":
        os.kill(scribes[0], signal.SIGKILL)
    process.wait()
    killed_s = time.time()
    if dies != "the generator":
        with pytest.raises(BadRun, match="runs recover"):
            read_run(tmp_path / "run")
    run = recover(tmp_path / "run")
    assert run.verdict == "partial"
    assert (
        killed_s - 3.0 <= run.requests["second"].max() <= killed_s
    )  # its second began up to 1 s before its end
    assert run.requests["second"].nunique() >= 4
    assert not run.server.empty
    wait_until(lambda: servers_of_ours() == servers, "the server's end")
    assert cluster_directories() > directories
    clusters.stop(clusters.start())
    assert cluster_directories() == directories


def test_a_server_that_dies_is_a_gap_with_its_outcomes_in_a_readable_run(
    loading: Callable[..., subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    with clusters.throw_away(name="doomed", maxmemory_bytes=2**27) as doomed:
        process = loading("-t", "7s", "--target", "doomed")
        os.kill(doomed.pid, signal.SIGKILL)
        code = process.wait(60)
    words = (tmp_path / "log").read_text()
    assert code == 1, words
    assert "Traceback" not in words
    run = read_run(tmp_path / "run")
    own = run.requests.query("command == '' and clock == 'response'")
    outcomes = own.groupby("outcome")["count"].sum()
    assert outcomes["disconnected"] >= 1
    assert outcomes["unreachable"] >= 5
    # Five users that wait 0.2 s after a refused connection: a gap, not a busy loop.
    assert outcomes["unreachable"] <= 5 * 5 * 10
    counts, total, failures = csv_counts(tmp_path / "csv")
    assert counts == operation_counts(run.requests)
    assert failures == outcomes["disconnected"] + outcomes["unreachable"] + outcomes.get("error", 0)
    assert total == own["count"].sum()
    assert run.events["name"].str.startswith("INFO failed").any()


def test_error_replies_are_outcomes_events_and_locusts_failures(
    loading: Callable[..., subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    with (
        clusters.throw_away(name="cramped", maxmemory_bytes=2**27) as cramped,
        connect(cramped.endpoint) as client,
    ):
        process = loading("-t", "6s", "--target", "cramped", "--mix", "check=1,cached_read=1")
        keys = [key for key in client.scan_iter(count=1000) if key.startswith("rate:api:")]
        for key in keys:
            with client.pipeline(transaction=True) as swap:
                swap.delete(key)
                swap.lpush(key, "a list where a counter was")
                swap.execute()
        wait_until(lambda: "errorstat_WRONGTYPE" in client.info("errorstats"), "an error of that type")
        client.config_set("maxmemory-policy", "noeviction")
        client.config_set("maxmemory", 1)
        stored = [key for key in client.scan_iter(count=1000) if key.startswith("cache:org:stats:")]
        client.delete(*stored)
        code = process.wait(60)
    words = (tmp_path / "log").read_text()
    assert keys
    assert code == 1, words
    assert "Traceback" not in words
    run = read_run(tmp_path / "run")
    own = run.requests.query("command == '' and clock == 'response'")
    failed = own[own["outcome"] == "error"].groupby("operation")["count"].sum()
    assert set(failed.index) == {"check", "cached_read"}
    events = run.events[run.events["kind"] == "error"]
    said = pd.Series([name.split()[0] for name in events["name"]]).unique()
    assert set(said) == {"OOM", "WRONGTYPE"}
    assert sum(detail["count"] for detail in events["detail"]) == failed.sum()
    _, _, failures = csv_counts(tmp_path / "csv")
    assert failures == failed.sum()
    listed = pd.read_csv(tmp_path / "csv_failures.csv")
    assert listed["Occurrences"].sum() == failed.sum()
    assert "OOM" in words


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of half a megabyte."""
    place = tmp_path / "small"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(place)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode != 0:
        pytest.skip("only root can mount a small disk, and not in every container")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_disk_that_fills_up_ends_the_run_and_what_was_recorded_can_be_recovered(
    small_disk: Path, tmp_path: Path
) -> None:
    servers, directories = servers_of_ours(), cluster_directories()
    run = small_disk / "run"
    code, words = run_locust(
        "mixed",
        "-u",
        "10",
        "-r",
        "10",
        "-t",
        "60s",
        "--prefill",
        "0",
        "--run-dir",
        str(run),
        log=tmp_path / "log",
    )
    assert code == 2, words
    assert "locust: the disk is full. Got: no space left" in words
    assert "runs recover" in words
    assert "Traceback" not in words
    assert servers_of_ours() == servers
    assert cluster_directories() == directories
    assert not list(run.glob("*.tmp"))
    subprocess.run(["mount", "-o", "remount,size=50m", str(small_disk)], check=True)
    recovered = recover(run)
    assert recovered.verdict == "partial"
    assert operation_counts(recovered.requests)["validate"] > 0


def test_a_disk_that_is_full_from_the_start_leaves_nothing(small_disk: Path, tmp_path: Path) -> None:
    (small_disk / "filler").write_bytes(b"x")
    try:
        with (small_disk / "filler").open("wb", buffering=0) as filler:
            while True:
                filler.write(b"x" * 4096)
    except OSError:
        pass
    state = small_disk / "state"
    code, words = run_locust("cache", "-t", "3s", log=tmp_path / "log", AMPLY_STATE_DIR=str(state))
    assert code == 2, words
    assert "locust: the disk is full." in words
    assert "Traceback" not in words
    assert not list(small_disk.glob("state/*/*"))
