"""Real Locust processes that end otherwise than planned: what is left, and what can still be read."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
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
from amply_capacity.target import cluster as clusters
from amply_capacity.target.endpoint import connect

# Beside tests that compute, and not one after another at the end: a load waits more than it works.
pytestmark = pytest.mark.xdist_group("loads")


@pytest.mark.parametrize("numbers", [[signal.SIGINT], [signal.SIGTERM], [signal.SIGTERM] * 2], ids=str)
def test_an_interrupted_run_is_readable_partial_and_leaves_no_server(
    numbers: list[signal.Signals], loading: Callable[..., subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    servers, directories = servers_of_ours(), cluster_directories()
    process = loading()
    for number in numbers:  # `timeout` sends its own twice
        process.send_signal(number)
        time.sleep(0.1)
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
